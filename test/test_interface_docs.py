"""docs/interface.md says what the interface files, the parameters and the topics say."""

import re
from pathlib import Path

import pytest

from scripts import interface_docs
from textregion_ros.node.parameters import SETTINGS
from textregion_ros.node.topics import INPUTS, NODE_OUTPUTS, OUTPUTS

ROOT = Path(__file__).parents[1]
INTERFACES = [*sorted((ROOT / "msg").glob("*.msg")), *sorted((ROOT / "srv").glob("*.srv"))]
DOCUMENT = (ROOT / "docs/interface.md").read_text()


def test_the_document_is_up_to_date():
    assert interface_docs.document() == DOCUMENT, (
        "make it again: scripts/env python scripts/interface_docs.py"
    )


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.name)
def test_every_field_of_every_interface_is_documented(path):
    declared = re.findall(r"^([\w/]+(?:\[\])?)\s+(\w+)", path.read_text(), re.MULTILINE)
    assert declared
    for part in path.read_text().split("---\n"):
        _, found = interface_docs.fields(part)
        assert [pair for pair in declared if pair[1] in {field.name for field in found}]
        assert all(field.comment for field in found), "a field without a comment"
    names = [f"textregion_ros/{path.suffix[1:]}/{path.stem}."]
    names += [f"`{name}`" for _, name in declared]
    assert [name for name in names if name not in DOCUMENT] == []


def test_every_parameter_and_topic_is_documented():
    names = [setting.name for setting in SETTINGS] + [topic.name for topic in INPUTS]
    names += [f"~/{topic.name}" for topic in (*NODE_OUTPUTS, *OUTPUTS)]
    assert [name for name in names if f"| `{name}` |" not in DOCUMENT] == []


def test_comments_constants_and_bars_are_read():
    constant = "# Bad | worse.\nuint8 BAD=4\n"
    about, found = interface_docs.fields(
        f"# What it is,\n# at length.\n\n{constant}\n# Two of them.\nint8 a\nint8[] b\n"
    )
    assert about == "What it is, at length."
    assert [(f.type, f.name, f.value, f.comment) for f in found] == [
        ("uint8", "BAD", "4", "Bad | worse."),
        ("int8", "a", "", "Two of them."),
        ("int8[]", "b", "", "Two of them."),
    ]
    lines = list(interface_docs.field_tables(found))
    assert "| 4 | `BAD` | Bad \\| worse. |" in lines
    assert lines.index("| 4 | `BAD` | Bad \\| worse. |") < lines.index(
        "| `a` | int8 | Two of them. |"
    )

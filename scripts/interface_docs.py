"""Writes docs/interface.md from what declares it: scripts/env python scripts/interface_docs.py."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.parameter import Parameter

from textregion_ros.node.parameters import SETTINGS, Setting
from textregion_ros.node.topics import INPUTS, NODE_OUTPUTS, OUTPUTS, Topic

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/interface.md"
MESSAGES = ("Grounding", "Region", "GroundingArray", "RegionTokens", "Queries")
SERVICES = {"Query": "~/query", "SetQueries": "~/set_queries", "Embed": "~/embed"}
HEAD = """# Interface

<!-- Made by scripts/interface_docs.py from msg/, srv/, node/parameters.py and node/topics.py. -->
"""
NAMES = (
    "All names are relative to the node's namespace, and `~` is the node's own name, `textregion`. "
    "Distances are in metres, in the optical frame of the camera (x right, y down, z forward); "
    "boxes and masks are in pixels of the camera image; what is about an image has its header."
)
LISTENS = (
    "Sensor-data QoS: best effort (`reliable` asks for more for the images), and only the newest "
    "message is kept. With the parameter `cameras` at `[left, right]` they are `left/image`, "
    "`right/depth` and so on."
)
PUBLISHES = (
    "Reliable, depth 1; nothing is worked out that nobody listens to or asks for. With named "
    "cameras they are `~/left/groundings` and so on, but for `~/queries`. `/diagnostics` "
    "(diagnostic_msgs/msg/DiagnosticArray) has rates, stage times, memory, the model and the last "
    "error."
)
PARAMETERS = "They may be set at any time, or until the node is configured."


@dataclass(frozen=True)
class Field:
    """A line of an interface file. value: of a constant, else empty."""

    type: str
    name: str
    value: str
    comment: str


def fields(text: str) -> tuple[str, list[Field]]:
    """Return what an interface says of itself, and its fields with the comments above them."""
    about, found, comment = "", [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            comment.append(line[1:].strip())
        elif line.strip():
            kind, name = line.split(maxsplit=1)
            name, _, value = name.partition("=")
            found.append(Field(kind, name.strip(), value.strip(), " ".join(comment)))
            if value:
                comment = []
        else:
            about = about if about or found else " ".join(comment)
            comment = []
    return about, found


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Give the lines of a table. Bars in cells are escaped."""
    head = list(head)
    yield from ("", f"| {' | '.join(head)} |", "|" + "---|" * len(head))
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def field_tables(found: list[Field]) -> Iterator[str]:
    """Give the table of the constants, where there are some, and that of the fields."""
    if constants := [field for field in found if field.value]:
        rows = ((field.value, f"`{field.name}`", field.comment) for field in constants)
        yield from table(("value", "name", ""), rows)
    rows = ((f"`{field.name}`", field.type, field.comment) for field in found if not field.value)
    yield from table(("field", "type", ""), rows)


def topic_table(topics: Iterable[Topic], prefix: str) -> Iterator[str]:
    """Give the table of topics."""
    rows = ((f"`{prefix}{topic.name}`", topic.type, topic.description) for topic in topics)
    return table(("topic", "type", ""), rows)


def type_of(default: Any) -> str:
    """Return how ROS calls the type of a parameter."""
    if isinstance(default, Parameter.Type):
        return default.name.lower().replace("_array", "[]")
    return {bool: "bool", int: "integer", float: "double", str: "string"}[type(default)]


def parameter_row(setting: Setting) -> Iterator[str]:
    """Give the cells of a parameter."""
    default = setting.default
    yield f"`{setting.name}`"
    yield type_of(default)
    yield "not set" if isinstance(default, Parameter.Type) else f"`{str(default).lower()}`"
    if setting.choices:
        yield ", ".join(f"`{choice}`" for choice in setting.choices)
    else:
        yield "" if setting.low is None else f"{setting.low:g} … {setting.high:g}"
    yield "any time" if setting.running else "until configured"
    yield setting.description


def sections() -> Iterator[str]:
    """Give the lines of the document."""
    yield from (HEAD, NAMES, "", "## Topics it listens to", "", LISTENS)
    yield from topic_table(INPUTS, "")
    yield from ("", "## Topics it publishes", "", PUBLISHES)
    yield from topic_table((*NODE_OUTPUTS, *OUTPUTS), "~/")
    yield from ("", "## Parameters", "", PARAMETERS)
    head = ("parameter", "type", "default", "range", "may be set", "")
    yield from table(head, map(parameter_row, SETTINGS))
    for name, service in SERVICES.items():
        request, reply = (ROOT / f"srv/{name}.srv").read_text().split("---\n")
        about, found = fields(request)
        yield from ("", f"## Service `{service}`", "", f"textregion_ros/srv/{name}. {about}")
        yield from ("", "Request:", *field_tables(found))
        yield from ("", "Reply:", *field_tables(fields(reply)[1]))
    yield from ("", "## Messages")
    for name in MESSAGES:
        about, found = fields((ROOT / f"msg/{name}.msg").read_text())
        yield from ("", f"### {name}", "", f"textregion_ros/msg/{name}. {about}")
        yield from field_tables(found)


def document() -> str:
    """Return the whole document."""
    return "\n".join(sections()) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
    print(f"wrote {DOCUMENT.relative_to(ROOT)}", file=sys.stderr)

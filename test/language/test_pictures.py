"""The pictures of docs/language.md are those that the script draws, one for every relation."""

import re
import runpy
from pathlib import Path

from textregion_ros.space.relations import RELATIONS

ROOT = Path(__file__).parents[2]


def test_every_relation_has_its_picture(tmp_path):
    script = runpy.run_path(str(ROOT / "scripts" / "language_pictures.py"))
    script["main"](tmp_path / "pictures")
    drawn = {path.name for path in (tmp_path / "pictures").iterdir()}
    kept = {path.name for path in (ROOT / "docs" / "images" / "language").iterdir()}
    shown = set(
        re.findall(r"images/language/([\w-]+\.png)", (ROOT / "docs/language.md").read_text())
    )
    assert drawn == kept == shown
    assert {f"{name.replace(' ', '-')}.png" for name in RELATIONS} < drawn

"""English plurals to singulars."""

from __future__ import annotations

import re

_IRREGULAR = {
    "children": "child",
    "feet": "foot",
    "geese": "goose",
    "halves": "half",
    "knives": "knife",
    "leaves": "leaf",
    "loaves": "loaf",
    "men": "man",
    "mice": "mouse",
    "people": "person",
    "potatoes": "potato",
    "scarves": "scarf",
    "shelves": "shelf",
    "teeth": "tooth",
    "tomatoes": "tomato",
    "women": "woman",
    "lenses": "lens",
    "buses": "bus",
}
# Both one and several.
SAME = frozenset(
    {"fish", "jeans", "pants", "pliers", "scissors", "sheep", "shorts", "sunglasses", "trousers"}
)
_ENDINGS = (
    (re.compile(r"(.{2,})ies$"), r"\1y"),
    (re.compile(r"(.+(?:ch|sh|x|ss|zz))es$"), r"\1"),
    (re.compile(r"(.+[^su\W])s$"), r"\1"),
)


def is_plural(noun: str) -> bool:
    """Return whether a noun, or the first word of "boxes of cereal", has a singular."""
    return singular(noun) != noun


def singular(noun: str) -> str:
    """Return the singular of a plural noun, also of "boxes of cereal"; any other as it is."""
    first, space, rest = noun.partition(" ")
    return _singular(first) + space + rest


def _singular(noun: str) -> str:
    if noun in SAME:
        return noun
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    for ending, replacement in _ENDINGS:
        if ending.match(noun):
            return ending.sub(replacement, noun)
    return noun

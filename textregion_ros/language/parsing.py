"""A sentence to its reading, by the grammar in phrases.lark."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

from lark import Lark
from lark.exceptions import LarkError

from textregion_ros.language.building import make_builder
from textregion_ros.language.draft import Unreadable
from textregion_ros.language.reading import NounPhrase, Reading

# A longer text is read whole without a look at it, so that any text takes bounded time.
MAX_CHARACTERS = 400
MAX_WORDS = 60

_AROUND = r"[\s\"'“”„«».,;:!?…]+"
_SPELLINGS = (
    (re.compile("[’‘]"), "'"),
    (re.compile(r"\b(that|which|who|where)'s\b"), r"\1 is"),
    (re.compile(r"\b(i|we)'d like\b"), r"\1 would like"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(f"^{_AROUND}|{_AROUND}$"), ""),
    (re.compile(r"\s*,\s"), " , "),
)


def read(text: str) -> Reading:
    """Return what a phrase says; a text that the grammar does not know is read whole.

    Args:
        text: any text. One that was read lately is not read again.

    Returns:
        The reading. Its noun phrases are in lower case and without articles; that of a text read
        whole is the text with its spaces made single.
    """
    return _remembered(text) if len(text) <= MAX_CHARACTERS else whole(text)


def phrases(text: str) -> tuple[str, ...]:
    """Return the noun phrases that must be known in an image to answer a text.

    A text that is a name and nothing else is asked as it stands.
    """
    reading = read(text)
    return (text,) if reading.plain else reading.noun_phrases()


def parse(text: str) -> Reading:
    """Do what `read` does, without remembering."""
    if len(text) > MAX_CHARACTERS:
        return whole(text)
    words = _spelled(text)
    if not words or words.count(" ") > MAX_WORDS:
        return whole(text)
    try:
        return cast("Reading", _grammar().parse(words))  # the builder makes one of the tree
    except (LarkError, Unreadable):
        return whole(text)


_remembered = lru_cache(maxsize=512)(parse)


def whole(text: str) -> Reading:
    """Return the reading of a text that is to be taken literally."""
    return Reading(NounPhrase(" ".join(text.split())), whole=True)


def _spelled(text: str) -> str:
    """The text as the grammar wants it: lower case, a space after each word and comma."""
    text = " ".join(text.lower().split())
    for spelling, replacement in _SPELLINGS:
        text = spelling.sub(replacement, text)
    return "".join(f"{word} " for word in text.split())


@cache
def _grammar() -> Lark:
    return Lark(
        Path(__file__).with_name("phrases.lark").read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        propagate_positions=False,
        maybe_placeholders=False,
        transformer=make_builder(),
    )

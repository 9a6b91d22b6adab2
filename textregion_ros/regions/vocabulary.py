"""Which words of a text an encoder was never taught: small ones know few, and say so.

A small text tower gives a vector to any word, and one that it never met means nothing. Its profile
therefore names the list of what it was taught; a profile without a list is taken to know all.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

WORD = re.compile(r"[^\W_]+")
POSSESSIVE = re.compile(r"['’]s\b")
# Words that name nothing to be seen: they are never unknown.
_FUNCTION_WORDS = """
    a an the this that these those some any each every all both no one ones it its itself he she
    they them their there here i me my we us our us you your who which what where whose
    is are was were be been being has have had do does did can could will would shall should may
    might must not and or but nor so as than if then of in on at to from by with without into onto
    off over under above below beneath underneath behind between beside besides near next nearest
    closest farthest front back left right top bottom middle centre center side inside outside up
    down out around across along against upon within through toward towards away about for per
    please find show give get take grab pick put place look see point locate bring fetch want need
    hello ok okay just only also too very more most less least other another same such own
    big bigger biggest large larger largest small smaller smallest little tiny huge tall taller
    tallest short shorter shortest long longer longest wide thin thick
    first second third fourth fifth last single pair couple few many several
    zero two three four five six seven eight nine ten eleven twelve
    colour color coloured colored colours colors photo picture image kind type sort
    standing lying sitting placed visible
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def read_names(path: Path) -> frozenset[tuple[str, ...]]:
    """Return the names of a word list, one to a line, each as its words."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(words for words in map(words_of, lines) if words)


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case: a hyphen parts two, a possessive s is left out."""
    return tuple(WORD.findall(POSSESSIVE.sub("", text.casefold())))


def unknown_words(text: str, names: Collection[tuple[str, ...]] | None) -> tuple[str, ...]:
    """Return the words of a text that belong to none of the names and do name something, in order.

    The longest name that fits is taken first, its last word in the singular or the plural; function
    words and numbers are always known.

    Args:
        text: What is asked for.
        names: As from `read_names`; None knows every word.
    """
    if names is None:
        return ()
    words, longest = words_of(text), max(map(len, names), default=0)
    unknown: list[str] = []
    place = 0
    while place < len(words):
        taken = _name_at(words[place : place + longest], names)
        word = words[place]
        if not (taken or word in FUNCTION_WORDS or word.isnumeric() or word in unknown):
            unknown.append(word)
        place += max(taken, 1)
    return tuple(unknown)


def _name_at(words: tuple[str, ...], names: Collection[tuple[str, ...]]) -> int:
    """Return how many words the longest name takes that `words` begins with; 0 for none."""
    for count in range(len(words), 0, -1):
        *start, last = words[:count]
        if any((*start, form) in names for form in (last, *singulars(last))):
            return count
    return 0


def singulars(word: str) -> tuple[str, ...]:
    """Return what the singular of a plural may be: of "knives" "knive", "kniv" and "knife"."""
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return ()
    forms = [word[:-1]]
    if word.endswith("es"):
        forms.append(word[:-2])
    if word.endswith("ies"):
        forms.append(f"{word[:-3]}y")
    if word.endswith("ves"):
        forms += [f"{word[:-3]}f", f"{word[:-3]}fe"]
    return tuple(forms)

"""What the grammar recognises to a reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from lark import Token, Transformer, v_args

from textregion_ros.language.draft import SUPERLATIVES, Draft, named, need
from textregion_ros.language.plurals import is_plural, singular
from textregion_ros.language.reading import ALL, Exclusion, NounPhrase, Reading, Relation

_ORDERS = {
    "LEFT": "leftmost",
    "RIGHT": "rightmost",
    "TOP": "topmost",
    "BOTTOM": "bottommost",
    "FRONT": "nearest",
    "BACK": "farthest",
    "MIDDLE": "middle",
}
_LAST = -1
_RANKS = {
    word: rank
    for words in (
        "first second third fourth fifth sixth seventh eighth ninth tenth",
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th",
    )
    for rank, word in enumerate(words.split(), 1)
} | {"last": _LAST}
_NUMBERS = {
    word: number
    for words in ("two three four five six seven eight nine ten", "2 3 4 5 6 7 8 9 10")
    for number, word in enumerate(words.split(), 2)
}
# Alone these name a place to put something, and no thing.
_DESTINATIONS = frozenset({"on", "inside"})
_THING = Reading(NounPhrase("thing"))
# What can do without a noun: "the second", "the largest", "the other".
_ALONE = frozenset({"rank", "order", "other", "everything"})


# Something said of a thing: the method of `Draft` that takes it, and its value.
_Part = tuple[str, object]


def _parts(*said: object) -> list[_Part]:
    """The parts among what a rule was given; words and readings left out."""
    return [part for parts in said if isinstance(parts, list) for part in parts]


def _always(*parts: _Part) -> Callable[..., list[_Part]]:
    return lambda _self, *_words: list(parts)


@v_args(inline=True)
class _Builder(Transformer[Reading]):
    """Makes readings while the parser goes, with one method for each rule of the grammar."""

    def start(self, *said: Reading | Token) -> Reading:
        return named(_only(said))

    def phrase(self, reading: Reading, *said: list[_Part] | Token) -> Reading:
        return _assemble(reading, _parts(*said))

    def nameless(self, place: Relation, *said: list[_Part]) -> Reading:
        need(place.name not in _DESTINATIONS)
        return _assemble(_THING, [("condition", place), *_parts(*said)])

    def thing(self, _determiner: Token, reading: Reading) -> Reading:
        return reading

    def plain(self, noun: NounPhrase, *said: list[_Part]) -> Reading:
        return _assemble(Reading(noun), _parts(*said))

    def marked(self, *said: NounPhrase | list[_Part]) -> Reading:
        parts = _parts(*said)
        nouns = [noun for noun in said if isinstance(noun, NounPhrase)]
        if nouns:
            return _assemble(Reading(nouns[0]), parts)
        need(any(name in _ALONE for name, _ in parts))
        return _assemble(_THING, parts)

    def chosen(self, *said: Reading | Token | list[_Part]) -> Reading:
        parts, among = _parts(*said), _only(said)
        need(any(name in _ALONE for name, _ in parts) and not among.selection)
        head = replace(among.head, noun=singular(among.head.noun))
        return _assemble(replace(among, head=head, count=1), parts)

    left = _always(("side", "leftmost"))
    right = _always(("side", "rightmost"))
    both = _always(("count", 2))
    all_of = _always(("count", ALL))
    one_of = _always(("one_of", True))
    each = _always(("each", True))
    everything = _always(("each", True), ("everything", True))
    other = _always(("other", True))

    def number(self, word: Token) -> list[_Part]:
        return [("count", _NUMBERS[word.strip()])]

    def rank(self, word: Token, *orders: str) -> list[_Part]:
        return [("rank", _RANKS[word.strip()]), *(("order", order) for order in orders)]

    def rank_from(self, *said: Token | str) -> list[_Part]:
        *_, word, side = said
        return [("rank", _RANKS[word.strip()]), ("counted_from", side)]

    def counted_from(self, side: str) -> list[_Part]:
        return [("counted_from", side)]

    def order(self, *said: Token | str) -> list[_Part]:
        return [("order", said[-1])]

    def best(self, word: Token) -> str:
        return word.type.lower()

    def position(self, word: Token) -> str:
        return _ORDERS[word.type.partition("_")[2]]

    side = position

    def noun(self, *words: list[str] | str) -> NounPhrase:
        """The last of the words before "of" or "with" is the noun."""
        (*attributes, noun), *rest = ([word] if isinstance(word, str) else word for word in words)
        tail = [word for more in rest for word in more]
        if attributes and attributes[0] == "one":
            attributes = attributes[1:]
        return NounPhrase(" ".join([noun, *tail]), tuple(attributes))

    def words(self, *words: Token) -> list[str]:
        return [word.strip() for word in words]

    def joint(self, *words: Token) -> str:
        return "".join(words).strip()

    def relation(self, word: Token) -> str:
        return word.type.lower().replace("_", " ")

    def related(self, name: str, anchor: Reading) -> Relation:
        need(anchor.count == 1)
        return Relation(name, (anchor,))

    def between_two(self, _between: Token, one: Reading, _and: Token, two: Reading) -> Relation:
        need(one.count == two.count == 1)
        return Relation("between", (one, two))

    def between_set(self, _between: Token, anchor: Reading) -> Relation:
        need(anchor.selection is None and " and " not in anchor.head.text)
        if anchor.count == 1:
            need(is_plural(anchor.head.noun))
            anchor = _assemble(anchor, [("count", 2)])
        need(anchor.count == 2)
        return Relation("between", (anchor,))

    def where(self, *said: Relation | Token) -> list[_Part]:
        return [("condition", said[-1])]

    def where_not(self, *said: Relation | Token) -> list[_Part]:
        relation = said[-1]
        need(isinstance(relation, Relation) and relation.name not in SUPERLATIVES)
        return [("condition", replace(cast("Relation", relation), negated=True))]

    def like(self, _relative: Token, words: list[str]) -> list[_Part]:
        return [("attributes", words)]

    def unlike(self, _relative: Token, _not: Token, words: list[str]) -> list[_Part]:
        return [("unlike", words)]

    def having(self, _has: Token, *said: Token | list[str]) -> list[_Part]:
        return [("having", _with(*said))]

    def lacking(self, _without: Token, *said: Token | list[str]) -> list[_Part]:
        return [("lacking", _with(*said))]

    def excluding(self, _except: Token, thing: Reading) -> list[_Part]:
        return [("condition", Exclusion(thing))]

    def measured_from(self, _from: Token, anchor: Reading) -> list[_Part]:
        need(anchor.count == 1)
        return [("measured_from", anchor)]


def _assemble(reading: Reading, parts: list[_Part]) -> Reading:
    if not parts:
        return reading
    draft = Draft(reading)
    for kind, value in parts:
        getattr(draft, kind)(value)
    return draft.reading()


def _only(said: tuple[object, ...]) -> Reading:
    return next(one for one in said if isinstance(one, Reading))


def _with(*said: Token | list[str]) -> str:
    """The words after "has" or "without", as a part of a noun: "with a handle"."""
    *determiner, words = said
    return " ".join(["with", *(str(word).strip() for word in determiner), *words])


def make_builder() -> Transformer[Reading]:
    """Return what makes a reading while the grammar's parser goes. It may raise `Unreadable`."""
    return _Builder()

"""A reading in the making."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from textregion_ros.language.plurals import SAME, is_plural, singular
from textregion_ros.language.reading import (
    ALL,
    OPPOSITES,
    Exclusion,
    NounPhrase,
    Reading,
    Relation,
    Selection,
)

# Relations that pick among several, and what "the nearest mug to the ball" calls them.
SUPERLATIVES = {"closest to": "nearest", "farthest from": "farthest"}
# What people set things down on: what is said after it is said of the thing that stands on it.
_SUPPORTS = frozenset({"table", "tabletop", "desk", "counter", "countertop", "workbench", "floor"})
_NAMELESS = frozenset({"thing", "something", "anything", "item"})
_ONES = frozenset({"one", "ones"})
_ANYTHING = "object"


class Unreadable(Exception):
    """The words fit the grammar and still make no sense together."""


def need(sense: bool) -> None:
    """Raises Unreadable where there is no sense."""
    if not sense:
        raise Unreadable


class Draft:
    """Takes what is said of a thing in the order of the words, one method for each kind."""

    def __init__(self, reading: Reading) -> None:
        self._noun = reading.head.noun
        self._attributes = list(reading.head.attributes)
        self._conditions = list(reading.conditions)
        self._count, self._other = reading.count, reading.other
        self._order = reading.selection.order if reading.selection else ""
        self._rank = reading.selection.rank if reading.selection else 0
        self._counted_from = False

    def order(self, order: str) -> None:
        """What one of several is the first in: leftmost, largest and so on."""
        need(not self._order)
        self._order = order

    def side(self, order: str) -> None:
        """Left or right before a noun, which it cannot do without."""
        self.order(order)

    def counted_from(self, order: str) -> None:
        """The end where the order starts: "from the left"."""
        self.order(order)
        self._counted_from = True

    def rank(self, rank: int) -> None:
        """Which one in the order, 1 the first; −1 the last."""
        need(not self._rank)
        self._rank = rank

    def other(self, other: bool) -> None:
        """Not the one that was spoken of."""
        need(not self._other)
        self._other = other

    def count(self, count: int) -> None:
        """Of a noun in the plural: `ALL`, a number, or first the one and then the other."""
        need(self._count in (1, ALL) and count != self._count)
        if self._count == 1 and self._noun not in _NAMELESS | _ONES:
            need(self._noun in SAME or is_plural(self._noun))
            self._noun = singular(self._noun)
        self._count = count

    def one_of(self, _one_of: bool) -> None:
        """One of a noun in the plural."""
        self._noun = singular(self._noun)

    def each(self, _each: bool) -> None:
        """All of a noun in the singular."""
        need(self._count == 1)
        self._count = ALL

    def everything(self, _everything: bool) -> None:
        """A word that leaves no place for a noun."""
        need(self._noun == "thing" and not self._attributes)

    def attributes(self, words: list[str]) -> None:
        """Said after the noun: "that is red"."""
        self._attributes += words

    def having(self, part: str) -> None:
        """A part that the encoder looks for with the noun: "with a handle"."""
        self._noun = f"{self._noun} {part}"

    def unlike(self, words: list[str]) -> None:
        """An attribute that it does not have."""
        self.condition(Exclusion(Reading(NounPhrase(self._noun, tuple(words)))))

    def lacking(self, part: str) -> None:
        """A part that it does not have."""
        self.condition(Exclusion(Reading(NounPhrase(f"{self._noun} {part}"))))

    def condition(self, condition: Relation | Exclusion) -> None:
        """What is said of a support that has it on is said of the thing itself."""
        self._conditions.append(condition)
        if not isinstance(condition, Relation) or condition.name != "on" or condition.negated:
            return
        anchor = condition.anchors[0]
        if anchor.head.text in _SUPPORTS:
            self._conditions[-1] = replace(condition, anchors=(Reading(anchor.head),))
            self._conditions += anchor.conditions
            if anchor.selection:
                self.order(anchor.selection.order)
                self.rank(anchor.selection.rank)

    def measured_from(self, anchor: Reading) -> None:
        """What the nearest or farthest of several is nearest to or farthest from."""
        names = [name for name, order in SUPERLATIVES.items() if order == self._order]
        need(bool(names) and not self._rank)
        self._order = ""
        self._conditions.append(Relation(names[0], (anchor,)))

    def reading(self) -> Reading:
        """Raises Unreadable where it picks twice, or picks one of what should be all."""
        selection = self._selection()
        picks = sum(getattr(one, "name", "") in SUPERLATIVES for one in self._conditions)
        picks += selection is not None
        need(picks <= 1 and not (picks and self._count == ALL))
        head = NounPhrase(self._noun, tuple(self._attributes))
        return Reading(head, tuple(self._conditions), selection, self._count, self._other)

    def _selection(self) -> Selection | None:
        """A rank without an order counts from the left, as one reads.

        The last from the left is the rightmost, and the last on the left the leftmost.
        """
        need(bool(self._rank) or not self._counted_from)
        if not (self._order or self._rank):
            return None
        order, rank = self._order or "leftmost", self._rank or 1
        if rank < 0:
            need(order in OPPOSITES)
            at_end = self._order and not self._counted_from
            order, rank = order if at_end else OPPOSITES[order], 1
        need(rank == 1 or (order != "middle" and self._count == 1))
        return Selection(order, rank)


def named(reading: Reading, noun: str = _ANYTHING) -> Reading:
    """The reading with names for what is called "one", the noun it was called after, or "thing"."""
    head = reading.head
    if head.noun in _ONES:
        head = replace(head, noun=noun)
    elif head.noun in _NAMELESS and not head.attributes:
        head = replace(head, noun=_ANYTHING)
    noun = noun if head.noun == _ANYTHING else head.noun
    return replace(reading, head=head, conditions=tuple(_conditions(reading, noun)))


def _conditions(reading: Reading, noun: str) -> Iterable[Relation | Exclusion]:
    for condition in reading.conditions:
        if isinstance(condition, Exclusion):
            yield Exclusion(named(condition.thing, noun))
        else:
            anchors = tuple(named(anchor, noun) for anchor in condition.anchors)
            yield replace(condition, anchors=anchors)

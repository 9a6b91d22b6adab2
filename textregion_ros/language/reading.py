"""What a phrase says: which thing is meant, and by what it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

ALL = 0  # a count: as many as there are

_FIRST_AND_LAST = {
    "leftmost": "rightmost",
    "topmost": "bottommost",
    "nearest": "farthest",
}
# Orders in space, each with the one that starts at the other end.
OPPOSITES = _FIRST_AND_LAST | {last: first for first, last in _FIRST_AND_LAST.items()}
_COUNTED_FROM = {"leftmost": "left", "rightmost": "right", "topmost": "top", "bottommost": "bottom"}
_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True)
class NounPhrase:
    """A name for things, without an article: the noun ("mug") and what is said of it ("red")."""

    noun: str
    attributes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As it is asked of the encoder: "red mug"."""
        return " ".join((*self.attributes, self.noun))


@dataclass(frozen=True)
class Selection:
    """One of several by its rank in an order, 1 the first: "second largest", "2nd from the left".

    order: leftmost, rightmost, topmost, bottommost, nearest, farthest, largest, smallest, tallest,
    shortest or middle.
    """

    order: str
    rank: int = 1

    def __str__(self) -> str:
        if self.rank == 1:
            return self.order
        number = f"{self.rank}{_SUFFIXES.get(self.rank, 'th')}"
        side = _COUNTED_FROM.get(self.order)
        return f"{number} from the {side}" if side else f"{number} {self.order}"


@dataclass(frozen=True)
class Relation:
    """How a thing stands to its anchors: one, or two for "between".

    name: as in `space.relations.RELATIONS`, or "closest to" or "farthest from". A relation between
    the members of one set has one anchor, with the count 2.
    """

    name: str
    anchors: tuple[Reading, ...]
    negated: bool = False

    def __str__(self) -> str:
        name = f"not {self.name}" if self.negated else self.name
        return f"{name} · {' & '.join(map(_within, self.anchors))}"


@dataclass(frozen=True)
class Exclusion:
    """Things that are not meant."""

    thing: Reading

    def __str__(self) -> str:
        return f"not · {_within(self.thing)}"


@dataclass(frozen=True)
class Reading:
    """A thing, or several, and what tells it from others of its name.

    The conditions come first and the selection picks among what meets them. count: how many are
    meant, `ALL` for all. other: one was spoken of already, and another is meant. whole: the
    grammar does not know the text, and the head is the text as it was given.
    `str` gives it in one line: "mug · left of · red ball".
    """

    head: NounPhrase
    conditions: tuple[Relation | Exclusion, ...] = ()
    selection: Selection | None = None
    count: int = 1
    other: bool = False
    whole: bool = field(default=False, kw_only=True)

    @property
    def plain(self) -> bool:
        """Whether it is a noun phrase and nothing else."""
        return not (self.conditions or self.selection or self.other) and self.count == 1

    def noun_phrases(self) -> tuple[str, ...]:
        """The texts that need a score on every region, each once, the head's first."""
        return tuple(dict.fromkeys(self._texts()))

    def _texts(self) -> Iterator[str]:
        yield self.head.text
        for condition in self.conditions:
            inner = (condition.thing,) if isinstance(condition, Exclusion) else condition.anchors
            for reading in inner:
                yield from reading._texts()

    def __str__(self) -> str:
        count = "" if self.count == 1 else "all" if self.count == ALL else str(self.count)
        parts = [self.head.text, count, "other" if self.other else "", self.selection or ""]
        return " · ".join(str(part) for part in (*parts, *self.conditions) if part)


def _within(reading: Reading) -> str:
    return reading.head.text if reading.plain else f"({reading})"

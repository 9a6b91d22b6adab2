"""Which regions of a scene a reading means.

Scores of noun phrases are probabilities, one a region. A relation is weighed over all pairs of a
thing and an anchor: the pair's value is the relation's own times the anchor's probability, and a
thing has that of its best pair, so that no anchor decides alone. What counts as found meets the
threshold with its noun and every condition at least half; superlatives, ordinals and counts are
over what counts as found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from textregion_ros.language.belief import Belief, Scores, View, believe
from textregion_ros.language.reading import ALL, Reading
from textregion_ros.space.placement import Layout

# Another region is as good as the best one from this share of its probability on.
AS_GOOD = 0.8
# Regions that overlap more are one thing.
SAME_THING = 0.5


@dataclass(frozen=True)
class Part:
    """A part of a reading, and how well the answer fits it, 0 … 1.

    region: the one that a noun phrase was found in; None for relations and selections. flat: it
    was measured in the picture for want of depth.
    """

    text: str
    score: float
    region: int | None = None
    flat: bool = False


@dataclass(frozen=True, eq=False)
class Resolution:
    """What a reading means in a scene.

    regions: numbers of those meant, best first; none where not found. probabilities: float64 R, of
    each region, also where nothing is found. anchors: the regions by which it was told from
    others. parts: how the best answer fits each part. ambiguous: more regions are as good, and all
    of them are returned. missing: the anchor that is not there, as text. flat: the picture stood
    in for space somewhere.
    """

    regions: tuple[int, ...]
    probabilities: np.ndarray
    anchors: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    ambiguous: bool = False
    missing: str | None = None
    flat: bool = False

    @property
    def found(self) -> bool:
        """Whether it means anything in the scene."""
        return bool(self.regions)

    @property
    def score(self) -> float:
        """Probability that the best answer is right; that of the best region where none is."""
        if self.regions:
            return float(self.probabilities[self.regions[0]])
        return float(self.probabilities.max(initial=0.0))


def resolve(
    reading: Reading,
    scores: Scores,
    layout: Layout,
    threshold: float,
    *,
    overlaps: np.ndarray | None = None,
    previous: Sequence[int] = (),
) -> Resolution:
    """Return which regions a reading means.

    Args:
        reading: of a sentence.
        scores: gives for each of `reading.noun_phrases()` the probability that it describes each
            region, float R.
        layout: the R regions' places.
        threshold: a region with this probability or more counts as found.
        overlaps: R×R, intersection over union of the masks; that of the boxes by default.
        previous: regions spoken of before, for "the other".

    Raises:
        ValueError: the scores or overlaps are not one a region.
        IndexError: there is no such region as one of those before.
    """
    overlaps = layout.overlaps if overlaps is None else np.asarray(overlaps)
    if overlaps.shape != (len(layout), len(layout)):
        raise ValueError(f"overlaps {overlaps.shape} for {len(layout)} regions")
    view = View(scores, layout, threshold, overlaps > SAME_THING, previous)
    belief = believe(reading, view)
    regions, ambiguous = _answer(belief, spoken_of=bool(previous))
    steps = [step for region in regions for step in _steps(belief, region)]
    own = set(regions)
    return Resolution(
        regions=regions,
        probabilities=belief.probability,
        anchors=tuple(
            dict.fromkeys(
                step.region for step in steps if step.region is not None and step.region not in own
            )
        ),
        parts=tuple(_steps(belief, regions[0])) if regions else (),
        ambiguous=ambiguous,
        missing=belief.missing,
        flat=any(step.flat for step in steps),
    )


def _answer(belief: Belief, spoken_of: bool) -> tuple[tuple[int, ...], bool]:
    """The regions meant, and whether there are more of them than were asked for."""
    reading, candidates = belief.reading, belief.candidates
    if reading.other and not spoken_of:
        # Which of them was spoken of is not known here.
        several = candidates if len(candidates) > reading.count else candidates[:0]
        return tuple(several.tolist()), bool(len(several))
    if reading.count == ALL:
        return tuple(candidates.tolist()), False
    if len(candidates) < reading.count:
        return (), False
    probability = belief.probability[candidates]
    good = probability >= AS_GOOD * probability[reading.count - 1]
    regions = tuple(candidates[good].tolist())
    return regions, len(regions) > reading.count


def _steps(belief: Belief, region: int) -> Iterator[Part]:
    """What tells a region from others, part by part."""
    yield Part(belief.reading.head.text, float(belief.noun[region]), region)
    if belief.reading.selection:
        yield Part(str(belief.reading.selection), belief.sure, flat=belief.flat)
    for one in belief.evidence:
        yield Part(one.text, float(one.met[region]), flat=bool(one.flat[region]))
        for anchor, partner in zip(one.anchors, one.partners[region].tolist(), strict=False):
            yield from _steps(anchor, partner)

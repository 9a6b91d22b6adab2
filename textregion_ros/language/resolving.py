"""Which regions of a scene a reading means.

Scores of noun phrases are probabilities, one a region. A relation is weighed over all pairs of a
thing and an anchor: the pair's value is the relation's own times the anchor's probability, and a
thing has that of its best pair, so that no anchor decides alone. What counts as found meets the
threshold with its noun and every condition at least half; superlatives, ordinals and counts are
over what counts as found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from textregion_ros.language.reading import ALL, Exclusion, Reading, Relation, Selection
from textregion_ros.space.orders import order
from textregion_ros.space.placement import Layout
from textregion_ros.space.relations import DISTANCE, evaluate, measure

# A condition is met from this value on.
MET = 0.5
# Another region is as good as the best one from this share of its probability on.
AS_GOOD = 0.8
# Regions that overlap more are one thing.
SAME_THING = 0.5
# Distances are told apart from such a ratio on.
TIE = 0.1
# Of more anchors than this, the best are weighed.
MAX_ANCHORS = 12
# Relations that pick among what is found: 1 for the least distance, −1 for the most.
_BY_DISTANCE = {"closest to": 1.0, "farthest from": -1.0}

Scores = Callable[[str], np.ndarray]


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
    """
    overlaps = layout.overlaps if overlaps is None else np.asarray(overlaps)
    if overlaps.shape != (len(layout), len(layout)):
        raise ValueError(f"overlaps {overlaps.shape} for {len(layout)} regions")
    view = _View(scores, layout, threshold, overlaps > SAME_THING, previous)
    belief = _believe(reading, view)
    regions, ambiguous = _answer(belief, spoken_of=bool(previous))
    steps = [step for region in regions for step in _steps(belief, region)]
    own = set(regions)
    return Resolution(
        regions=regions,
        probabilities=belief.probability,
        anchors=tuple({step.region: None for step in steps if step.region not in own | {None}}),
        parts=tuple(_steps(belief, regions[0])) if regions else (),
        ambiguous=ambiguous,
        missing=belief.missing,
        flat=any(step.flat for step in steps),
    )


@dataclass(frozen=True, eq=False)
class _View:
    """What a reading is resolved in. same: bool R×R, whether two regions are one thing."""

    scores: Scores
    layout: Layout
    threshold: float
    same: np.ndarray
    previous: Sequence[int]

    def noun(self, text: str) -> np.ndarray:
        scores = np.asarray(self.scores(text), np.float64)
        if scores.shape != (len(self.layout),):
            raise ValueError(f"scores {scores.shape} of {text!r} for {len(self.layout)} regions")
        return np.nan_to_num(scores.clip(0.0, 1.0))

    def distinct(self, regions: np.ndarray) -> np.ndarray:
        """The regions, best first, without those that show the same thing as a better one."""
        if not len(regions):
            return regions
        same = self.same[np.ix_(regions, regions)]
        kept = np.zeros(len(regions), bool)
        for index in range(len(regions)):
            kept[index] = not (same[index] & kept).any()
        return regions[kept]


@dataclass(frozen=True, eq=False)
class _Evidence:
    """How well each region meets a condition.

    met: float R, the condition's own value. value: float R, that times the anchors' probabilities.
    partners: int R×k, the anchors that each region meets it best with. flat: bool R.
    """

    text: str
    met: np.ndarray
    value: np.ndarray
    flat: np.ndarray
    partners: np.ndarray
    anchors: tuple[_Belief, ...] = ()

    @property
    def missing(self) -> str | None:
        """The first anchor that is not there."""
        absent = (one for one in self.anchors if len(one.candidates) < max(one.reading.count, 1))
        return next((one.missing or str(one.reading) for one in absent), None)


@dataclass(frozen=True, eq=False)
class _Belief:
    """What is known of a reading's thing.

    noun: float R, of the head alone. probability: float R, of all that is said. candidates: int,
    the regions that count as found and are picked, distinct, best first. picked: what picked them,
    if anything did. missing: an anchor that is not there.
    """

    reading: Reading
    noun: np.ndarray
    evidence: tuple[_Evidence, ...]
    probability: np.ndarray
    candidates: np.ndarray
    picked: Part | None
    missing: str | None


def _believe(reading: Reading, view: _View) -> _Belief:
    noun = view.noun(reading.head.text)
    picking = [one for one in reading.conditions if getattr(one, "name", "") in _BY_DISTANCE]
    others = [one for one in reading.conditions if one not in picking]
    evidence = [_weigh(condition, view) for condition in others]
    candidates = _candidates(noun, evidence, view)
    if reading.other:
        spoken_of = view.same[:, list(view.previous)].any(1)
        candidates = candidates[~spoken_of[candidates]]
    for condition in picking:
        evidence.append(_by_distance(condition, reading.count, candidates, view))
        candidates = candidates[evidence[-1].met[candidates] >= MET]
    probability = noun * np.prod([one.value for one in evidence], axis=0)
    picked = None
    if reading.selection:
        candidates, picked = _select(reading.selection, reading.count, candidates, view.layout)
        kept = np.isin(np.arange(len(noun)), candidates)
        probability = np.where(kept | (len(candidates) == 0), probability, 0.0)
    missing = next((one.missing for one in evidence if one.missing is not None), None)
    ranked = candidates[np.argsort(-probability[candidates], kind="stable")]
    candidates = ranked if missing is None else ranked[:0]
    return _Belief(reading, noun, tuple(evidence), probability, candidates, picked, missing)


def _candidates(noun: np.ndarray, evidence: Sequence[_Evidence], view: _View) -> np.ndarray:
    """The regions that count as found: distinct, best first."""
    found = noun >= view.threshold
    value = noun.copy()
    for one in evidence:
        found &= one.met >= MET
        value *= one.value
    regions = np.flatnonzero(found)
    return view.distinct(regions[np.argsort(-value[regions], kind="stable")])


def _weigh(condition: Relation | Exclusion, view: _View) -> _Evidence:
    if isinstance(condition, Exclusion):
        return _exclude(condition, view)
    beliefs = [_believe(anchor, view) for anchor in condition.anchors]
    if len(beliefs) == 1 and condition.anchors[0].count == 2:
        beliefs *= 2
    sets = [_anchors(belief) for belief in beliefs]
    met, flat = measure(condition.name, view.layout, *map(view.layout.take, sets))
    met = np.where(_same_region(len(view.layout), sets), 0.0, met)
    weight = np.ones((1,) * met.ndim)
    for axis, (belief, regions) in enumerate(zip(beliefs, sets, strict=True), 1):
        shape = [1] * met.ndim
        shape[axis] = -1
        weight = weight * belief.probability[regions].reshape(shape)
    return _best_pairs(condition, met, met * weight, flat, sets, tuple(beliefs))


def _anchors(belief: _Belief) -> np.ndarray:
    """The regions to weigh as anchors: the candidates, and where there are none the best region."""
    if len(belief.candidates):
        return belief.candidates[:MAX_ANCHORS]
    return np.argsort(-belief.probability, kind="stable")[:1]


def _same_region(count: int, sets: Sequence[np.ndarray]) -> np.ndarray:
    """Whether two of a thing and its anchors are one region, bool R×A or R×A×B."""
    grids = np.ix_(np.arange(count), *sets)
    same = grids[0] == grids[1]
    if len(sets) == 2:
        same = same | (grids[0] == grids[2]) | (grids[1] == grids[2])
    return same


def _best_pairs(
    condition: Relation,
    met: np.ndarray,
    value: np.ndarray,
    flat: np.ndarray,
    sets: Sequence[np.ndarray],
    beliefs: tuple[_Belief, ...],
) -> _Evidence:
    """The evidence of each region's best anchors, of values R×A or R×A×B."""
    count = len(met)
    name = f"not {condition.name}" if condition.negated else condition.name
    if not value.size:
        none = np.zeros(count)
        return _Evidence(name, none, none, none > 0, np.zeros((count, 0), int), beliefs)
    rows = np.arange(count)
    best = value.reshape(count, -1).argmax(1)
    at = np.unravel_index(best, value.shape[1:])
    partners = np.stack([regions[index] for regions, index in zip(sets, at, strict=True)], axis=1)
    met, value = met[(rows, *at)], value[(rows, *at)]
    if condition.negated:
        met, value = 1.0 - met, 1.0 - value
    return _Evidence(
        name, met, value, np.broadcast_to(flat, flat.shape)[(rows, *at)], partners, beliefs
    )


def _exclude(condition: Exclusion, view: _View) -> _Evidence:
    """Not what is excluded, nor another region of the same thing."""
    belief = _believe(condition.thing, view)
    excluded = np.where(view.same, belief.probability, 0.0).max(1, initial=0.0)
    left = 1.0 - excluded
    nobody = np.zeros((len(left), 0), int)
    return _Evidence(str(condition), left, left, np.zeros(len(left), bool), nobody)


def _by_distance(condition: Relation, count: int, among: np.ndarray, view: _View) -> _Evidence:
    """1 for those nearest to an anchor, or farthest from it; for more of them where distances tie.

    Of several anchors, each picks its own.
    """
    belief = _believe(condition.anchors[0], view)
    anchors = _anchors(belief)
    things, others = view.layout.take(among), view.layout.take(anchors)
    distances, flat = evaluate(DISTANCE, things, others)
    if flat.any():  # metres and pixels do not compare
        distances, _ = evaluate(replace(DISTANCE, solid=None), things, others)
    numbers = np.log(distances.clip(1e-6)) * _BY_DISTANCE[condition.name] / TIE
    numbers = np.where(_same_region_of(among, anchors), np.inf, numbers)
    met = np.zeros((len(view.layout), len(anchors)))
    for column in range(len(anchors)):
        met[_picked(numbers[:, column], 1, count, among), column] = 1.0
    everywhere = np.full(met.shape, bool(flat.any()))
    weighed = met * belief.probability[anchors]
    return _best_pairs(condition, met, weighed, everywhere, [anchors], (belief,))


def _same_region_of(things: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    return things[:, None] == anchors


def _select(
    selection: Selection, count: int, among: np.ndarray, layout: Layout
) -> tuple[np.ndarray, Part]:
    """Those that a selection picks among the candidates, and how surely."""
    numbers, flat = order(selection.order, layout.take(among))
    picked = _picked(numbers, selection.rank, count, among)
    share = count / len(picked) if len(picked) else 0.0
    return picked, Part(str(selection), share, flat=flat)


def _picked(numbers: np.ndarray, rank: int, count: int, among: np.ndarray) -> np.ndarray:
    """The regions from a rank on, as many as are meant, and those too close to tell from them.

    numbers: of each of `among`, the first the least, told apart from a difference of 1 on.
    None where there are too few.
    """
    ranked = np.sort(numbers)[rank - 1 : rank - 1 + count]
    if len(ranked) < count or not np.isfinite(ranked).all():
        return among[:0]
    close = np.abs(numbers[:, None] - ranked[[0, -1]]).min(1) < 1.0
    return among[close | ((numbers >= ranked[0]) & (numbers <= ranked[-1]))]


def _answer(belief: _Belief, spoken_of: bool) -> tuple[tuple[int, ...], bool]:
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


def _steps(belief: _Belief, region: int) -> Iterator[Part]:
    """What tells a region from others, part by part."""
    yield Part(belief.reading.head.text, float(belief.noun[region]), region)
    if belief.picked:
        yield belief.picked
    for one in belief.evidence:
        yield Part(one.text, float(one.met[region]), flat=bool(one.flat[region]))
        for anchor, partner in zip(one.anchors, one.partners[region].tolist(), strict=False):
            yield from _steps(anchor, partner)

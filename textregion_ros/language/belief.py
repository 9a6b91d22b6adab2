"""How likely each region is what a reading speaks of, weighed over its anchors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from textregion_ros.language.reading import Exclusion, Reading, Relation
from textregion_ros.space.orders import order
from textregion_ros.space.placement import Layout
from textregion_ros.space.relations import DISTANCE, evaluate, measure

# A condition is met from this value on.
MET = 0.5
# Distances are told apart from such a ratio on.
TIE = 0.1
# Of more anchors than this, the best are weighed.
MAX_ANCHORS = 12
# Relations that pick among what is found: 1 for the least distance, −1 for the most.
_BY_DISTANCE = {"closest to": 1.0, "farthest from": -1.0}

Scores = Callable[[str], np.ndarray]


@dataclass(frozen=True, eq=False)
class View:
    """What a reading is resolved in. same: bool R×R, whether two regions are one thing."""

    scores: Scores
    layout: Layout
    threshold: float
    same: np.ndarray
    previous: Sequence[int]

    def noun(self, text: str) -> np.ndarray:
        """The probabilities of a noun phrase. Raises ValueError where they are not one a region."""
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
class Evidence:
    """How well each region meets a condition.

    met: float R, the condition's own value. value: float R, that times the anchors' probabilities.
    partners: int R×k, the anchors that each region meets it best with. flat: bool R.
    """

    text: str
    met: np.ndarray
    value: np.ndarray
    flat: np.ndarray
    partners: np.ndarray
    anchors: tuple[Belief, ...] = ()

    @property
    def missing(self) -> str | None:
        """The first anchor that is not there."""
        absent = (one for one in self.anchors if len(one.candidates) < max(one.reading.count, 1))
        return next((one.missing or str(one.reading) for one in absent), None)


@dataclass(frozen=True, eq=False)
class Belief:
    """What is known of a reading's thing.

    noun: float R, of the head alone. probability: float R, of all that is said. candidates: int,
    the regions that count as found and are picked, distinct, best first. sure: where a selection
    picks, the share of what it picked that was asked for. flat: it picked by the picture for want
    of depth. missing: an anchor that is not there.
    """

    reading: Reading
    noun: np.ndarray
    evidence: tuple[Evidence, ...]
    probability: np.ndarray
    candidates: np.ndarray
    sure: float
    flat: bool
    missing: str | None


def believe(reading: Reading, view: View) -> Belief:
    """Return what is known of a reading's thing, and of its anchors on the way."""
    noun = view.noun(reading.head.text)
    picking = [
        one for one in reading.conditions if isinstance(one, Relation) and one.name in _BY_DISTANCE
    ]
    others = [one for one in reading.conditions if one not in picking]
    evidence = [_weigh(condition, view) for condition in others]
    candidates = _candidates(noun, evidence, view)
    if reading.other:
        spoken_of = np.asarray(view.same[:, list(view.previous)].any(1))
        candidates = candidates[~spoken_of[candidates]]
    for condition in picking:
        evidence.append(_by_distance(condition, reading.count, candidates, view))
        candidates = candidates[evidence[-1].met[candidates] >= MET]
    probability = noun * np.prod([one.value for one in evidence], axis=0)
    flat = False
    if reading.selection:
        numbers, flat = order(reading.selection.order, view.layout.take(candidates))
        candidates = _picked(numbers, reading.selection.rank, reading.count, candidates)
        probability = _only(candidates, probability)
    missing = next((one.missing for one in evidence if one.missing is not None), None)
    ranked = candidates[np.argsort(-probability[candidates], kind="stable")]
    sure = reading.count / max(len(ranked), reading.count, 1)
    candidates = ranked if missing is None else ranked[:0]
    return Belief(reading, noun, tuple(evidence), probability, candidates, sure, flat, missing)


def _only(regions: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """The probability of some regions, 0 of the others; of all where there are none."""
    if not len(regions):
        return probability
    kept = np.zeros(len(probability))
    kept[regions] = probability[regions]
    return kept


def _candidates(noun: np.ndarray, evidence: Sequence[Evidence], view: View) -> np.ndarray:
    """The regions that count as found: distinct, best first."""
    found = noun >= view.threshold
    value = noun.copy()
    for one in evidence:
        found &= one.met >= MET
        value *= one.value
    regions = np.flatnonzero(found)
    return view.distinct(regions[np.argsort(-value[regions], kind="stable")])


def _weigh(condition: Relation | Exclusion, view: View) -> Evidence:
    if isinstance(condition, Exclusion):
        return _exclude(condition, view)
    beliefs = [believe(anchor, view) for anchor in condition.anchors]
    if len(beliefs) == 1 and condition.anchors[0].count == 2:
        beliefs *= 2
    sets = [_anchors(belief) for belief in beliefs]
    met, flat = measure(condition.name, view.layout, *map(view.layout.take, sets))
    met = np.where(_same_region(len(view.layout), sets), 0.0, met)
    chances = [belief.probability[regions] for belief, regions in zip(beliefs, sets, strict=True)]
    value = met * reduce(np.multiply.outer, chances)
    return _best_pairs(condition, met, value, flat, sets, tuple(beliefs))


def _anchors(belief: Belief) -> np.ndarray:
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
    beliefs: tuple[Belief, ...],
) -> Evidence:
    """The evidence of each region's best anchors, of values R×A or R×A×B."""
    count = len(met)
    name = f"not {condition.name}" if condition.negated else condition.name
    if not value.size:
        none = np.zeros(count)
        return Evidence(name, none, none, none > 0, np.zeros((count, 0), int), beliefs)
    rows = np.arange(count)
    best = value.reshape(count, -1).argmax(1)
    at = np.unravel_index(best, value.shape[1:])
    partners = np.stack([regions[index] for regions, index in zip(sets, at, strict=True)], axis=1)
    chosen = (rows, *at)
    met, value = met[chosen], value[chosen]
    if condition.negated:
        met, value = 1.0 - met, 1.0 - value
    return Evidence(name, met, value, flat[chosen], partners, beliefs)


def _exclude(condition: Exclusion, view: View) -> Evidence:
    """Not what is excluded, nor another region of the same thing."""
    belief = believe(condition.thing, view)
    excluded = np.where(view.same, belief.probability, 0.0).max(1, initial=0.0)
    left = 1.0 - excluded
    nobody = np.zeros((len(left), 0), int)
    return Evidence(str(condition), left, left, np.zeros(len(left), bool), nobody)


def _by_distance(condition: Relation, count: int, among: np.ndarray, view: View) -> Evidence:
    """1 for those nearest to an anchor, or farthest from it; for more of them where distances tie.

    Of several anchors, each picks its own.
    """
    belief = believe(condition.anchors[0], view)
    anchors = _anchors(belief)
    things, others = view.layout.take(among), view.layout.take(anchors)
    distances, flat = evaluate(DISTANCE, things, others)
    if flat.any():  # metres and pixels do not compare
        distances, _ = evaluate(replace(DISTANCE, solid=None), things, others)
    numbers = np.log(distances.clip(1e-6)) * _BY_DISTANCE[condition.name] / TIE
    numbers = np.where(among[:, None] == anchors, np.inf, numbers)
    met = np.zeros((len(view.layout), len(anchors)))
    for column in range(len(anchors)):
        met[_picked(numbers[:, column], 1, count, among), column] = 1.0
    everywhere = np.full(met.shape, bool(flat.any()))
    weighed = met * belief.probability[anchors]
    return _best_pairs(condition, met, weighed, everywhere, [anchors], (belief,))


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

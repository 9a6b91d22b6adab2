"""From a similarity to a probability: how sure one may be that the best region is the right one.

Platt scaling (Platt, 1999) with two inputs: the best region's logit, and how far it lies above the
runner-up's. The three constants belong to a profile and are fitted on pictures of one's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 10
DUPLICATE_IOU = 0.5
"""Regions that overlap by more are the same thing."""


@dataclass(frozen=True)
class Calibration:
    """score = sigmoid(logit · the region's logit + margin · its lead + offset).

    The logit is scale · (cosine − the best negative's), as in `grounding.logits`. The lead is the
    logit less that of the best other region: below 0 for all but the best.
    """

    logit: float
    margin: float
    offset: float

    def scores(self, logits: np.ndarray, overlaps: np.ndarray) -> np.ndarray:
        """Return the probability that each region is the one that was asked for.

        Args:
            logits: [R].
            overlaps: R×R, IoU of the regions; near-duplicates are no rivals of each other.

        Returns:
            float32 [R] in 0..1.
        """
        return self.probability(logits, leads(logits, overlaps))

    def probability(self, logits: np.ndarray, leads: np.ndarray) -> np.ndarray:
        """Return float32 in 0..1 of logits and leads of any one shape."""
        return sigmoid(self.logit * logits + self.margin * leads + self.offset)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return float32 in 0..1 of any shape; cannot overflow."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)


def leads(
    logits: np.ndarray, overlaps: np.ndarray, duplicate_iou: float = DUPLICATE_IOU
) -> np.ndarray:
    """Return how far each region's logit lies above the best other one's; 0 where there is none.

    Args:
        logits: [R].
        overlaps: R×R, IoU of the regions.
        duplicate_iou: Regions that overlap by more are the same thing.

    Returns:
        float32 [R].
    """
    others = np.where(overlaps > duplicate_iou, -np.inf, logits[None, :])
    np.fill_diagonal(others, -np.inf)
    best = others.max(1, initial=-np.inf)
    return np.where(np.isfinite(best), logits - best, 0.0).astype(np.float32)


def balance(present: np.ndarray) -> np.ndarray:
    """Return weights [N] under which half of the questions are about absent things; mean 1.

    Args:
        present: bool [N], whether the thing asked for is there.
    """
    share = np.where(present, present.mean(), 1.0 - present.mean())
    return 0.5 / np.maximum(share, 1e-9)


def fit(
    logits: np.ndarray, leads: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> Calibration:
    """Fit a calibration by logistic regression.

    Both slopes are at least 0, so that a better match never scores less.

    Args:
        logits: [N], of the best regions.
        leads: [N], theirs.
        right: bool [N], whether that region was the right one.
        weights: [N].

    Raises:
        ImportError: scikit-learn is not installed.
    """
    from sklearn.linear_model import LogisticRegression

    both = np.stack([logits, leads], 1).astype(float)
    for columns in ([0, 1], [0]):
        model = LogisticRegression(C=1e3, max_iter=1000)
        model.fit(both[:, columns], right, sample_weight=weights)
        slopes = np.zeros(2)
        slopes[columns] = model.coef_[0]
        if (slopes >= 0).all():
            break
    return Calibration(*(round(float(x), 4) for x in (*slopes, model.intercept_[0])))


def threshold_at(scores: np.ndarray, rate: float) -> float:
    """Return the least threshold, to a hundredth, that a share `rate` of scores reach.

    Args:
        scores: [N], of absent things.
        rate: The share, 0..1.
    """
    steps = np.arange(1, 100) / 100
    reached = (np.asarray(scores)[None, :] >= steps[:, None]).mean(1)
    fitting = steps[reached <= rate]
    return float(fitting[0]) if len(fitting) else 1.0


def expected_calibration_error(
    scores: np.ndarray, right: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return the mean gap between score and share of right answers, over ten bins of equal width.

    Args:
        scores: [N] in 0..1.
        right: bool [N].
        weights: [N]; None for equal ones.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    rows = reliability(scores, right, weights)
    return float(sum(weight * abs(score - share) for score, share, weight in rows))


def reliability(
    scores: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> list[tuple[float, float, float]]:
    """Return, for each bin that holds a score, what it is and how often it is right.

    Args:
        scores: [N] in 0..1.
        right: bool [N].
        weights: [N].

    Returns:
        Mean score, share of right answers, share of all weight.
    """
    places = np.minimum((np.asarray(scores) * BINS).astype(int), BINS - 1)
    rows = []
    for place in range(BINS):
        inside = places == place
        weight = weights[inside]
        if weight.sum() > 0:
            mean = [float(np.average(part[inside], weights=weight)) for part in (scores, right)]
            rows.append((mean[0], mean[1], float(weight.sum() / weights.sum())))
    return rows

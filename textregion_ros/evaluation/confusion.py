"""One confusion matrix, and everything that is read from it."""

from __future__ import annotations

from typing import Any

import numpy as np

Counts = list[list[int]]


def count_pairs(truth: np.ndarray, predicted: np.ndarray, classes: int) -> Counts:
    """[class, predicted, pixels] of every pair that occurs, from int arrays of equal shape.

    truth: 0…classes−1, or −1 for pixels that are not counted. predicted: 0…classes−1, or
    `classes` for no label.
    """
    counted = truth >= 0
    pairs = truth[counted] * (classes + 1) + predicted[counted]
    pixels = np.bincount(pairs)
    return [
        [*map(int, divmod(pair, classes + 1)), int(pixels[pair])] for pair in pixels.nonzero()[0]
    ]


def confusion(samples: list[Counts], classes: int) -> np.ndarray:
    """int64 C×(C+1): pixels of each class by what they were predicted as, no label last."""
    matrix = np.zeros((classes, classes + 1), np.int64)
    for true, predicted, pixels in (row for counts in samples for row in counts):
        matrix[true, predicted] += pixels
    return matrix


def measures(matrix: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Shares 0..1 from a matrix C×(C+1): mIoU, mean and pixel accuracy, IoU for each class.

    Classes that are neither there nor predicted have no IoU (None) and are left out of the mean,
    as mmsegmentation does it; so are classes that are not there in the mean accuracy.
    """
    hit = matrix.diagonal().astype(np.float64)
    there = matrix.sum(1)
    union = there + matrix[:, :-1].sum(0) - hit
    with np.errstate(invalid="ignore"):
        iou, accuracy = hit / union, hit / there
    return {
        "miou": _mean(iou),
        "mean_accuracy": _mean(accuracy),
        "pixel_accuracy": float(hit.sum() / there.sum()) if there.any() else None,
        "pixels": int(there.sum()),
        "classes": [
            {"name": name, "iou": None if np.isnan(value) else float(value)}
            for name, value in zip(names, iou, strict=True)
        ],
    }


def _mean(shares: np.ndarray) -> float | None:
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if len(known) else None

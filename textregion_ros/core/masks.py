"""Masks: cut from mask logits, kept cropped to their box, made whole where somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textregion_ros.core.boxes import Box, mask_box


@dataclass(frozen=True, eq=False)
class Taps:
    """For each pixel along one axis, the two samples that bilinear resizing blends.

    Attributes:
        low: int64 [n], index of the nearer sample on the low side.
        high: int64 [n], index of the one after it.
        weight: float32 [n], share of `high`.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    def at(self, part: slice) -> Taps:
        """Return the taps of some of the pixels."""
        return Taps(self.low[part], self.high[part], self.weight[part])

    def reading(self, start: int, stop: int) -> slice:
        """Return the pixels that read any of the samples start … stop − 1."""
        first = int(np.searchsorted(self.high, start))
        return slice(first, int(np.searchsorted(self.low, stop)))


def taps(source: int, target: int) -> Taps:
    """Return the taps that resize an axis of `source` samples to `target` pixels.

    Centres lie at half integers, edges are clamped, and there is no anti-aliasing.
    """
    centre = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    low = np.minimum(centre.astype(np.int64), source - 1)
    return Taps(low, np.minimum(low + 1, source - 1), (centre - low).astype(np.float32))


def sample(logits: np.ndarray, rows: Taps, columns: Taps) -> np.ndarray:
    """Return mask logits L×L at the crossings of rows and columns: float32 h×w."""
    values = logits.astype(np.float32, copy=False)
    values = _blend(values[rows.low], values[rows.high], rows.weight[:, None])
    return _blend(values[:, columns.low], values[:, columns.high], columns.weight)


def _blend(low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return low + weight * (high - low)


def cut_mask(logits: np.ndarray, image_size: tuple[int, int], box: Box) -> np.ndarray:
    """Return where mask logits are above 0 in a box of the image: bool h×w.

    Args:
        logits: float16 or float32 L×L, stretched over the whole image.
        image_size: (H, W) of the image, px.
        box: x y w h, px of the image.
    """
    x, y, w, h = box
    rows = taps(logits.shape[0], image_size[0]).at(slice(y, y + h))
    columns = taps(logits.shape[1], image_size[1]).at(slice(x, x + w))
    return sample(logits, rows, columns) > 0


def mask_boxes(logits: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Return the tight boxes of masks in the image, without making the masks: int32 R×4, x y w h.

    Args:
        logits: R×L×L, stretched over the whole image.
        image_size: (H, W) of the image, px.
    """
    boxes = np.zeros((len(logits), 4), np.int32)
    if not len(logits):
        return boxes
    rows, columns = (taps(n, m) for n, m in zip(logits.shape[1:], image_size, strict=True))
    for box, one in zip(boxes, logits, strict=True):
        x, y, w, h = mask_box(one > 0)
        near_rows, near_columns = rows.reading(y, y + h), columns.reading(x, x + w)
        box[:] = mask_box(sample(one, rows.at(near_rows), columns.at(near_columns)) > 0)
        if box[2]:
            box[:2] += (near_columns.start, near_rows.start)
    return boxes


def whole_mask(crop: np.ndarray, box: Box, image_size: tuple[int, int]) -> np.ndarray:
    """Return a mask that was cropped to its box as bool H×W of the image."""
    x, y, w, h = box
    mask = np.zeros(image_size, bool)
    mask[y : y + h, x : x + w] = crop
    return mask


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of bool masks H×W; 0 where both are empty."""
    return float((a & b).sum() / max((a | b).sum(), 1))

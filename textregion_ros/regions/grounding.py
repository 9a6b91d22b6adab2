"""Region tokens × text vectors -> scores, and the regions that answer each text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from textregion_ros.regions.bilinear import Taps, make_taps, sample
from textregion_ros.regions.calibration import sigmoid
from textregion_ros.regions.errors import BadQuery
from textregion_ros.regions.results import Box, EncodedFrame, Grounding, Region

DUPLICATE_IOU = 0.5


def relevancy(cosine: np.ndarray, rivals: np.ndarray, scale: float, bias: float) -> np.ndarray:
    """float32 [R] in 0..1: how much better a text describes each region than any negative does.

    cosine [R]: of each region's token with the text; rivals R×N: with each negative. The least,
    over the negatives, of the softmax over {text, negative}, as in LERF (arXiv 2303.09553):
    sigmoid(scale · (cosine − rival)).
    Without negatives: sigmoid(scale · cosine + bias).
    """
    return sigmoid(logits(cosine, rivals, scale, bias))


def logits(cosine: np.ndarray, rivals: np.ndarray, scale: float, bias: float) -> np.ndarray:
    """[R] of any size, above 0 where the text beats every negative; `relevancy` is its sigmoid."""
    return scale * (cosine - rivals.max(1)) if rivals.shape[1] else scale * cosine + bias


def check_query(threshold: float, top_k: int) -> None:
    """Raises BadQuery for a threshold outside 0..1 or a negative top_k."""
    if not 0.0 <= threshold <= 1.0:
        raise BadQuery(f"the threshold {threshold} is not within 0..1")
    if top_k < 0:
        raise BadQuery(f"top_k is {top_k}: it must be 0 (all) or more")


def distinct(scores: np.ndarray, overlaps: np.ndarray, count: int) -> list[int]:
    """Indices by falling score, without those that overlap a better one; `count` 0 for all."""
    chosen: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if chosen and overlaps[index, chosen].max() > DUPLICATE_IOU:
            continue
        chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen


def answer(
    frame: EncodedFrame, text: str, scores: np.ndarray, threshold: float, top_k: int
) -> Grounding:
    """The regions of `frame` whose scores [R] reach the threshold, best first, at most top_k.

    `top_k` 0 returns all of them. A threshold of 0 always returns the best region there is.
    """
    ranked = distinct(scores, frame.overlaps, top_k + 1 if top_k else 0)
    ladder = [float(scores[index]) for index in ranked] + [0.0]
    regions = tuple(
        make_region(frame, index, ladder[rank], ladder[rank] - ladder[rank + 1])
        for rank, index in enumerate(ranked[:top_k] if top_k else ranked)
        if ladder[rank] >= threshold
    )
    box = union_box([region.box for region in regions])
    return Grounding(text, bool(regions), ladder[0], regions, box)


def make_region(frame: EncodedFrame, index: int, score: float, margin: float) -> Region:
    """Region `index` of the frame, its mask at the camera's size."""
    x, y, w, h = (int(value) for value in frame.boxes[index])
    # Only the box is looked at: an answer costs as much as its object is large.
    mask = mask_at(frame.masks[index], frame.image_size, (x, y, w, h))
    return Region(index, (x, y, w, h), mask, score, margin)


def mask_at(logits: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Where mask logits L×L, resized bilinearly to `size` (H, W), are above 0 in a box: bool H×W.

    box: x y w h, pixels of the resized mask; False outside of it.
    """
    x, y, w, h = box
    rows = make_taps(logits.shape[0], size[0]).at(slice(y, y + h))
    columns = make_taps(logits.shape[1], size[1]).at(slice(x, x + w))
    mask = np.zeros(size, bool)
    mask[y : y + h, x : x + w] = sample(torch.from_numpy(logits).float(), rows, columns) > 0
    return mask


def boxes_at(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """int32 R×4, x y w h: the boxes of `mask_at` for mask logits R×L×L, without the whole masks."""
    boxes = np.zeros((len(masks), 4), np.int32)
    if not len(masks):
        return boxes
    rows, columns = make_taps(masks.shape[1], size[0]), make_taps(masks.shape[2], size[1])
    for box, logits in zip(boxes, masks, strict=True):
        x, y, w, h = mask_box(logits > 0)
        near_rows, near_columns = _reading(rows, y, y + h), _reading(columns, x, x + w)
        part = sample(
            torch.from_numpy(logits).float(), rows.at(near_rows), columns.at(near_columns)
        )
        box[:] = mask_box((part > 0).numpy())
        if box[2]:
            box[:2] += (near_columns.start, near_rows.start)
    return boxes


def mask_overlaps(logits: torch.Tensor) -> torch.Tensor:
    """float32 R×R: intersection over union of mask logits R×L×L above 0."""
    inside = (logits > 0).flatten(1).float()
    shared = inside @ inside.T
    area = inside.sum(1)
    return shared / (area[:, None] + area[None] - shared).clamp(min=1.0)


def _reading(taps: Taps, start: int, stop: int) -> slice:
    """The target samples that read any of the source samples start … stop−1."""
    first = int(np.searchsorted(taps.high.numpy(), start))
    return slice(first, int(np.searchsorted(taps.low.numpy(), stop)))


def mask_box(mask: np.ndarray) -> Box:
    """The smallest box x y w h that holds the True pixels of H×W; all 0 where there is none."""
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    if not len(rows):
        return 0, 0, 0, 0
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def union_box(boxes: Sequence[Box]) -> Box | None:
    """The smallest box around boxes x y w h; None for none."""
    if not boxes:
        return None
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    left, top = corners[:, :2].min(0)
    right, bottom = corners[:, 2:].max(0)
    return int(left), int(top), int(right - left), int(bottom - top)

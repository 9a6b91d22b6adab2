"""The masks of point prompts, filtered, and grouped into regions.

The automatic mask generator of TextRegion (arXiv 2505.23769): of three masks for every prompt,
those that pass the filters, fused where one contains the other. Boxes here are x0 y0 x1 y1 with
inclusive ends, in pixels of SAM 2's low-resolution masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms

from textregion_ros.regions.bilinear import Taps, make_taps, sample_weights
from textregion_ros.regions.settings import ProposalSettings
from textregion_ros.regions.tokens import MASK_CEILING

LOGIT_LIMIT = 32.0
BLOCK_VALUES = 2_000_000  # values looked at together when masks are measured or compared


@dataclass(frozen=True, eq=False)
class Passed:
    """Masks that passed the filters, in the order in which they seed regions.

    Attributes:
        logits: float16 K×L×L.
        boxes: float32 K×4, x0 y0 x1 y1 inclusive, low-resolution pixels.
    """

    logits: Tensor
    boxes: Tensor


def passing(logits: Tensor, ious: Tensor, settings: ProposalSettings) -> Passed:
    """Filter masks by quality, stability, overlap and size.

    Args:
        logits: float16 P×3×L×L mask logits, in the order sub-part, part, whole.
        ious: float32 P×3, predicted IoU.
        settings: The thresholds.

    Returns:
        The masks that pass. With fusion on, wholes come first, then parts, then sub-parts, each
        by falling predicted IoU.
    """
    level = torch.arange(3, device=ious.device).repeat_interleave(len(ious))  # 0: whole
    scores, count = ious.flip(1).T.flatten(), max(1, len(ious))
    picked = (scores > settings.pred_iou_thresh).nonzero()[:, 0]
    block = max(1, BLOCK_VALUES // logits.shape[2:].numel())
    parts = [
        _measure(logits[part % count, 2 - level[part]].half(), settings.stability_offset)
        for part in picked.split(block)
    ]
    area, steady, boxes = (torch.cat(part) for part in zip(*parts, strict=True))
    keep = (steady >= settings.stability_thresh).nonzero()[:, 0]
    keep = keep[nms(boxes[keep], scores[picked[keep]].float(), settings.box_nms_thresh)]
    keep = keep[area[keep] > settings.min_mask_size]
    if settings.fuse_threshold is not None:
        keep = keep[level[picked[keep]].sort(stable=True).indices]
    kept = picked[keep]
    kept = logits[kept % count, 2 - level[kept]].half().clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    if not settings.min_part:
        return Passed(kept, boxes[keep])
    kept = without_strays(kept, boxes[keep], settings.min_part)
    return Passed(kept, mask_boxes(_above(kept, 0.0).view(torch.int16)))


def without_strays(logits: Tensor, boxes: Tensor, share: float) -> Tensor:
    """Take small parts out of masks. The parts are found on the CPU.

    Args:
        logits: K×L×L mask logits. A part is what hangs together at logit > 0, corners included.
        boxes: Their `mask_boxes`.
        share: Parts smaller than this share of the mask's largest are taken out.

    Returns:
        The logits, negated in the parts taken out, which leaves no rim.
    """
    masks = (logits > 0).cpu().numpy().view(np.uint8)
    stray = np.zeros(masks.shape, bool)
    for mask, to_drop, (x0, y0, x1, y1) in zip(masks, stray, boxes.int().tolist(), strict=True):
        window = slice(y0, y1 + 1), slice(x0, x1 + 1)  # a quarter of the time of whole masks
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask[window])
        if count > 2:
            areas = stats[:, cv2.CC_STAT_AREA]
            small = areas < share * areas[1:].max()
            small[0] = False  # around the mask
            to_drop[window] = small[labels]
    return torch.where(torch.from_numpy(stray).to(logits.device), -logits, logits)


def _measure(masks: Tensor, offset: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return area [K] at logit > 0, stability [K] and boxes K×4 of mask logits float16 K×L×L."""
    inside = _above(masks, 0.0)
    boxes = mask_boxes(inside.view(torch.int16))  # integers: a tenth of the time of halves
    return inside.sum((1, 2), dtype=torch.float32), stability(masks, offset), boxes


def _above(masks: Tensor, level: float) -> Tensor:
    """Return 1 where above the level, else 0, in the masks' own type: six times as fast as bool."""
    return torch.gt(masks, level, out=torch.empty_like(masks))


def stability(masks: Tensor, offset: float) -> Tensor:
    """Return the area at logit > +offset over that at logit > −offset: float32 [K]; 0/0 is NaN."""
    high, low = _above(masks, offset), _above(masks, -offset)
    return high.sum((1, 2), dtype=torch.float32) / low.sum((1, 2), dtype=torch.float32)


def mask_boxes(masks: Tensor) -> Tensor:
    """Return the boxes of masks K×H×W: float32 K×4, x0 y0 x1 y1 inclusive; 0 where one is empty."""
    sides = []
    for axis in (1, 2):  # the columns that are filled, then the rows
        filled = masks.amax(axis) != 0
        last = filled.shape[1] - 1 - filled.flip(1).int().argmax(1)
        sides.append((filled.int().argmax(1), torch.where(filled.any(1), last, 0)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1).float()


def box_ious(boxes: Tensor) -> Tensor:
    """Return the IoU of every two boxes: K×K of K×4, a box as wide as its ends are apart."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (area[:, None] + area[None] - shared + 1e-8)


def fuse(passed: Passed, size: tuple[int, int], settings: ProposalSettings) -> Tensor:
    """Group masks into regions.

    Greedy, in order: the first free mask is a seed. It takes every free mask whose box overlaps
    the seed's, if one of the two contains the other.

    Args:
        passed: The masks.
        size: (h, w) at which they are compared, px.
        settings: The thresholds.

    Returns:
        int64 [K], the region of each mask, numbered by seed; −1 for an empty mask.
    """
    soft = passed.logits.clamp(0.0, MASK_CEILING)
    taps = [make_taps(soft.shape[1], side, soft.device) for side in size]
    rows, columns = (sample_weights(soft.shape[1], axis) for axis in taps)
    sums = soft.float() @ columns @ rows
    free = (sums > 0).tolist()
    partners: list[list[int]] = [[] for _ in free]
    if settings.fuse_threshold is not None:
        near = (box_ious(passed.boxes) > settings.fuse_box_iou).triu(1)
        left, right = near.nonzero().T
        smaller = torch.minimum(sums[left], sums[right])
        inside = min_sums(soft, passed.boxes, left, right, *taps) / smaller.clamp(min=1e-8)
        joined = (inside > settings.fuse_threshold) & (smaller >= 1e-8)
        for i, j in torch.stack([left, right], 1)[joined].tolist():
            partners[i].append(j)
    return torch.tensor(greedy_groups(free, partners), dtype=torch.long, device=soft.device)


def greedy_groups(free: list[bool], partners: list[list[int]]) -> list[int]:
    """Return the groups' numbers: each free seed in turn takes its later partners still free."""
    groups, count = [-1] * len(free), 0
    for seed in range(len(free)):
        if not free[seed]:
            continue
        for member in (seed, *(other for other in partners[seed] if free[other])):
            groups[member], free[member] = count, False
        count += 1
    return groups


def min_sums(
    soft: Tensor, boxes: Tensor, left: Tensor, right: Tensor, rows: Taps, columns: Taps
) -> Tensor:
    """Return, for pairs of resized masks, the sum over all pixels of the smaller of the two.

    The resized masks are never made. Between four neighbouring samples a resized mask is bilinear.
    Where one mask is the smaller at all four, it is so in between, and the sum is linear in them.
    Only in the other cells, where the two masks' surfaces cross, are the pixels looked at.

    Args:
        soft: K×L×L.
        boxes: Their `mask_boxes`.
        left: int64 [N], the first masks of the pairs.
        right: int64 [N], the second.
        rows: What resizes the masks' rows.
        columns: What resizes their columns.

    Returns:
        float32 [N].
    """
    total, length = torch.zeros(len(left), device=soft.device), soft.shape[1]
    weights = [sample_weights(length, axis) for axis in (rows, columns)]
    cells = [_cell_pixels(axis, length) for axis in (rows, columns)]
    for pairs, x, y in _windows(boxes, left, right, length):
        a, b = (
            soft[mask[pairs, None, None], y[:, :, None], x[:, None]].float()
            for mask in (left, right)
        )
        linear = (torch.minimum(a, b) @ weights[1][x][:, :, None])[..., 0] * weights[0][y]
        total[pairs] = linear.sum(1) + _crossing_excess(a, b, y, x, cells)
    return total


def _windows(
    boxes: Tensor, left: Tensor, right: Tensor, length: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Cut square windows around what the boxes of pairs share, with a rim of one sample.

    Where they share nothing, the smaller of the two masks is 0.

    Yields:
        For a block of pairs with windows of one size: which pairs [N], and the columns and rows
        that their windows read, N×S each.
    """
    low = torch.maximum(boxes[left, :2], boxes[right, :2]) - 1
    high = torch.minimum(boxes[left, 2:], boxes[right, 2:]) + 1
    extent = (high - low + 1).amax(1).clamp(min=1)
    sides = (2 ** extent.log2().ceil()).long().clamp(max=length)
    for side in sides.unique().tolist():
        reach = torch.arange(side, device=boxes.device)
        for pairs in (sides == side).nonzero()[:, 0].split(max(1, BLOCK_VALUES // side**2)):
            start = low[pairs].long().clamp(min=0, max=length - side)
            yield pairs, start[:, :1] + reach, start[:, 1:] + reach


def _crossing_excess(
    a: Tensor, b: Tensor, y: Tensor, x: Tensor, cells: list[tuple[Tensor, Tensor]]
) -> Tensor:
    """Return what the pixels in crossing cells add to the sum of the resized smaller mask: [N].

    Args:
        a: N×S×S, samples of the first masks.
        b: N×S×S, samples of the second.
        y: N×S, the rows that they were read at.
        x: N×S, the columns.
        cells: Of `_cell_pixels`, rows first.
    """
    gap = F.pad(a - b, (0, 1, 0, 1), mode="replicate")
    crossing = _at_any_corner(gap > 0) & _at_any_corner(gap < 0)
    pair, top, left = crossing.nonzero().T
    excess, last = a.new_zeros(len(a)), a.shape[1] - 1
    (row_pixels, row_used), (column_pixels, column_used) = cells
    block = max(1, BLOCK_VALUES // max(1, row_pixels.shape[1] * column_pixels.shape[1]))
    for n, i, j in zip(pair.split(block), top.split(block), left.split(block), strict=True):
        row, column, i1, j1 = y[n, i], x[n, j], (i + 1).clamp(max=last), (j + 1).clamp(max=last)
        dy, dx = row_pixels[row][:, :, None], column_pixels[column][:, None, :]
        corners = [
            torch.stack([m[n, i, j], m[n, i, j1], m[n, i1, j], m[n, i1, j1]])[..., None, None]
            for m in (a, b)
        ]
        first, second = (_blend(values, dy, dx) for values in corners)
        linear = _blend(torch.minimum(*corners), dy, dx)
        used = row_used[row][:, :, None] & column_used[column][:, None, :]
        excess.index_add_(0, n, ((torch.minimum(first, second) - linear) * used).sum((1, 2)))
    return excess


def _at_any_corner(samples: Tensor) -> Tensor:
    """Return whether any of a cell's four corners is True: bool N×(h+1)×(w+1) -> N×h×w."""
    columns = samples[..., 1:] | samples[..., :-1]
    return columns[:, 1:] | columns[:, :-1]


def _blend(corners: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """Return the bilinear value inside a cell from its corners (4, …), rows first."""
    top, bottom = torch.lerp(corners[0], corners[1], dx), torch.lerp(corners[2], corners[3], dx)
    return torch.lerp(top, bottom, dy)


def _cell_pixels(taps: Taps, cells: int) -> tuple[Tensor, Tensor]:
    """Return each source cell's target samples: their weights L×m, and which exist L×m."""
    count = torch.bincount(taps.low, minlength=cells)
    place = torch.arange(len(taps.low), device=count.device) - (count.cumsum(0) - count)[taps.low]
    weight = torch.zeros(cells, int(count.max()), device=count.device)
    weight[taps.low, place] = taps.weight
    return weight, torch.arange(weight.shape[1], device=count.device) < count[:, None]

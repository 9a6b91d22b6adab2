"""SAM2: an image -> candidate masks -> groups of candidates that are one region.

The automatic mask generator of TextRegion (arXiv 2505.23769): a grid of point prompts, three masks
each, filtered, and fused where one contains the other. Boxes here are x0 y0 x1 y1 with inclusive
ends, in pixels of SAM2's low-resolution mask grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import masks_to_boxes, nms

from textregion_ros.regions.bilinear import Taps, make_taps, sample_weights
from textregion_ros.regions.decoder import ImageDecoder
from textregion_ros.regions.profile import ProposalSettings
from textregion_ros.regions.tokens import MASK_CEILING

LOGIT_LIMIT = 32.0
BLOCK_VALUES = 8_000_000  # float32 values looked at together when masks are compared
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Candidates:
    """Masks that passed the filters, in the order in which they seed regions.

    logits: float16 K×L×L. boxes: float32 K×4, x0 y0 x1 y1 inclusive, low-resolution pixels.
    """

    logits: Tensor
    boxes: Tensor


def select_candidates(logits: Tensor, ious: Tensor, settings: ProposalSettings) -> Candidates:
    """Filter the decoder's masks by quality, stability, overlap and size.

    `logits`: P×3×L×L mask logits, tokens in the order sub-part, part, whole; `ious`: P×3 predicted
    IoU. With fusion on, wholes come first, then parts, then sub-parts, each by falling IoU.
    """
    level = torch.arange(3, device=ious.device).repeat_interleave(len(ious))  # 0: whole
    scores = ious.flip(1).T.flatten()
    masks = logits.flip(1).transpose(0, 1)
    picked = (scores > settings.pred_iou_thresh).nonzero()[:, 0]
    masks = masks[level[picked], picked % max(1, len(ious))]
    masks = masks.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).half()
    stable = stability(masks, settings.stability_offset) >= settings.stability_thresh
    picked, masks = picked[stable], masks[stable]
    boxes = mask_boxes(masks > 0)
    keep = nms(boxes, scores[picked].float(), settings.box_nms_thresh)
    keep = keep[(masks[keep] > 0).sum((1, 2)) > settings.min_mask_size]
    if settings.fuse_threshold is not None:
        keep = keep[level[picked[keep]].sort(stable=True).indices]
    return Candidates(masks[keep], boxes[keep])


def stability(masks: Tensor, offset: float) -> Tensor:
    """float32 [K]: area at logit > +offset over area at logit > −offset; 0/0 is NaN."""
    return (masks > offset).sum((1, 2)) / (masks > -offset).sum((1, 2))


def mask_boxes(masks: Tensor) -> Tensor:
    """float32 K×4, x0 y0 x1 y1 inclusive, of bool masks K×H×W; zeros where a mask is empty."""
    boxes = torch.zeros(len(masks), 4, device=masks.device)
    filled = masks.flatten(1).any(1)
    boxes[filled] = masks_to_boxes(masks[filled]).float()
    return boxes


def box_iou(boxes: Tensor) -> Tensor:
    """K×K intersection over union of boxes K×4."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (area[:, None] + area[None] - shared + 1e-8)


def fuse(candidates: Candidates, size: tuple[int, int], settings: ProposalSettings) -> Tensor:
    """int64 [K]: the region each candidate belongs to, numbered by seed; −1 for an empty mask.

    Greedy, in order: the first free candidate is a seed and takes every free one which overlaps
    its box and whose soft mask at `size` (h, w), or the seed's, the other contains.
    """
    soft = candidates.logits.float().clamp(0.0, MASK_CEILING)
    taps = [make_taps(soft.shape[1], side, soft.device) for side in size]
    rows, columns = (sample_weights(soft.shape[1], axis) for axis in taps)
    sums = torch.einsum("khw,h,w->k", soft, rows, columns)
    free = (sums > 0).tolist()
    partners = [[] for _ in free]
    if settings.fuse_threshold is not None:
        near = (box_iou(candidates.boxes) > settings.fuse_box_iou).triu(1)
        left, right = near.nonzero().T
        smaller = torch.minimum(sums[left], sums[right])
        inside = min_sums(soft, left, right, *taps) / smaller.clamp(min=1e-8)
        joined = (inside > settings.fuse_threshold) & (smaller >= 1e-8)
        for i, j in torch.stack([left, right], 1)[joined].tolist():
            partners[i].append(j)
    return torch.tensor(greedy_groups(free, partners), dtype=torch.long, device=soft.device)


def greedy_groups(free: list[bool], partners: list[list[int]]) -> list[int]:
    """Number the groups: each free seed in turn takes its later partners that are still free."""
    groups, count = [-1] * len(free), 0
    for seed in range(len(free)):
        if not free[seed]:
            continue
        for member in (seed, *(other for other in partners[seed] if free[other])):
            groups[member], free[member] = count, False
        count += 1
    return groups


def min_sums(soft: Tensor, left: Tensor, right: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """float32 [N]: for pairs of masks, the sum over all pixels of the smaller of the two.

    `soft`: K×L×L; `left`, `right`: int64 [N]; the pixels are those of the resized masks, which are
    never made. Between four neighbouring samples a resized mask is bilinear; where one mask is the
    smaller at all four, it is so in between, and the sum is linear in them. Only in the other
    cells, where the two masks' surfaces cross, are the pixels looked at.
    """
    if not len(left):
        return soft.new_zeros(0)
    weights = [sample_weights(soft.shape[1], axis) for axis in (rows, columns)]
    pairs = max(1, BLOCK_VALUES // soft[0].numel())
    parts = []
    for a, b in zip(left.split(pairs), right.split(pairs), strict=True):
        a, b = soft[a], soft[b]
        smaller = torch.einsum("nhw,h,w->n", torch.minimum(a, b), *weights)
        parts.append(smaller + _crossing_excess(a, b, rows, columns))
    return torch.cat(parts)


def _crossing_excess(a: Tensor, b: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """What the pixels in crossing cells add to the sum of the resized smaller mask, [N]."""
    gap = F.pad(a - b, (0, 1, 0, 1), mode="replicate")
    crossing = _at_any_corner(gap > 0) & _at_any_corner(gap < 0)
    pair, top, left = crossing.nonzero().T
    excess = a.new_zeros(len(a))
    row_pixels, row_count = _cell_pixels(rows, a.shape[1])
    column_pixels, column_count = _cell_pixels(columns, a.shape[2])
    block = max(1, BLOCK_VALUES // max(1, row_pixels.shape[1] * column_pixels.shape[1]))
    for n, y, x in zip(pair.split(block), top.split(block), left.split(block), strict=True):
        y1, x1 = (y + 1).clamp(max=a.shape[1] - 1), (x + 1).clamp(max=a.shape[2] - 1)
        dy, dx = row_pixels[y][:, :, None], column_pixels[x][:, None, :]
        corners = [
            torch.stack([m[n, y, x], m[n, y, x1], m[n, y1, x], m[n, y1, x1]])[..., None, None]
            for m in (a, b)
        ]
        first, second = (_blend(values, dy, dx) for values in corners)
        linear = _blend(torch.minimum(*corners), dy, dx)
        used = row_count[y][:, :, None] & column_count[x][:, None, :]
        excess.index_add_(0, n, ((torch.minimum(first, second) - linear) * used).sum((1, 2)))
    return excess


def _at_any_corner(samples: Tensor) -> Tensor:
    """Whether any of a cell's four corners is True: bool N×(h+1)×(w+1) -> N×h×w."""
    columns = samples[..., 1:] | samples[..., :-1]
    return columns[:, 1:] | columns[:, :-1]


def _blend(corners: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """Bilinear value inside a cell from its corners (4, …), rows first."""
    top, bottom = torch.lerp(corners[0], corners[1], dx), torch.lerp(corners[2], corners[3], dx)
    return torch.lerp(top, bottom, dy)


def _cell_pixels(taps: Taps, cells: int) -> tuple[Tensor, Tensor]:
    """For each source cell, the target samples in it: their weights L×m, and which exist L×m."""
    count = torch.bincount(taps.low, minlength=cells)
    place = torch.arange(len(taps.low), device=count.device) - (count.cumsum(0) - count)[taps.low]
    weight = torch.zeros(cells, int(count.max()), device=count.device)
    weight[taps.low, place] = taps.weight
    return weight, torch.arange(weight.shape[1], device=count.device) < count[:, None]


class Proposer(nn.Module):
    """A SAM2 model asked for masks at a grid of points."""

    def __init__(self, sam2: nn.Module, settings: ProposalSettings, budget_bytes: int) -> None:
        """`budget_bytes` bounds the decoder's working memory; prompts are run in chunks."""
        super().__init__()
        self.sam2 = sam2
        self.settings = settings
        side = sam2.sam_image_embedding_size
        # Image tokens and their projections, and the upscaled embedding with its activations.
        per_prompt = 4 * side * side * sam2.hidden_dim * 24
        self.chunk = max(1, budget_bytes // per_prompt)
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def features(self, image: Tensor) -> list[Tensor]:
        """Image float32 3×h×w in 0..1 -> feature maps 1×C×h×w, finest first, coarsest last."""
        side = self.sam2.image_size
        image = F.interpolate(image[None], size=(side, side), mode="bilinear", align_corners=False)
        encoded = self.sam2.forward_image((image - self.mean) / self.std)
        _, flat, _, sizes = self.sam2._prepare_backbone_features(encoded)
        if self.sam2.directly_add_no_mem_embed:
            flat[-1] = flat[-1] + self.sam2.no_mem_embed
        return [
            level.permute(1, 2, 0).unflatten(2, size)
            for level, size in zip(flat, sizes, strict=True)
        ]

    def points(self) -> Tensor:
        """Prompts of the grid, row by row: float32 n²×2, x y in pixels of SAM2's input."""
        n, side = self.settings.points_per_side, self.sam2.image_size
        axis = (torch.arange(n, device=self.mean.device) + 0.5) / n * side
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        return torch.stack([x.flatten(), y.flatten()], 1)

    def masks(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """All prompts: float16 n²×3×L×L mask logits, float32 n²×3 predicted IoU.

        Prompts that cannot pass the IoU filter have zeros for their masks.
        """
        decoder, least = ImageDecoder(self.sam2, features), self.settings.pred_iou_thresh
        points, side = self.points(), 4 * self.sam2.sam_image_embedding_size
        logits = torch.empty(len(points), 3, side, side, dtype=torch.float16, device=points.device)
        ious = torch.empty(len(points), 3, device=points.device)
        for start in range(0, len(points), self.chunk):
            chunk = slice(start, start + self.chunk)
            logits[chunk], ious[chunk] = decoder.decode(points[chunk], least)
        return logits, ious

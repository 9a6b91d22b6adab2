"""Region masks × patch values -> region tokens (TextRegion, arXiv 2505.23769).

Everything here is differentiable, so that training can use the very same token.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from textregion_ros.regions.bilinear import make_taps, sample

MASK_CEILING = 3.0  # soft masks are mask logits clamped to [0, 3]


class TokenHead(Protocol):
    """What an encoder adds: the way from pooled values to the space of its text vectors."""

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Return tokens R×d, of any length, of values P×D and masks R×P in [0, 1]."""


def group_max(values: Tensor, groups: Tensor) -> Tensor:
    """Return the pixelwise maximum of each group: values K×…, groups int64 [K] (−1: none), R×…."""
    used = groups >= 0
    count = int(groups.max()) + 1 if len(groups) else 0
    floor = values.new_full((count, *values.shape[1:]), float("-inf"))
    index = groups[used].reshape(-1, *[1] * (values.ndim - 1)).expand_as(values[used])
    return floor.scatter_reduce_(0, index, values[used], "amax")


def grid_masks(
    logits: Tensor, groups: Tensor, size: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """Return soft masks of regions on the token grid.

    Equals making the masks at h×w and resizing them, but only the 2Ph×2Pw pixels which that resize
    reads are ever computed.

    Args:
        logits: K×L×L, mask logits.
        groups: int64 [K], the region of each mask.
        size: (h, w) at which masks are made, px.
        grid: (Ph, Pw).

    Returns:
        R×P in [0, 1].
    """
    device = logits.device
    to_grid = [make_taps(full, cells, device) for full, cells in zip(size, grid, strict=True)]
    to_full = [
        make_taps(logits.shape[-1], full, device).at(torch.cat([taps.low, taps.high]))
        for full, taps in zip(size, to_grid, strict=True)
    ]
    soft = sample(logits.float().clamp(0.0, MASK_CEILING), *to_full)
    soft = group_max(soft.half().float(), groups)  # the method keeps its masks in half precision
    rows, columns = grid
    soft = torch.lerp(soft[:, :rows], soft[:, rows:], to_grid[0].weight[:, None])
    soft = torch.lerp(soft[..., :columns], soft[..., columns:], to_grid[1].weight)
    return soft.clamp(0.0, 1.0).flatten(1)


def local_patches(values: Tensor, masks: Tensor, threshold: float) -> Tensor:
    """Return which patches resemble their own regions more than the others.

    The others carry content of the whole image.

    Args:
        values: P×D.
        masks: R×P.
        threshold: What a patch's mean cosine to the regions it lies in, less that to the regions
            it does not lie in, must reach.

    Returns:
        bool [P].
    """
    inside = (masks > 0).to(values.dtype)
    # Lengths are divided out of the R×P factors: a copy of the values costs more than a product.
    length = values.norm(dim=-1).clamp(min=1e-12)
    mean = (inside / length) @ values / inside.sum(1, keepdim=True)  # of unit values, R×D
    likeness = mean @ values.T  # R×P, never P×P; times `length`
    own, owners = (likeness * inside).sum(0), inside.sum(0)
    other, others = likeness.sum(0) - own, len(masks) - owners
    return (own / (owners + 1e-9) - other / (others + 1e-9)) / length >= threshold


def region_tokens(
    head: TokenHead,
    values: Tensor,
    masks: Tensor,
    global_patch_threshold: float | None,
    normalise_values: bool,
) -> tuple[Tensor, Tensor]:
    """Return the tokens of the regions that keep a patch.

    Args:
        head: The encoder.
        values: P×D, on the token grid.
        masks: R×P in [0, 1].
        global_patch_threshold: Of `local_patches`; None leaves every patch in.
        normalise_values: Whether each patch's value gets unit length before it is pooled.

    Returns:
        Unit tokens K×d, and the indices of their regions, int64 [K].
    """
    kept = (masks.sum(1) > 0).nonzero()[:, 0]
    masks = masks[kept]
    if global_patch_threshold is not None and len(kept):
        masks = masks * local_patches(values, masks, global_patch_threshold)
        covered = masks.sum(1) > 0
        kept, masks = kept[covered], masks[covered]
    return pooled(head, values, masks, normalise_values), kept


def given_tokens(
    head: TokenHead,
    values: Tensor,
    masks: Tensor,
    logits: Tensor,
    grid: tuple[int, int],
    global_patch_threshold: float | None,
    normalise_values: bool,
) -> Tensor:
    """Return a token for every region, also where `region_tokens` would leave it out.

    A region between the patches' centres takes the patches that it touches. A region that would
    lose all its patches as global ones keeps them.

    Args:
        head: The encoder.
        values: P×D, on the token grid.
        masks: R×P in [0, 1].
        logits: R×L×L, mask logits of the same regions, each somewhere above 0.
        grid: (Ph, Pw).
        global_patch_threshold: Of `local_patches`; None leaves every patch in.
        normalise_values: Whether each patch's value gets unit length before it is pooled.

    Returns:
        Unit tokens R×d.
    """
    touched = F.adaptive_avg_pool2d(logits.float().clamp(0.0, 1.0), grid).flatten(1)
    masks = torch.where(masks.any(1, keepdim=True), masks, touched)
    if global_patch_threshold is not None:
        local = masks * local_patches(values, masks, global_patch_threshold)
        masks = torch.where(local.any(1, keepdim=True), local, masks)
    return pooled(head, values, masks, normalise_values)


def pooled(head: TokenHead, values: Tensor, masks: Tensor, normalise_values: bool) -> Tensor:
    """Return unit tokens R×d of values P×D and masks R×P, none of which is 0 all over."""
    if normalise_values:
        values = F.normalize(values, dim=-1)
    return F.normalize(head.pool(values, masks), dim=-1)

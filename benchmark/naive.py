"""The method's formulas written down as published, for the fast path to be compared with.

Every region has its own copy of the patch values, patches are compared patch by patch, and masks
are full-resolution stacks (TextRegion, arXiv 2505.23769). Nothing here is used by the library.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from textregion_ros.core.boxes import box_iou
from textregion_ros.regions.encoders import AttentionPoolTower, ClipTower
from textregion_ros.regions.settings import ProposalSettings

MASK_CEILING = 3.0
EPSILON, TINY = 1e-9, 1e-8


def local_patches(values: Tensor, masks: Tensor, threshold: float) -> Tensor:
    """Bool [P]: patches kept by global-patch removal, from the P×P matrix of their cosines."""
    unit = values / values.norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    inside = (masks > 0).float()
    likeness = torch.stack([(cosines * row).sum(1) / row.sum() for row in inside], dim=1)
    own = (likeness * inside.T).sum(1) / (inside.sum(0) + EPSILON)
    other = (likeness * (1 - inside.T)).sum(1) / ((1 - inside).sum(0) + EPSILON)
    return own - other >= threshold


def clip_tokens(tower: ClipTower, values: Tensor, masks: Tensor) -> Tensor:
    """R×d before normalisation: the soft mask as attention weights over each region's own copy."""
    block = tower.visual.transformer.resblocks[-1]
    copies = values.expand(len(masks), -1, -1).clone()
    attended = (masks[:, :, None] * copies).sum(1)
    hidden = block.attn.out_proj(attended)
    if tower.last_block_mlp:
        hidden = hidden + block.mlp(block.ln_2(hidden))
    return tower.visual.ln_post(hidden) @ tower.visual.proj


def attention_pool_tokens(tower: AttentionPoolTower, values: Tensor, masks: Tensor) -> Tensor:
    """R×d before normalisation: the attention pool with one key for all patches of a region.

    The key is the mean patch, so that the attention is uniform over the mask; keys and values of
    every region are projected, and softmax runs over every region's patches for every head.
    """
    pool, count = tower.trunk.attn_pool, len(masks)
    heads, width = pool.num_heads, values.shape[1]
    copies = values.expand(count, -1, -1).clone()
    keys, projected = pool.kv(copies).unflatten(2, (2, heads, -1)).unbind(2)
    keys = keys.mean(1, keepdim=True).expand_as(projected)
    query = pool.q(pool.latent).unflatten(2, (heads, -1)).expand(count, -1, -1, -1)
    outside = torch.zeros_like(masks).masked_fill(masks <= 0, float("-inf"))
    scores = torch.einsum("rqhc,rphc->rhqp", query, keys) / (width // heads) ** 0.5
    weights = (scores + outside[:, None, None]).softmax(3)
    pooled = torch.einsum("rhqp,rphc->rqhc", weights, projected).flatten(2)[:, 0]
    return tower.head(tower.trunk.head(tower.trunk.fc_norm(pool.proj(pooled))))


def region_tokens(
    tower: ClipTower | AttentionPoolTower,
    values: Tensor,
    masks: Tensor,
    threshold: float | None,
    normalise_values: bool,
) -> tuple[Tensor, Tensor]:
    """Unit tokens K×d and the indices int64 [K] of their regions; as the library's own."""
    kept = (masks.sum(1) > 0).nonzero()[:, 0]
    masks = masks[kept]
    if threshold is not None:
        masks = masks * local_patches(values, masks, threshold)
        covered = masks.sum(1) > 0
        kept, masks = kept[covered], masks[covered]
    if normalise_values:
        values = values / values.norm(dim=1, keepdim=True)
    form = clip_tokens if isinstance(tower, ClipTower) else attention_pool_tokens
    tokens = form(tower, values, masks)
    return tokens / tokens.norm(dim=1, keepdim=True), kept


def fuse(
    logits: Tensor, boxes: Tensor, size: tuple[int, int], settings: ProposalSettings
) -> Tensor:
    """int64 [K]: the region of each candidate, from a stack of full-resolution soft masks."""
    stack = full_masks(logits, size)
    sized = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()
    groups, count = [-1] * len(stack), 0
    for seed, mask in enumerate(stack):
        if groups[seed] >= 0 or mask.sum() == 0:
            continue
        groups[seed] = count
        for other in range(seed + 1, len(stack)):
            if groups[other] >= 0 or box_iou(sized[seed], sized[other]) <= settings.fuse_box_iou:
                continue
            smaller = torch.minimum(mask.sum(), stack[other].sum())
            shared = torch.minimum(mask, stack[other]).sum() / smaller
            if smaller >= TINY and shared > settings.fuse_threshold:
                groups[other] = count
        count += 1
    return torch.tensor(groups)


def full_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 K×h×w: soft masks 0..3 at full resolution."""
    soft = logits.float().clamp(0.0, MASK_CEILING)
    return F.interpolate(soft[None], size, mode="bilinear", align_corners=False)[0]


def grid_masks(
    logits: Tensor, groups: Tensor, size: tuple[int, int], grid: tuple[int, int]
) -> Tensor:
    """R×P in [0, 1]: the largest of each group at full resolution, then resized to the grid."""
    stack = full_masks(logits, size).half()
    regions = [stack[groups == group].amax(0) for group in range(int(groups.max()) + 1)]
    resized = F.interpolate(
        torch.stack(regions).float()[None], grid, mode="bilinear", align_corners=False
    )
    return resized[0].clamp(0.0, 1.0).flatten(1)

"""Frozen image-text encoders: views -> patch values, pooled values -> the space of the text.

Both classes take the visual tower of an open_clip model and read its own weights; no model code is
repeated here. Values are V×N×D without class token, in row-major patch order.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class ClipEncoder(nn.Module):
    """CLIP with open_clip's own VisionTransformer: values of the last block's attention.

    A region's pooled value is the soft sum over its patches, as if one query attended to them.
    """

    global_weight = 1.0

    def __init__(self, visual: nn.Module, last_block_mlp: bool = True) -> None:
        super().__init__()
        if len(visual.transformer.resblocks) < 2:
            raise ValueError("a CLIP visual tower needs at least two blocks")
        self.visual = visual
        self.last_block_mlp = last_block_mlp

    def values(self, views: Tensor) -> Tensor:
        """Views V×3×crop×crop, normalised -> V×N×D; the last block itself is never run."""
        blocks = self.visual.transformer.resblocks
        before_last = self.visual.forward_intermediates(
            views,
            indices=[len(blocks) - 2],
            stop_early=True,
            intermediates_only=True,
            output_fmt="NLC",
        )["image_intermediates"][0]
        attention, width = blocks[-1].attn, before_last.shape[-1]
        weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
        return F.linear(blocks[-1].ln_1(before_last), weight, bias)

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Values P×D, masks R×P in [0, 1] -> tokens R×d (not yet unit vectors)."""
        block = self.visual.transformer.resblocks[-1]
        pooled = block.attn.out_proj(masks @ values)
        if self.last_block_mlp:
            pooled = pooled + block.ls_2(block.mlp(block.ln_2(pooled)))
        return self.visual.ln_post(pooled) @ self.visual.proj


class AttentionPoolEncoder(nn.Module):
    """SigLIP2 and Perception Encoder: timm trunks that end in an attention pool.

    With one key for all patches the pool's attention is uniform over a region, so its output is
    the projected mean of the region's patches. The pool's MLP is not applied.
    """

    global_weight = 0.5

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.trunk = visual.trunk
        self.head = getattr(visual, "head", None) or nn.Identity()

    def values(self, views: Tensor) -> Tensor:
        """Views V×3×crop×crop, normalised -> the trunk's final patch tokens V×N×D."""
        return self.trunk.forward_features(views)[:, self.trunk.num_prefix_tokens :]

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Values P×D, masks R×P (any positive weight counts as inside) -> tokens R×d."""
        inside = (masks > 0).to(values.dtype)
        mean = inside @ values / inside.sum(1, keepdim=True)
        pool, width = self.trunk.attn_pool, values.shape[-1]
        bias = None if pool.kv.bias is None else pool.kv.bias[width:]
        pooled = pool.proj(F.linear(mean, pool.kv.weight[width:], bias))
        return self.head(self.trunk.head(self.trunk.fc_norm(pooled)))

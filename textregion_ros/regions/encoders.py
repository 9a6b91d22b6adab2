"""Frozen image-text encoders: views -> patch values, pooled values -> the space of the text.

Both classes take the visual tower of an open_clip model and read its own weights; no model code is
repeated here. Values are V×N×D without class token, in row-major patch order.
"""

from __future__ import annotations

from typing import Any

import torch
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
        return self._attention_values(self._before_last(views)[:, 1:])

    def values_and_dense(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Views V×3×crop×crop -> values V×N×D, and a unit vector for every patch V×N×d.

        The second compares with text patch by patch: the last block run with SCLIP's attention
        (arXiv 2312.01597), in which a patch attends to those of like query and of like key.
        """
        tokens = self._before_last(views)
        return self._attention_values(tokens[:, 1:]), self._dense(tokens)

    def _before_last(self, views: Tensor) -> Tensor:
        """The input of the last block, V×(1+N)×D, class token first."""
        found = self.visual.forward_intermediates(
            views,
            indices=[len(self.visual.transformer.resblocks) - 2],
            stop_early=True,
            intermediates_only=True,
            output_fmt="NLC",
            output_extra_tokens=True,
        )
        return torch.cat(
            [found["image_intermediates_prefix"][0], found["image_intermediates"][0]], dim=1
        )

    def _attention_values(self, tokens: Tensor) -> Tensor:
        block, width = self.visual.transformer.resblocks[-1], tokens.shape[-1]
        weight, bias = block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
        return F.linear(block.ln_1(tokens), weight, bias)

    def _dense(self, tokens: Tensor) -> Tensor:
        block = self.visual.transformer.resblocks[-1]
        tokens = tokens + block.ls_1(self_similar_attention(block.attn, block.ln_1(tokens)))
        tokens = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
        return F.normalize(self.visual.ln_post(tokens[:, 1:]) @ self.visual.proj, dim=-1)

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Values P×D, masks R×P in [0, 1] -> tokens R×d (not yet unit vectors)."""
        return self.project(masks @ values)

    def project(self, pooled: Tensor) -> Tensor:
        """Pooled values R×D, or single patches' P×D -> tokens of as many rows."""
        block = self.visual.transformer.resblocks[-1]
        pooled = block.attn.out_proj(pooled)
        if self.last_block_mlp:
            pooled = pooled + block.ls_2(block.mlp(block.ln_2(pooled)))
        return self.visual.ln_post(pooled) @ self.visual.proj


def self_similar_attention(attention: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """SCLIP's attention over tokens V×N×D with the weights of `attention`.

    The values are mixed by softmax(q·qᵀ) + softmax(k·kᵀ), which sums to 2, and projected.
    """
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    heads = projected.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = heads  # each V×heads×N×(D / heads)
    mixed = F.scaled_dot_product_attention(query, query, value)
    mixed = mixed + F.scaled_dot_product_attention(key, key, value)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


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
        return self.project(inside @ values / inside.sum(1, keepdim=True))

    def project(self, pooled: Tensor) -> Tensor:
        """Mean values R×D, or single patches' P×D -> tokens of as many rows."""
        pool, width = self.trunk.attn_pool, pooled.shape[-1]
        bias = None if pool.kv.bias is None else pool.kv.bias[width:]
        pooled = pool.proj(F.linear(pooled, pool.kv.weight[width:], bias))
        return self.head(self.trunk.head(self.trunk.fc_norm(pooled)))

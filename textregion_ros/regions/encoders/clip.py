"""CLIP: the visual tower of open_clip's own VisionTransformer, read for region tokens."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textregion_ros.core.errors import BadProfile
from textregion_ros.regions.settings import EncoderSettings


class ClipTower(nn.Module):
    """CLIP's visual tower: values of the last block's attention.

    A region's pooled value is the soft sum over its patches, as if one query attended to them.
    """

    global_weight = 1.0

    def __init__(self, visual: nn.Module, last_block_mlp: bool = True) -> None:
        """Read an open_clip tower by its own weights.

        Args:
            visual: The tower.
            last_block_mlp: Whether tokens go through the MLP of the last block.

        Raises:
            ValueError: The tower has but one block.
        """
        super().__init__()
        self.visual: Any = visual
        if len(list(visual.get_submodule("transformer.resblocks").children())) < 2:
            raise ValueError("a CLIP visual tower needs at least two blocks")
        self.last_block_mlp = last_block_mlp

    def values(self, views: Tensor) -> Tensor:
        """Return patch values V×N×D of normalised views V×3×c×c; the last block never runs."""
        return self._attention_values(self._before_last(views)[:, 1:])

    def values_and_dense(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return patch values V×N×D, and a unit vector for every patch V×N×d.

        The vectors compare with text patch by patch. They come from the last block run with
        SCLIP's attention (arXiv 2312.01597): a patch attends to those of like query and like key.
        """
        tokens = self._before_last(views)
        return self._attention_values(tokens[:, 1:]), self._dense(tokens)

    def _before_last(self, views: Tensor) -> Tensor:
        """Return the input of the last block, V×(1+N)×D, class token first."""
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
        """Return tokens R×d of values P×D and masks R×P in [0, 1]; not yet unit vectors."""
        return self.project(masks @ values)

    def project(self, pooled: Tensor) -> Tensor:
        """Return a token for each row of pooled values R×D, or of single patches' P×D."""
        block = self.visual.transformer.resblocks[-1]
        pooled = block.attn.out_proj(pooled)
        if self.last_block_mlp:
            pooled = pooled + block.ls_2(block.mlp(block.ln_2(pooled)))
        return self.visual.ln_post(pooled) @ self.visual.proj


def self_similar_attention(attention: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """Run SCLIP's attention over tokens V×N×D with the weights of `attention`.

    The values are mixed by softmax(q·qᵀ) + softmax(k·kᵀ), which sums to 2, and projected.
    """
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    heads = projected.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = heads  # each V×heads×N×(D / heads)
    mixed = F.scaled_dot_product_attention(query, query, value)
    mixed = mixed + F.scaled_dot_product_attention(key, key, value)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def clip_tower(visual: nn.Module, settings: EncoderSettings) -> ClipTower:
    """Wrap the visual tower of an open_clip model.

    Raises:
        BadProfile: It is not CLIP's.
    """
    if not hasattr(visual, "transformer"):
        raise BadProfile("encoder.family: the model is not of the family clip")
    return ClipTower(visual, settings.last_block_mlp)

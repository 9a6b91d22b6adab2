"""Trunks of the compact models: what little data teaches, convolutions learn sooner."""

from __future__ import annotations

from functools import partial
from typing import Any

import timm
from timm.layers import HybridEmbed
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn


class ConvTrunk(nn.Module):
    """A timm convolutional network as the trunk of SAM2's ImageEncoder."""

    def __init__(self, name: str) -> None:
        """`name`: a timm model with feature maps at strides 4, 8, 16 and 32; not pre-trained."""
        super().__init__()
        self.net = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4))
        self.channel_list = self.net.feature_info.channels()[::-1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images B×3×S×S, normalised -> feature maps, finest first."""
        return self.net(images)


@register_model
def textregion_hybrid(num_classes: int, global_pool: str, **_: Any) -> VisionTransformer:
    """Convolutional patches of 16 px, three transformer blocks and an attention pool.

    For open_clip, by this name. Not pre-trained: what timm passes on of that is left aside. A patch
    learns from the blocks what it is part of; they start near identity, so that the convolutions
    are taught from the first step.
    """
    patches = timm.create_model("regnetx_004", features_only=True, out_indices=(3,))
    return VisionTransformer(
        img_size=128,
        patch_size=1,
        embed_dim=192,
        depth=3,
        num_heads=6,
        mlp_ratio=2.0,
        init_values=0.1,
        class_token=False,
        embed_layer=partial(HybridEmbed, backbone=patches),
        num_classes=num_classes,
        global_pool=global_pool,
    )

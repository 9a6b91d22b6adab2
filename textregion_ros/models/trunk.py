"""The compact SAM2's trunk: what little data teaches, convolutions learn sooner."""

from __future__ import annotations

import timm
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

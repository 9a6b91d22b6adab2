"""The demo encoder's visual tower: a feature pyramid whose levels are summed into one map.

A region's token is a linear map of the means of its features at every level. Linear maps and means
commute, so that the levels are projected first, each on its own grid, and only the sum is spread
over the finest.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models import register_model
from torch import Tensor, nn

STRIDE = 8
"""Pixels of the image to a cell of the summed map."""


class FeaturePyramid(nn.Module):
    """timm's `efficientnet_lite0`, its levels projected to one width and summed at stride 8.

    As open_clip's TimmModel asks of a trunk: `forward` gives one vector to an image.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        """width: of the summed map. num_classes: of the vectors that text is compared with."""
        super().__init__()
        net = timm.create_model("efficientnet_lite0", num_classes=0)
        self.stem = nn.Sequential(net.conv_stem, net.bn1)
        self.blocks = net.blocks
        self.top = nn.Sequential(net.conv_head, net.bn2)
        self.laterals = nn.ModuleList(
            nn.Conv2d(channels, width, 1, bias=channels == net.num_features)
            for channels in (16, 24, 40, 112, 320, net.num_features)
        )
        self.head = nn.Linear(width, num_classes, bias=False)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Images B×3×h×w, normalised -> maps at strides 2, 4, 8, 16, 32 and 32, finest first."""
        x, found = self.stem(images), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in (0, 1, 2, 4, 6):  # the last block of its stride
                found.append(x)
        return [*found, self.top(x)]

    def forward_features(self, images: Tensor) -> Tensor:
        """Images B×3×h×w, sides multiples of 32 -> the summed map B×width×h/8×w/8."""
        levels = self.levels(images)
        size = levels[2].shape[2:]
        maps = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        return sum(resample(each, size) for each in maps)

    def forward_head(self, features: Tensor) -> Tensor:
        """Summed maps B×width×h×w -> one vector to an image, B×num_classes."""
        return self.head(features.mean((2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        """Images B×3×h×w -> B×num_classes."""
        return self.forward_head(self.forward_features(images))


def resample(level: Tensor, size: torch.Size) -> Tensor:
    """A map B×C×h×w on the grid `size`: finer ones averaged, coarser ones spread bilinearly."""
    if level.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(level, size)
    if level.shape[2] == size[0]:
        return level
    return F.interpolate(level, size, mode="bilinear", align_corners=False)


@register_model
def textregion_pyramid(num_classes: int, width: int = 384, **_: Any) -> FeaturePyramid:
    """For open_clip, by this name. Not pre-trained: what timm passes on of that is left aside."""
    return FeaturePyramid(width, num_classes)

"""The demo encoder's visual tower: a feature pyramid, and a token that says what a region may be.

What a region may be is read linearly off the means of its features at every level. Linear maps and
means commute, so that the levels are projected first, each on its own grid, and only their sum is
spread over the finest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from timm.models import register_model
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_weights

STRIDE = 8
"""Pixels of the image to a cell of the summed map."""
NAMELESS = 2
"""The last kinds have no name: other things, and surfaces."""


@dataclass(frozen=True)
class Readings:
    """How much a cell tells.

    Attributes:
        class_dims: Dimensions from which fine classes are read.
        classes: Number of fine classes.
        kinds: Number of kinds, the nameless ones among them.
        colours: Number of colours.
    """

    class_dims: int = 256
    classes: int = 1000
    kinds: int = 16
    colours: int = 8

    @property
    def width(self) -> int:
        """Channels of the summed map: class dimensions, then logits of kinds and of colours."""
        return self.class_dims + self.kinds + self.colours


class ExpectedMeaning(nn.Module):
    """Region means N×width -> unit tokens N×dims: the mean of all it may be, by likelihood.

    Every kind, class and colour has a meaning, a vector in the space of the text; classes count as
    far as the region is of no named kind. The last dimension holds what is lacking to a fixed
    length, so that being unsure of one thing never makes another likelier.
    """

    budget = 4.0
    """Square of that length: a thing, its kind, its colour and the constant, each of length 1."""

    def __init__(self, readings: Readings, dims: int) -> None:
        """Make it with meanings of zero.

        Args:
            readings: How much a region's mean tells.
            dims: Of the vectors that text is compared with.
        """
        super().__init__()
        self.sizes = (readings.class_dims, readings.kinds, readings.colours)
        self.classes = nn.Linear(readings.class_dims, readings.classes)
        self.class_meanings = nn.Parameter(torch.zeros(readings.classes, dims))
        self.kind_meanings = nn.Parameter(torch.zeros(readings.kinds, dims))
        self.colour_meanings = nn.Parameter(torch.zeros(readings.colours, dims))
        self.constant = nn.Parameter(torch.zeros(dims))

    def forward(self, means: Tensor) -> Tensor:
        """Return unit tokens N×dims of region means N×width."""
        directions, kinds, colours = means.split(self.sizes, 1)
        kinds = kinds.softmax(1)
        meaning = kinds @ self.kind_meanings + colours.softmax(1) @ self.colour_meanings
        classes = self.classes(directions).softmax(1) * kinds[:, -NAMELESS:].sum(1, keepdim=True)
        meaning = meaning + classes @ self.class_meanings + self.constant
        lacking = (self.budget - meaning.square().sum(1)).clamp(min=0.0).sqrt()
        return torch.cat([meaning[:, :-1], lacking[:, None]], 1) * self.budget**-0.5


class FeaturePyramid(nn.Module):
    """timm's `efficientnet_lite0`, its levels projected to one width and summed at stride 8.

    As open_clip's TimmModel asks of a trunk: `forward` gives one vector to an image.
    """

    def __init__(self, dims: int, readings: Readings = Readings()) -> None:
        """Make it with random weights.

        Args:
            dims: Of the vectors that text is compared with.
            readings: How much a cell tells.
        """
        super().__init__()
        net = timm.create_model("efficientnet_lite0", num_classes=0)
        self.stem = nn.Sequential(net.conv_stem, net.bn1)
        self.blocks = net.blocks
        self.top = nn.Sequential(net.conv_head, net.bn2)
        self.laterals = nn.ModuleList(
            nn.Conv2d(channels, readings.width, 1, bias=channels == net.num_features)
            for channels in (16, 24, 40, 112, 320, net.num_features)
        )
        self.head = ExpectedMeaning(readings, dims)

    def levels(self, images: Tensor) -> list[Tensor]:
        """Return maps of images B×3×h×w, at strides 2, 4, 8, 16, 32 and 32, finest first."""
        x, found = self.stem(images), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in (0, 1, 2, 4, 6):  # the last block of its stride
                found.append(x)
        return [*found, self.top(x)]

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the summed map B×width×h/8×w/8 of images B×3×h×w, sides multiples of 32."""
        levels = self.levels(images)
        size = levels[2].shape[2:]
        fine = [resample(level, size) for level in levels[:3]]
        maps = [
            lateral(level)
            for lateral, level in zip(self.laterals, [*fine, *levels[3:]], strict=True)
        ]
        # The two coarsest lie on one grid: summed first, they are spread once.
        return sum(maps[:3]) + resample(maps[3], size) + resample(maps[4] + maps[5], size)

    def forward(self, images: Tensor) -> Tensor:
        """Return one unit vector to an image, B×dims, of images B×3×h×w."""
        return self.head(self.forward_features(images).mean((2, 3)))


def fold_norms(network: nn.Module) -> None:
    """Put every batch norm that follows a convolution into its weights: a quarter less time.

    In evaluation only; the norm's activation stays in its place.
    """
    for module in list(network.modules()):
        children = list(module.named_children())
        for (_, conv), (name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, BatchNormAct2d):
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight,
                    conv.bias,
                    norm.running_mean,
                    norm.running_var,
                    norm.eps,
                    norm.weight,
                    norm.bias,
                )
                setattr(module, name, norm.act)


def resample(level: Tensor, size: torch.Size) -> Tensor:
    """Return a map B×C×h×w on the grid `size`: a finer one averaged, a coarser one spread."""
    if level.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(level, (size[0], size[1]))
    if level.shape[2] == size[0]:
        return level
    return F.interpolate(level, size, mode="bilinear", align_corners=False)


@register_model
def textregion_pyramid(num_classes: int, **_: Any) -> FeaturePyramid:
    """Make the trunk for open_clip, by this name; what timm passes on of weights is left aside."""
    return FeaturePyramid(num_classes)

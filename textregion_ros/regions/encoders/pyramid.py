"""The feature pyramid: a convolutional tower that sees the whole image once, as it is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from textregion_ros.core.errors import BadProfile

# Importing the pyramid registers it with timm.
from textregion_ros.models.pyramid import STRIDE, FeaturePyramid, fold_norms
from textregion_ros.regions.encoders import views
from textregion_ros.regions.encoders.crops import CropEncoder
from textregion_ros.regions.settings import EncoderSettings

MULTIPLE = 32
"""Sides of the image are multiples of this, px: that of the coarsest level."""


class PyramidTower(nn.Module):
    """A feature pyramid's summed maps as values; a region's token is read off their mean."""

    global_weight = 0.0

    def __init__(self, visual: nn.Module) -> None:
        """Read an open_clip tower whose trunk is a `FeaturePyramid` by its own weights."""
        super().__init__()
        # Depthwise convolutions are a fourth faster so, on a CPU too.
        trunk: Any = visual.trunk
        fold_norms(trunk)
        self.trunk: Any = trunk.to(memory_format=torch.channels_last)

    def values(self, views: Tensor) -> Tensor:
        """Return values V×N×D of normalised views V×3×h×w; N = h/8 · w/8, row by row."""
        views = views.contiguous(memory_format=torch.channels_last)
        return self.trunk.forward_features(views).flatten(2).mT

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Return tokens R×d of values P×D and masks R×P in [0, 1], each with weight somewhere.

        Cells count by how much of them is inside: a thin thing is nowhere more than a part of one.
        """
        return self.project(masks @ values / masks.sum(1, keepdim=True))

    def project(self, pooled: Tensor) -> Tensor:
        """Return a token for each row of mean values R×D, or of single cells' P×D."""
        return self.trunk.head(pooled)


class WholeImageEncoder(CropEncoder):
    """An encoder with but one view: the whole image, its sides rounded to a multiple of 32 px."""

    antialias = True

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size (h, w) at which it wants an image of height × width, px."""
        height, width = views.rescaled_size(height, width, self.settings.rescale)
        return nearest_multiple(height), nearest_multiple(width)

    def _views(self, image: Tensor) -> Tensor:
        return views.normalise(image[None], self.settings.mean, self.settings.std)

    def _merged(self, values: Tensor, image: Tensor, global_weight: float) -> Tensor:
        return values[0].unflatten(0, (image.shape[1] // STRIDE, -1)).float()


def nearest_multiple(side: int) -> int:
    """Return the multiple of `MULTIPLE` that is nearest to a side, px; at least one."""
    return max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE)


def pyramid_tower(visual: nn.Module, settings: EncoderSettings) -> PyramidTower:
    """Wrap the visual tower of an open_clip model.

    Raises:
        BadProfile: It has no feature pyramid, or the profile wants what only other families have.
    """
    if settings.normalise_values or settings.last_block_mlp:
        raise BadProfile("encoder: normalise_values and last_block_mlp are for family clip")
    if not isinstance(getattr(visual, "trunk", None), FeaturePyramid):
        raise BadProfile("encoder.family: the model is not of the family pyramid")
    return PyramidTower(visual)

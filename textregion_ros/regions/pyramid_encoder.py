"""A convolutional encoder that sees the whole image once: values on a grid of 8 px.

It takes the visual tower of an open_clip model whose trunk is a `FeaturePyramid`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from textregion_ros.models.pyramid import STRIDE, fold_norms


class PyramidEncoder(nn.Module):
    """A feature pyramid's summed maps as values; a region's token is read off their mean."""

    global_weight = 0.0
    """There is but one view."""
    stride = STRIDE
    """Pixels of a view to a cell of its grid."""

    multiple = 32
    """Sides of a view in px are multiples of this."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        fold_norms(visual.trunk)
        # Depthwise convolutions are a fourth faster so, on a CPU too.
        self.trunk = visual.trunk.to(memory_format=torch.channels_last)

    def values(self, views: Tensor) -> Tensor:
        """Views V×3×h×w, normalised, sides multiples of 32 -> V×N×D, N = h/8 · w/8, row-major."""
        views = views.contiguous(memory_format=torch.channels_last)
        return self.trunk.forward_features(views).flatten(2).mT

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Values P×D, masks R×P in [0, 1], each with weight somewhere -> tokens R×d.

        Cells count by how much of them is inside: a thin thing is nowhere more than a part of one.
        """
        return self.project(masks @ values / masks.sum(1, keepdim=True))

    def project(self, pooled: Tensor) -> Tensor:
        """Mean values R×D, or single cells' P×D -> tokens of as many rows."""
        return self.trunk.head(pooled)

"""An encoder that sees an image in square views: whole, and in windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from textregion_ros.regions.devices import cuda_precision
from textregion_ros.regions.encoders import views
from textregion_ros.regions.encoders.text import TextEncoder
from textregion_ros.regions.networks import Compile, PatchValues
from textregion_ros.regions.settings import EncoderSettings


class Tower(Protocol):
    """A visual tower, read for region tokens."""

    @property
    def global_weight(self) -> float:
        """Weight of the whole image's values beside those of the windows."""

    def values(self, views: Tensor) -> Tensor:
        """Return patch values V×N×D, row by row, of normalised views V×3×c×c."""

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Return tokens R×d of values P×D and masks R×P in [0, 1]."""

    def project(self, pooled: Tensor) -> Tensor:
        """Return tokens N×d of single values N×D."""


@runtime_checkable
class DenseTower(Tower, Protocol):
    """A visual tower with dense features."""

    def values_and_dense(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return patch values V×N×D, and a unit vector for every patch V×N×d."""


@dataclass(frozen=True, eq=False)
class CropEncoder:
    """An image-text encoder of square views.

    Attributes:
        settings: How it is fed.
        tower: Its visual tower, for pooling, projecting and dense features.
        patch_values: The visual network: `tower.values`, or the same in another runtime.
        text: Texts -> vectors.
        identity: Names the weights.
        device: Where the networks run.
        score_scale, score_bias: Of the relevancy score.
        logit_scale, logit_bias: Of the logits that labels are made from.
    """

    antialias: ClassVar[bool] = False

    settings: EncoderSettings
    tower: Tower
    patch_values: PatchValues
    text: TextEncoder
    identity: str
    device: torch.device
    score_scale: float
    score_bias: float
    logit_scale: float = 1.0
    logit_bias: float = 0.0

    @property
    def has_dense(self) -> bool:
        """Whether it has dense features."""
        return isinstance(self.tower, DenseTower)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size (h, w) at which it wants an image of height × width, px."""
        if self.settings.resize_method == "resize":
            return self.settings.crop_size, self.settings.crop_size
        return views.rescaled_size(height, width, self.settings.rescale)

    def values(self, image: Tensor) -> Tensor:
        """Return patch values Ph×Pw×D of an image float32 3×h×w in 0..1."""
        with cuda_precision(self.device, self.settings.cuda_precision):
            values = self.patch_values(self._views(image))
            return self._merged(values, image, self.tower.global_weight)

    def values_and_dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same values, and a unit vector for every patch, Ph×Pw×d.

        Raises:
            TypeError: The tower has no dense features.
        """
        if not isinstance(self.tower, DenseTower):
            raise TypeError(f"{type(self.tower).__name__} has no dense features")
        with cuda_precision(self.device, self.settings.cuda_precision):
            values, dense = self.tower.values_and_dense(self._views(image))
            merged = self._merged(values, image, self.tower.global_weight)
            return merged, self._merged(dense, image, 1.0)

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Return tokens R×d of values P×D and masks R×P in [0, 1]."""
        return self.tower.pool(values, masks)

    def project(self, pooled: Tensor) -> Tensor:
        """Return tokens N×d of single values N×D."""
        return self.tower.project(pooled)

    def compiled(self, compile_: Compile) -> CropEncoder:
        """Return the same encoder with its visual network compiled."""
        return replace(self, patch_values=compile_(self.patch_values))

    def _views(self, image: Tensor) -> Tensor:
        settings, stack = self.settings, image[None]
        if settings.resize_method == "multi_resolution":
            stack = views.multi_resolution_views(
                image, settings.crop_size, settings.interpolation, settings.global_views
            )
        return views.normalise(stack, settings.mean, settings.std)

    def _merged(self, values: Tensor, image: Tensor, global_weight: float) -> Tensor:
        height, width = image.shape[1:]
        counts = views.window_counts(height, width, self.settings.crop_size)
        return views.merge_views(values.float(), counts, global_weight)

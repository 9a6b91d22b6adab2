"""What gives tokens: the interface of every encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from textregion_ros.regions.encoders.text import TextEncoder
from textregion_ros.regions.networks import Compile
from textregion_ros.regions.settings import Profile


class Encoder(Protocol):
    """Brings images and texts into one space. How it looks at an image is its own affair."""

    @property
    def device(self) -> torch.device:
        """Where its networks run."""

    @property
    def text(self) -> TextEncoder:
        """Texts -> vectors."""

    @property
    def identity(self) -> str:
        """Name and weights; tokens and vectors of another identity are not comparable."""

    @property
    def score_scale(self) -> float:
        """Of the score, see `grounding.relevancy`."""

    @property
    def score_bias(self) -> float:
        """Of the score where there are no negatives."""

    @property
    def logit_scale(self) -> float:
        """What makes cosines into the logits that `label` compares; 1 where these are cosines."""

    @property
    def logit_bias(self) -> float:
        """What is then added; 0 where these are cosines."""

    @property
    def has_dense(self) -> bool:
        """Whether it has dense features, for labels where no region lies."""

    @property
    def antialias(self) -> bool:
        """Whether an image is made smaller without aliasing; else bilinear, as published."""

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size (h, w) at which it wants an image of height × width, px."""

    def values(self, image: Tensor) -> Tensor:
        """Return values Ph×Pw×D on a grid stretched over the image.

        Args:
            image: float32 3×h×w in 0..1, at the working size.
        """

    def values_and_dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same values, and dense features: unit vectors Qh×Qw×d on a grid of their own.

        Only where `has_dense`.
        """

    def pool(self, values: Tensor, masks: Tensor) -> Tensor:
        """Return tokens R×d, of any length, of values P×D and masks R×P in [0, 1]."""

    def project(self, pooled: Tensor) -> Tensor:
        """Return tokens N×d, of any length, of N single values D."""

    def compiled(self, compile_: Compile) -> Encoder:
        """Return the same encoder with its visual network compiled."""


BuildEncoder = Callable[[Profile, torch.device], Encoder]
"""Makes the encoder of a profile, its weights loaded and everything pinned checked."""

"""What gives masks: the interface of every proposer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from textregion_ros.regions.networks import Compile
from textregion_ros.regions.settings import Profile
from textregion_ros.regions.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class Candidates:
    """Masks, and which of them are one region together.

    Attributes:
        logits: float16 K×L×L, mask logits, stretched over the whole image.
        groups: int64 [K], the region of each mask, numbered from 0; −1 for none.
        prompts: How many points were asked at.
        given: bool K×H×W, where the masks came from outside; then each of them is a region,
            whatever else is true of it, and keeps its very pixels.
    """

    logits: Tensor
    groups: Tensor
    prompts: int = 0
    given: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Candidates({len(self.logits)} masks)"


Features = list[Tensor]
"""What a proposer made of an image; only the same proposer reads it."""


class Proposer(Protocol):
    """Gives the masks of an image."""

    def prepare(self, image: Tensor) -> Features:
        """Do the work that is done once for an image.

        Args:
            image: float32 3×h×w in 0..1, the image at the encoder's working size.
        """

    def propose(self, features: Features, size: tuple[int, int], watch: Stopwatch) -> Candidates:
        """Return masks of everything in the image.

        Args:
            features: Of the image, by `prepare`.
            size: (h, w) at which masks are compared, px.
            watch: Takes the time of the stages.

        Raises:
            BadQuery: This proposer has no masks of its own.
        """

    def propose_at(
        self, features: Features, places: Tensor, size: tuple[int, int], watch: Stopwatch
    ) -> Candidates:
        """Return masks of what lies at some places.

        Args:
            features: Of the image, by `prepare`.
            places: float32 P×2, x y as shares of the image's width and height.
            size: (h, w) at which masks are compared, px.
            watch: Takes the time of the stages.

        Raises:
            BadQuery: This proposer has no masks of its own.
        """

    def compiled(self, compile_: Compile) -> Proposer:
        """Return the same proposer with its networks compiled; itself where it has none."""


BuildProposer = Callable[[Profile, torch.device], Proposer]
"""Makes the proposer of a profile, its weights loaded and checked."""

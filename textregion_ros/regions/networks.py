"""The four callables that run the networks: the seam for other runtimes.

Each is a plain field of the part that uses it, so another runtime (compiled code, ONNX Runtime,
TensorRT) is put in with `dataclasses.replace`:

    proposer = replace(model.proposer, image_features=mine, point_masks=mine_too)
    model = TextRegion(model.profile, proposer, model.encoder)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from torch import Tensor


class ImageFeatures(Protocol):
    """SAM 2's image encoder."""

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return feature maps 1×C×h×w, finest first, of a normalised image float32 1×3×S×S."""


class PointMasks(Protocol):
    """SAM 2's prompt encoder and mask decoder."""

    def __call__(
        self, features: Sequence[Tensor], points: Tensor, least_iou: float
    ) -> tuple[Tensor, Tensor]:
        """Return three masks for each point.

        Args:
            features: What `ImageFeatures` returned.
            points: float32 P×2, x y in pixels of the S×S image.
            least_iou: The masks of a point whose three predicted IoUs are all no higher than this
                are not used, and may be anything.

        Returns:
            Mask logits float16 P×3×L×L and predicted IoUs float32 P×3, in the order sub-part,
            part, whole.
        """


class PatchValues(Protocol):
    """The visual network of an image-text encoder."""

    def __call__(self, views: Tensor) -> Tensor:
        """Return the patches' values V×N×D, row by row, of normalised views V×3×c×c."""


class TextVectors(Protocol):
    """The text network of an image-text encoder."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return vectors n×D of any length for token numbers int64 n×context."""


Function = TypeVar("Function", bound=Callable[..., object])


class Compile(Protocol):
    """Makes a faster function that does the same, such as `torch.compile`."""

    def __call__(self, function: Function, /) -> Function:
        """Return the faster function."""

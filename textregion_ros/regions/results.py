"""What the library returns: plain numpy in small frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class EncodedFrame:
    """An image as region tokens; any number of sentences can be asked about it.

    image_size: (H, W) of the camera image, px.
    masks: float16 R×L×L, unclamped mask logits on SAM2's grid, stretched over the whole image.
    boxes: int32 R×4, x y w h in camera pixels.
    tokens: float32 R×D, unit length.
    overlaps: float32 R×R, IoU of every two masks on SAM2's grid.
    stage_ms: wall time of each stage, ms.
    encoder: identity of the encoder; only text vectors of the same identity may be compared.
    dense: float32 Ph×Pw×D, what single patches say to a text vector, on a grid stretched over the
    image; None unless asked for.
    prompts: how many points SAM2 was asked at.
    rest: what `TextRegion.complete` makes the whole frame from, where only the regions near what
    some texts speak of were looked for; else None.
    """

    image_size: tuple[int, int]
    masks: np.ndarray
    boxes: np.ndarray
    tokens: np.ndarray
    overlaps: np.ndarray
    stage_ms: dict[str, float] = field(default_factory=dict)
    encoder: str = ""
    dense: np.ndarray | None = None
    prompts: int = 0
    rest: Any = None

    @property
    def complete(self) -> bool:
        """Whether the regions are those of the whole image."""
        return self.rest is None

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        arrays = (self.masks, self.boxes, self.tokens, self.overlaps, self.dense, self.rest)
        return sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True)
class Region:
    """One region that answers a text.

    id: its row in the EncodedFrame. box: x y w h, camera pixels. mask: bool H×W.
    score: 0..1. margin: how far its score lies above that of the next region for the same text
    (above 0 where there is none).
    """

    id: int
    box: Box
    mask: np.ndarray
    score: float
    margin: float


@dataclass(frozen=True)
class Grounding:
    """The answer to one text.

    found: whether a region reached the threshold. score: the best region's, found or not; 0.0 where
    the frame has no region. regions: best first, empty if not found. box: the smallest box around
    them, x y w h, or None.
    """

    text: str
    found: bool
    score: float
    regions: tuple[Region, ...]
    box: Box | None

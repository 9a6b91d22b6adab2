"""A scene: one image, its regions with their tokens, and their shapes in space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

import numpy as np

from textregion_ros.core.boxes import Box
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.masks import cut_mask, whole_mask
from textregion_ros.core.results import UNNAMED, ImageHeader, RegionShape

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Observation:
    """What a camera saw at one moment.

    Attributes:
        rgb: uint8 H×W×3.
        depth: float32 H×W, m, NaN where it is missing; None without depth.
        intrinsics: The camera of both; None where it is not known.
        header: Camera, stamp and frame of the image.
    """

    rgb: np.ndarray
    depth: np.ndarray | None = None
    intrinsics: Intrinsics | None = None
    header: ImageHeader = UNNAMED

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the image, px."""
        height, width = self.rgb.shape[:2]
        return height, width

    def __repr__(self) -> str:
        height, width = self.image_size
        depth = "" if self.depth is None else ", with depth"
        return f"Observation({width}×{height} px{depth}, {self.header})"


class Unfinished(Protocol):
    """What the other regions of an incomplete frame are made from; only its encoder reads it."""

    @property
    def nbytes(self) -> int:
        """Bytes held in the machine's memory."""

    @property
    def device_nbytes(self) -> int:
        """Bytes held on the GPU."""


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """The regions of an image; any number of texts can be asked about them.

    Attributes:
        image_size: (H, W) of the camera image, px.
        masks: float16 R×L×L, unclamped mask logits, stretched over the whole image.
        boxes: int32 R×4, x y w h, px of the camera image.
        tokens: float32 R×D, unit length.
        overlaps: float32 R×R, IoU of every two masks.
        stage_ms: Wall time of each stage, ms.
        encoder: Identity of the encoder; only text vectors of the same one may be compared.
        dense: float32 Ph×Pw×D, what single patches say to a text vector, on a grid stretched over
            the image; None unless asked for.
        prompts: How many points the proposer was asked at.
        rest: What the other regions are made from, where only those near some texts were looked
            for; None in a complete frame.
        crops: bool h×w each, masks cropped to their boxes, where they came from outside; None
            where they are cut from `masks`.
    """

    image_size: tuple[int, int]
    masks: np.ndarray
    boxes: np.ndarray
    tokens: np.ndarray
    overlaps: np.ndarray
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    encoder: str = ""
    dense: np.ndarray | None = None
    prompts: int = 0
    rest: Unfinished | None = None
    crops: tuple[np.ndarray, ...] | None = None

    @property
    def complete(self) -> bool:
        """Whether the regions are those of the whole image."""
        return self.rest is None

    @property
    def nbytes(self) -> int:
        """Bytes held in the machine's memory."""
        arrays = (self.masks, self.boxes, self.tokens, self.overlaps, self.dense, self.rest)
        crops = sum(crop.nbytes for crop in self.crops or ())
        return crops + sum(array.nbytes for array in arrays if array is not None)

    @property
    def device_nbytes(self) -> int:
        """Bytes held on the GPU."""
        return 0 if self.rest is None else self.rest.device_nbytes

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        height, width = self.image_size
        return f"EncodedFrame({len(self)} regions of {width}×{height} px, {self.encoder})"


class Space(Protocol):
    """Depth and camera of an image, as far as they are known."""

    @property
    def up(self) -> np.ndarray | None:
        """Float64 3, unit vector out of the table, in the optical frame; None without a table."""

    def shape(self, crop: np.ndarray, box: Box) -> RegionShape | None:
        """Return the shape of a region, or None where its depth is missing or too sparse.

        Args:
            crop: bool h×w, the mask cropped to its box.
            box: x y w h, px of the image.
        """


class Scene:
    """What is known about one image. Masks and shapes are made once, when first asked for.

    Not for use from several threads at once.
    """

    def __init__(
        self, observation: Observation, encoded: EncodedFrame, space: Space | None = None
    ) -> None:
        """Join an image with its regions.

        Args:
            observation: The image, with depth and intrinsics where they are known.
            encoded: The image's regions.
            space: What tells shapes; None without depth.
        """
        self.observation = observation
        self.encoded = encoded
        self.space = space
        self._crops: dict[int, np.ndarray] = {}
        self._shapes: dict[int, RegionShape | None] = {}
        self._made: dict[str, object] = {}

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of the image, px."""
        return self.encoded.image_size

    @property
    def tokens(self) -> np.ndarray:
        """Float32 R×D, a unit vector for each region."""
        return self.encoded.tokens

    def __len__(self) -> int:
        return len(self.encoded)

    def box(self, region: int) -> Box:
        """Return the box of a region, x y w h, px."""
        x, y, w, h = self.encoded.boxes[region].tolist()
        return x, y, w, h

    def crop(self, region: int) -> np.ndarray:
        """Return the mask of a region cropped to its box, bool h×w."""
        if self.encoded.crops is not None:
            return self.encoded.crops[region]
        if region not in self._crops:
            logits = self.encoded.masks[region]
            self._crops[region] = cut_mask(logits, self.image_size, self.box(region))
        return self._crops[region]

    def mask(self, region: int) -> np.ndarray:
        """Return the mask of a region, bool H×W, made anew each time."""
        return whole_mask(self.crop(region), self.box(region), self.image_size)

    def shape(self, region: int) -> RegionShape | None:
        """Return the shape of a region in space; None without enough depth."""
        if self.space is None:
            return None
        if region not in self._shapes:
            self._shapes[region] = self.space.shape(self.crop(region), self.box(region))
        return self._shapes[region]

    def once(self, key: str, make: Callable[[], Made]) -> Made:
        """Return something about the scene that is made when it is first asked for.

        Args:
            key: Names it.
            make: Makes it.
        """
        if key not in self._made:
            self._made[key] = make()
        return cast("Made", self._made[key])

    @property
    def made_nbytes(self) -> int:
        """Bytes held by the masks and shapes made so far."""
        crops = sum(crop.nbytes for crop in self._crops.values())
        shapes = [shape for shape in self._shapes.values() if shape is not None]
        return crops + sum(shape.points.nbytes + shape.pixels.nbytes for shape in shapes)

    def __repr__(self) -> str:
        return f"Scene({self.observation}, {self.encoded})"

"""Answers: the regions that fit a text, where they are in the image and in space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from textregion_ros.core.boxes import Box
from textregion_ros.core.masks import whole_mask

if TYPE_CHECKING:
    from textregion_ros.core.scene import Scene


@dataclass(frozen=True)
class ImageHeader:
    """Which image something is about.

    Attributes:
        camera: Name of the camera; empty for a node's only one and for pictures of one's own.
        stamp: When the image was taken, ns.
        frame_id: Name of the camera's optical frame.
    """

    camera: str = ""
    stamp: int = 0
    frame_id: str = ""


UNNAMED = ImageHeader()
"""Of an image that nobody named, such as a picture of one's own."""


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a region is, in the camera's optical frame (x right, y down, z forward), m.

    Attributes:
        centroid: float64 3, mean of the points of the visible surface, where gaps in the depth
            are filled with that of the nearest pixel.
        position: float64 3, centre of the oriented box around the visible surface.
        orientation: float64 4, unit quaternion x y z w that takes the box's axes to the frame's.
        size: float64 3, extents of the box along its axes.
    """

    centroid: np.ndarray
    position: np.ndarray
    orientation: np.ndarray
    size: np.ndarray

    @property
    def axes(self) -> np.ndarray:
        """Float64 3×3; its columns are the axes of the box in the optical frame, unit length."""
        x, y, z, w = self.orientation / np.linalg.norm(self.orientation)
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    @property
    def matrix(self) -> np.ndarray:
        """Float64 4×4 that takes points of the box's frame to the optical frame."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.axes, self.position
        return matrix

    def __repr__(self) -> str:
        position, size = (np.round(part, 3).tolist() for part in (self.position, self.size))
        return f"Pose(position={position}, size={size})"


@dataclass(frozen=True, eq=False)
class RegionShape:
    """What depth says of one region, in the camera's optical frame, m.

    With a table the box's z axis is the vertical and its x axis the longer of the other two.
    Without, the axes are those of the points' spread, widest first.

    Attributes:
        points: float32 N×3, points of the visible surface, outliers left out.
        pixels: int32 N, where each point is in the image: row · width + column.
        pose: Centroid and oriented box of the points.
    """

    points: np.ndarray
    pixels: np.ndarray
    pose: Pose

    def __repr__(self) -> str:
        return f"RegionShape({len(self.points)} points, {self.pose})"


@dataclass(frozen=True, eq=False)
class Region:
    """One region that answers a text.

    Attributes:
        id: Its number within the scene, from 0.
        box: x y w h, px of the image, tight around the mask.
        crop: bool h×w, the mask cropped to the box; 0×0 in a reply without masks.
        image_size: (H, W) of the image, px.
        score: How well the text fits, 0..1.
        margin: Score less that of the best other region for the same text, −1..1; the score
            itself where there is no other.
        pose: Where it is in space; None where there is no depth, or too little of it.
    """

    id: int
    box: Box
    crop: np.ndarray
    image_size: tuple[int, int]
    score: float
    margin: float
    pose: Pose | None = None

    @property
    def mask(self) -> np.ndarray:
        """The mask as bool H×W of the image, made anew each time.

        Raises:
            ValueError: The reply left the masks out.
        """
        if not self.crop.size:
            raise ValueError("the reply came without masks, as the request asked")
        return whole_mask(self.crop, self.box, self.image_size)

    def __repr__(self) -> str:
        return f"Region(id={self.id}, box={self.box}, score={self.score:.3f}, pose={self.pose})"


@dataclass(frozen=True)
class Part:
    """A part of how a text was read, and how well the best region fits it.

    Attributes:
        text: The part, such as "mug" or "left of · red ball".
        score: How well it fits, 0..1.
        flat: Whether it was measured in the image, for want of depth.
    """

    text: str
    score: float
    flat: bool = False


@dataclass(frozen=True, eq=False)
class Grounding:
    """The answer to one text.

    Attributes:
        text: The text as it was asked.
        found: Whether the best region reached the threshold.
        score: Score of the best region, found or not, 0..1; 0 where the scene has no region.
        regions: Regions at or above the threshold, best first.
        box: Box around all of them, x y w h, px of the image; None where there are none.
        unknown: Words of the text that the profile does not know; then nothing is found.
        image: The image that the answer is about.
        reading: How a text that says more than a name was read, such as "mug · left of · red
            ball"; empty where it was asked as it stands.
        anchors: The regions by which the thing was told from others, such as the red ball.
        parts: How well the best region fits each part of the reading.
        ambiguous: Whether more regions fit as well as were asked for; then all of them are given.
        missing: The anchor that is not there, so that nothing is found; empty where none is
            missing.
    """

    text: str
    found: bool
    score: float
    regions: tuple[Region, ...] = ()
    box: Box | None = None
    unknown: tuple[str, ...] = ()
    image: ImageHeader = UNNAMED
    reading: str = ""
    anchors: tuple[Region, ...] = ()
    parts: tuple[Part, ...] = ()
    ambiguous: bool = False
    missing: str = ""

    @property
    def flat(self) -> bool:
        """Whether a relation was measured in the image, for want of depth."""
        return any(part.flat for part in self.parts)

    @property
    def best(self) -> Region | None:
        """The region that fits best; None where there is none."""
        return self.regions[0] if self.regions else None

    def __repr__(self) -> str:
        found = "found" if self.found else "not found"
        regions = f"{len(self.regions)} regions"
        return f"Grounding({self.text!r}: {found}, score={self.score:.3f}, {regions})"


@dataclass(frozen=True, eq=False)
class Answer:
    """The answers to the texts of one query, in the order asked, about one image.

    Attributes:
        image: The image that was used.
        groundings: One for each text.
        encode_ms: Time spent on the regions of the image, ms; 0 where they were known.
        query_ms: Time spent on the texts and on shapes in space, ms.
        reused: Whether the regions are those of an earlier image that showed the same.
        fault: Why there are no poses although depth comes; empty where nothing is wrong.
        scene: All that is known about the image; None in a client, which gets the answer alone.
    """

    image: ImageHeader
    groundings: tuple[Grounding, ...] = ()
    encode_ms: float = 0.0
    query_ms: float = 0.0
    reused: bool = False
    fault: str = ""
    scene: Scene | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors of texts, to be compared with the tokens of regions.

    Attributes:
        encoder: Identity of the encoder; only tokens of the same one may be compared.
        vectors: float32 Q×D, unit length, in the order of the texts.
    """

    encoder: str
    vectors: np.ndarray

    def __repr__(self) -> str:
        texts, length = self.vectors.shape
        return f"Embedding({texts}×{length}, {self.encoder})"

"""Answers with their scenes, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from textregion_ros.core.boxes import Box, union_box
from textregion_ros.core.results import (
    UNNAMED,
    Answer,
    Grounding,
    ImageHeader,
    Pose,
    Region,
    RegionShape,
)
from textregion_ros.core.scene import EncodedFrame, Observation, Scene


class KnownSpace:
    """Tells the shapes that it was given, by the regions' boxes; without a table."""

    up = None

    def __init__(self, shapes: Mapping[Box, RegionShape]) -> None:
        self._shapes = shapes

    def shape(self, crop: np.ndarray, box: Box) -> RegionShape | None:
        return self._shapes.get(box)


def scene_of(
    rgb: np.ndarray,
    boxes: Sequence[Box] = (),
    shapes: Mapping[int, RegionShape] | None = None,
    tokens: np.ndarray | None = None,
    header: ImageHeader = UNNAMED,
) -> Scene:
    """A scene with those boxes; shapes by the number of the region."""
    count = len(boxes)
    encoded = EncodedFrame(
        image_size=rgb.shape[:2],
        masks=np.ones((count, 4, 4), np.float16),
        boxes=np.array(boxes, np.int32).reshape(count, 4),
        tokens=np.ones((count, 5), np.float32) if tokens is None else tokens,
        overlaps=np.eye(count, dtype=np.float32),
        encoder="an encoder",
    )
    space = KnownSpace({boxes[number]: shape for number, shape in (shapes or {}).items()})
    return Scene(Observation(rgb, header=header), encoded, space)


def region_of(
    box: Box,
    number: int = 3,
    fill: np.ndarray | None = None,
    score: float = 0.75,
    size: tuple[int, int] = (8, 9),
    pose: Pose | None = None,
) -> Region:
    """A region that fills its box, or what `fill` says of it."""
    crop = np.ones((box[3], box[2]), bool) if fill is None else fill
    return Region(number, box, crop, size, score, 0.25, pose)


def grounding_of(text: str, *regions: Region, score: float = 0.5) -> Grounding:
    """An answer that found the regions, or nothing."""
    box = union_box([region.box for region in regions])
    return Grounding(text, bool(regions), score, tuple(regions), box)


def answer_of(scene: Scene, *groundings: Grounding, reused: bool = False) -> Answer:
    """An answer about the scene."""
    header = scene.observation.header
    return Answer(header, groundings, 12.0, 3.0, reused, scene=scene)

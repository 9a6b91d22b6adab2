"""Texts that say which of several things is meant, answered in a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from textregion_ros.core.boxes import union_box
from textregion_ros.core.results import Grounding, Part, Region
from textregion_ros.core.scene import Scene
from textregion_ros.language.reading import Reading
from textregion_ros.language.resolving import Resolution, resolve
from textregion_ros.regions.grounding import region_of
from textregion_ros.space.placement import Layout, Placement


def refer(
    scene: Scene,
    text: str,
    reading: Reading,
    scores: Callable[[str], np.ndarray],
    threshold: float,
    top_k: int,
) -> Grounding:
    """Return the regions that a reading means, best first.

    Args:
        scene: The scene that was asked, with at least one region.
        text: What was asked.
        reading: How it was read.
        scores: Gives for a noun phrase the score of each region, float32 [R] in 0..1.
        threshold: Least score that is found; 0 always gives the best region.
        top_k: Most regions, 0 for all; of no effect where the text says how many, or is ambiguous.
    """
    found = resolve(reading, scores, layout_of(scene), threshold, overlaps=scene.encoded.overlaps)
    regions = _regions(found, reading, threshold, top_k)
    ladder = np.sort(found.probabilities)[::-1]
    best, second = float(ladder[0]), float(ladder[1]) if len(ladder) > 1 else 0.0
    chances = found.probabilities.tolist()
    answers = tuple(
        region_of(scene, index, chances[index], chances[index] - (best if rank else second))
        for rank, index in enumerate(regions)
    )
    return Grounding(
        text=text,
        found=bool(answers),
        score=answers[0].score if answers else best,
        regions=answers,
        box=union_box([region.box for region in answers]),
        image=scene.observation.header,
        reading=str(reading),
        anchors=tuple(_anchor(scene, found, index) for index in found.anchors),
        parts=tuple(Part(part.text, part.score, part.flat) for part in found.parts),
        ambiguous=found.ambiguous,
        missing=found.missing or "",
    )


def layout_of(scene: Scene) -> Layout:
    """Return where the regions of a scene are; made once, it serves every text."""
    return scene.once("layout", lambda: _layout(scene))


def _layout(scene: Scene) -> Layout:
    up = None if scene.space is None else scene.space.up
    return Layout.of([_placement(scene, index) for index in range(len(scene))], up)


def _placement(scene: Scene, index: int) -> Placement:
    placement = Placement(scene.box(index), scene.crop(index))
    shape = scene.shape(index)
    if shape is None:
        return placement
    pose = shape.pose
    return replace(
        placement,
        centroid=pose.centroid,
        position=pose.position,
        size=pose.size,
        points=shape.points,
    )


def _regions(found: Resolution, reading: Reading, threshold: float, top_k: int) -> list[int]:
    """Return the regions to answer with, best first."""
    if not found.regions and threshold == 0.0:
        return [int(found.probabilities.argmax())]
    regions = list(found.regions)
    says_how_many = reading.count != 1 or reading.other
    return regions if says_how_many or found.ambiguous or not top_k else regions[:top_k]


def _anchor(scene: Scene, found: Resolution, index: int) -> Region:
    score = max((part.score for part in found.parts if part.region == index), default=0.0)
    return region_of(scene, index, score, score)

"""What a node says, to the types of core."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Vector3
from sensor_msgs.msg import Image, RegionOfInterest

from textregion_ros import msg
from textregion_ros.core.boxes import Box
from textregion_ros.core.query import StandingQueries
from textregion_ros.core.results import (
    Answer,
    Embedding,
    Grounding,
    ImageHeader,
    Part,
    Pose,
    Region,
)
from textregion_ros.node.conversions.headers import image_header
from textregion_ros.node.conversions.requests import query_of
from textregion_ros.srv import Embed, Query


def to_answer(message: Query.Response | msg.GroundingArray, camera: str = "") -> Answer:
    """Return a reply, or what comes on `~/groundings`, as the library's answer without a scene.

    Args:
        message: The message.
        camera: Name of the camera, which the message does not tell.
    """
    image = image_header(message.header, camera)
    size = (message.image_height, message.image_width)
    return Answer(
        image,
        tuple(_grounding(grounding, image, size) for grounding in message.groundings),
        message.encode_ms,
        message.query_ms,
        message.reused,
    )


def to_standing_queries(message: msg.Queries) -> StandingQueries:
    """Return what comes on `~/queries`; a threshold or `top_k` of None is the node's parameter."""
    return StandingQueries(message.revision, query_of(message))


def to_embedding(message: Embed.Response) -> Embedding:
    """Return the vectors of a reply."""
    vectors = np.array(message.vectors, np.float32).reshape(-1, message.dimension)
    return Embedding(message.encoder, vectors)


def _grounding(message: msg.Grounding, image: ImageHeader, size: tuple[int, int]) -> Grounding:
    return Grounding(
        message.text,
        message.found,
        message.score,
        tuple(_region(region, size) for region in message.regions),
        _box(message.box) if message.found else None,
        tuple(message.unknown),
        image,
        message.reading,
        tuple(_region(region, size) for region in message.anchors),
        tuple(map(Part, message.part_texts, message.part_scores, message.part_flat)),
        message.ambiguous,
        message.missing,
    )


def _region(message: msg.Region, size: tuple[int, int]) -> Region:
    return Region(
        message.id,
        _box(message.box),
        _crop(message.mask),
        size,
        message.score,
        message.margin,
        _pose(message) if message.has_pose else None,
    )


def _crop(mask: Image) -> np.ndarray:
    if not len(mask.data):
        return np.zeros((0, 0), bool)
    rows = np.frombuffer(mask.data, np.uint8).reshape(mask.height, mask.step)
    return rows[:, : mask.width] > 0


def _pose(message: msg.Region) -> Pose:
    turn = message.pose.orientation
    return Pose(
        _vector(message.centroid),
        _vector(message.pose.position),
        np.array([turn.x, turn.y, turn.z, turn.w]),
        _vector(message.size),
    )


def _vector(message: Point | Vector3) -> np.ndarray:
    return np.array([message.x, message.y, message.z])


def _box(roi: RegionOfInterest) -> Box:
    return roi.x_offset, roi.y_offset, roi.width, roi.height

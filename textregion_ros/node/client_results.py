"""What the client returns and raises: replies as numpy in small frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from textregion_ros import msg
from textregion_ros.regions.results import Box
from textregion_ros.srv import Query


class QueryFailed(Exception):
    """There is no answer; the text says why."""


class NoImage(QueryFailed):
    """No image has come from the camera yet."""


class Stale(QueryFailed):
    """No image came that is newer than newer_than, or no older than max_age."""


class BadRequest(QueryFailed):
    """The request cannot be answered as it stands."""


class NotReady(QueryFailed):
    """The node is not configured or not active, still loads its model, or has too many queries."""


class Timeout(QueryFailed, TimeoutError):
    """The answer was not worked out within the timeout."""


class NodeError(QueryFailed):
    """Something failed in the node."""


class Unavailable(QueryFailed):
    """No node answers to the name, it went away while it was asked, or the client was closed."""


FAILURES: dict[int, type[QueryFailed]] = {
    Query.Response.NO_IMAGE: NoImage,
    Query.Response.STALE: Stale,
    Query.Response.BAD_REQUEST: BadRequest,
    Query.Response.NOT_READY: NotReady,
    Query.Response.TIMEOUT: Timeout,
    Query.Response.ERROR: NodeError,
}


@dataclass(frozen=True)
class Pose:
    """Where a region lies, in the camera's optical frame (x right, y down, z forward), metres.

    centroid: float64 3, centre of gravity of the visible surface. position: float64 3, centre of
    the oriented box around it. orientation: float64 4, quaternion x y z w that turns the axes of
    the box to those of the frame. size: float64 3, extents of the box along its axes.
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


@dataclass(frozen=True)
class Region:
    """One region that answers a text.

    id: its number within the encoded frame. box: x y w h in pixels of the camera image. mask: bool
    h×w, cropped to the box; the reply does not say how large the image is. score: 0..1. margin: by
    how much it leads the best other region for the text. pose: None where there is no depth.
    """

    id: int
    box: Box
    mask: np.ndarray
    score: float
    margin: float
    pose: Pose | None

    def full_mask(self, height: int, width: int) -> np.ndarray:
        """Return the mask as bool height×width, the size of the camera image, px."""
        x, y, box_width, box_height = self.box
        full = np.zeros((height, width), bool)
        full[y : y + box_height, x : x + box_width] = self.mask
        return full


@dataclass(frozen=True)
class Grounding:
    """The answer to one text.

    text: as asked. found: whether a region reached the threshold. score: the best region's, found
    or not. regions: best first, empty where not found. box: around all of them, x y w h, or None.
    header: of the very image that was used; its stamp and frame are those of boxes and poses.
    """

    text: str
    found: bool
    score: float
    regions: tuple[Region, ...]
    box: Box | None
    header: Header

    @property
    def best(self) -> Region | None:
        """The region that fits best, or None where nothing was found."""
        return self.regions[0] if self.regions else None


@dataclass(frozen=True)
class Answer:
    """The answers to the texts of one request, in their order, about one image.

    header: of the very image that was used. encode_ms, query_ms: time spent on the image and on
    the texts. reused: whether the regions are those of an earlier image that showed the same.
    """

    header: Header
    groundings: tuple[Grounding, ...]
    encode_ms: float
    query_ms: float
    reused: bool


@dataclass(frozen=True)
class StandingQueries:
    """What is looked for in every frame. revision: counts its changes, from 1."""

    revision: int
    texts: tuple[str, ...]
    negatives: tuple[str, ...]
    threshold: float
    top_k: int


def to_answer(message: Query.Response | msg.GroundingArray) -> Answer:
    """Return a reply, or what comes on ~/groundings, as numpy."""
    return Answer(
        message.header,
        tuple(_grounding(grounding, message.header) for grounding in message.groundings),
        message.encode_ms,
        message.query_ms,
        message.reused,
    )


def to_standing_queries(message: msg.Queries) -> StandingQueries:
    """Return what comes on ~/queries."""
    return StandingQueries(
        message.revision,
        tuple(message.texts),
        tuple(message.negatives),
        message.threshold,
        message.top_k,
    )


def _grounding(message: msg.Grounding, header: Header) -> Grounding:
    regions = tuple(_region(region) for region in message.regions)
    box = _box(message.box) if message.found else None
    return Grounding(message.text, message.found, message.score, regions, box, header)


def _region(message: msg.Region) -> Region:
    pixels = np.frombuffer(message.mask.data, np.uint8).reshape(-1, message.mask.step)
    mask = pixels[:, : message.mask.width] > 0
    pose = _pose(message) if message.has_pose else None
    return Region(message.id, _box(message.box), mask, message.score, message.margin, pose)


def _pose(message: msg.Region) -> Pose:
    position, orientation = message.pose.position, message.pose.orientation
    return Pose(
        _vector(message.centroid),
        _vector(position),
        np.array([orientation.x, orientation.y, orientation.z, orientation.w]),
        _vector(message.size),
    )


def _vector(message: object) -> np.ndarray:
    return np.array([message.x, message.y, message.z])


def _box(roi: RegionOfInterest) -> Box:
    return roi.x_offset, roi.y_offset, roi.width, roi.height

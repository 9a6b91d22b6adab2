"""Answers, vectors and standing queries to messages."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from textregion_ros import msg
from textregion_ros.core.boxes import Box
from textregion_ros.core.errors import QueryFailed
from textregion_ros.core.query import StandingQueries
from textregion_ros.core.results import Answer, Grounding, Pose, Region
from textregion_ros.core.scene import Scene
from textregion_ros.core.status import Status
from textregion_ros.core.text import one_line, shown
from textregion_ros.node.conversions.arrays import flat_array
from textregion_ros.node.conversions.headers import ros_header
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.conversions.requests import query_fields
from textregion_ros.srv import Embed, Query

MOST_SENTENCE = 1000  # characters of a failure's sentence
MOST_UNKNOWN = 5  # words that are named in a sentence


def fill_answer(response: Query.Response, answer: Answer, masks: bool = True) -> Query.Response:
    """Fill the reply to a query that was answered, found or not.

    Args:
        response: The reply.
        answer: The answer, with its scene.
        masks: Whether to send the masks, which are most of the bytes.
    """
    _fill(response, answer, masks)
    response.status = Status.OK
    if not any(grounding.found for grounding in answer.groundings):
        response.status = Status.NOT_FOUND
        response.message = _why_nothing(answer)
    return response


def _why_nothing(answer: Answer) -> str:
    sentence = "nothing was found"
    if answer.groundings:
        best = max(answer.groundings, key=lambda grounding: grounding.score)
        sentence += f"; the best was {shown(best.text)}, {best.score:.3f}"
    missing = dict.fromkeys(found.missing for found in answer.groundings if found.missing)
    if missing:
        words = ", ".join(shown(anchor) for anchor in list(missing)[:MOST_UNKNOWN])
        sentence += f"; there is no {words}"
    unknown = dict.fromkeys(word for found in answer.groundings for word in found.unknown)
    if unknown:
        words = ", ".join(shown(word) for word in list(unknown)[:MOST_UNKNOWN])
        sentence += f"; the profile does not know {words}"
    return sentence


def fill_failure(
    response: Query.Response | Embed.Response, failure: QueryFailed
) -> Query.Response | Embed.Response:
    """Fill the reply to a query that got no answer."""
    response.status = Status.ERROR if failure.status is None else failure.status
    response.message = one_line(str(failure), MOST_SENTENCE)
    return response


def fill_vectors(response: Embed.Response, encoder: str, vectors: np.ndarray) -> Embed.Response:
    """Fill the reply with the vectors of texts.

    Args:
        response: The reply.
        encoder: Identity of the encoder.
        vectors: float32 Q×D, unit length, in the order of the texts.
    """
    response.status = Status.OK
    response.encoder = encoder
    response.dimension = vectors.shape[1]
    response.vectors = flat_array("f", vectors.astype(np.float32, copy=False))
    return response


def queries_message(standing: StandingQueries) -> msg.Queries:
    """Return the standing queries in force."""
    return msg.Queries(revision=standing.revision, **query_fields(standing.query))


def grounding_array(answer: Answer, revision: int) -> msg.GroundingArray:
    """Return the answer to the standing queries of that revision."""
    message = msg.GroundingArray(revision=revision)
    _fill(message, answer)
    return message


def scene_of(answer: Answer) -> Scene:
    """Return the scene of an answer that was made in this process.

    Raises:
        ValueError: The answer came in a message.
    """
    if answer.scene is None:
        raise ValueError("the answer came in a message and has no scene")
    return answer.scene


def _fill(message: Query.Response | msg.GroundingArray, answer: Answer, masks: bool = True) -> None:
    header = ros_header(answer.image)
    message.header = header
    message.image_height, message.image_width = scene_of(answer).image_size
    message.groundings = [
        grounding_message(grounding, header, masks) for grounding in answer.groundings
    ]
    message.encode_ms, message.query_ms = float(answer.encode_ms), float(answer.query_ms)
    message.reused = bool(answer.reused)


def grounding_message(grounding: Grounding, header: Header, masks: bool = True) -> msg.Grounding:
    """Return the answer to one text, under the image's header."""
    return msg.Grounding(
        text=grounding.text,
        found=bool(grounding.found),
        score=float(grounding.score),
        unknown=list(grounding.unknown),
        reading=grounding.reading,
        anchors=[region_message(region, header, masks) for region in grounding.anchors],
        part_texts=[part.text for part in grounding.parts],
        part_scores=[float(part.score) for part in grounding.parts],
        part_flat=[part.flat for part in grounding.parts],
        ambiguous=grounding.ambiguous,
        missing=grounding.missing,
        regions=[region_message(region, header, masks) for region in grounding.regions],
        box=box_message(grounding.box),
    )


def region_message(region: Region, header: Header, masks: bool = True) -> msg.Region:
    """Return a region with its mask, 0 or 255, under the image's header."""
    message = msg.Region(
        id=int(region.id),
        box=box_message(region.box),
        score=float(region.score),
        margin=float(region.margin),
    )
    if masks:
        message.mask = to_message(region.crop.astype(np.uint8) * np.uint8(255), header)
    if region.pose is not None:
        message.has_pose = True
        message.centroid = point_message(region.pose.centroid)
        message.pose = pose_message(region.pose)
        message.size = vector_message(region.pose.size)
    return message


def box_message(box: Box | None) -> RegionOfInterest:
    """Return x y w h, px of the image, as a message; all zero for no box."""
    x, y, width, height = (int(value) for value in box or (0, 0, 0, 0))
    return RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)


def pose_message(pose: Pose) -> PoseMessage:
    """Return centre and axes of a region's box, in the optical frame, m."""
    x, y, z, w = pose.orientation.tolist()
    return PoseMessage(
        position=point_message(pose.position), orientation=Quaternion(x=x, y=y, z=z, w=w)
    )


def point_message(values: np.ndarray) -> Point:
    """Return x y z, m, as a message."""
    x, y, z = values.tolist()
    return Point(x=x, y=y, z=z)


def vector_message(values: np.ndarray) -> Vector3:
    """Return x y z as a message."""
    x, y, z = values.tolist()
    return Vector3(x=x, y=y, z=z)

"""What is asked: requests to the types of core, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time

from textregion_ros import msg
from textregion_ros.core.errors import BadImage, BadRequest
from textregion_ros.core.query import Query
from textregion_ros.core.scene import Observation
from textregion_ros.node.conversions import headers
from textregion_ros.node.conversions.depth import intrinsics_of, metres_of
from textregion_ros.node.conversions.headers import SECOND
from textregion_ros.node.conversions.images import is_given, to_rgb
from textregion_ros.srv import Embed, SetQueries
from textregion_ros.srv import Query as QueryService

OPEN = -1  # a threshold or top_k that is left to the node's parameters


def query_of(message: QueryService.Request | SetQueries.Request | msg.Queries) -> Query:
    """Return what is looked for, unchecked; None for a threshold or `top_k` that is left open."""
    return Query(
        tuple(message.texts),
        tuple(message.negatives),
        None if message.threshold < 0 else _short(message.threshold),
        None if message.top_k < 0 else message.top_k,
        not message.literal,
    )


def query_fields(query: Query) -> dict[str, object]:
    """Return what `query_of` reads, as fields of a message."""
    return {
        "texts": list(query.texts),
        "negatives": list(query.negatives),
        "threshold": float(OPEN if query.threshold is None else query.threshold),
        "top_k": OPEN if query.top_k is None else query.top_k,
        "literal": not query.language,
    }


def _short(value: float) -> float:
    """Return a float32 as the shortest number that it stands for: 0.3 and not 0.30000001."""
    return float(str(np.float32(value)))


def query_request(query: Query, **fields: object) -> QueryService.Request:
    """Return a query as a request, with further fields of it."""
    return QueryService.Request(**query_fields(query), **fields)


def set_queries_request(query: Query) -> SetQueries.Request:
    """Return standing queries as a request."""
    return SetQueries.Request(**query_fields(query))


def embed_request(texts: Sequence[str]) -> Embed.Request:
    """Return texts whose vectors are wanted as a request."""
    return Embed.Request(texts=list(texts))


def observation_of(
    request: QueryService.Request, max_pixels: int | None = None
) -> Observation | None:
    """Return the picture that a request brings along, with its depth; None where it brings none.

    Args:
        request: The request.
        max_pixels: Most pixels of the picture and of its depth; None for any number.

    Raises:
        BadRequest: The picture or its depth cannot be read, or something that belongs to them is
            missing.
    """
    if not is_given(request.image):
        if is_given(request.depth):
            raise BadRequest("depth came without the image that it belongs to")
        return None
    try:
        rgb = to_rgb(request.image, max_pixels)
    except BadImage as error:
        raise BadRequest(f"image: {error}") from None
    header = headers.image_header(request.image.header)
    if not is_given(request.depth):
        return Observation(rgb, header=header)
    if not (request.camera_info.width and request.camera_info.height):
        raise BadRequest("depth came without camera_info, which says how to read it")
    try:
        depth, intrinsics = (
            metres_of(request.depth, max_pixels),
            intrinsics_of(request.camera_info),
        )
    except BadImage as error:
        raise BadRequest(f"depth: {error}") from None
    return Observation(rgb, depth, intrinsics, header)


def seconds(duration: Duration, name: str) -> float:
    """Return a duration of a request, s.

    Raises:
        BadRequest: It is negative.
    """
    return nanoseconds(duration, name) / SECOND


def nanoseconds(time: Time | Duration, name: str) -> int:
    """Return a stamp or a duration of a request, ns.

    Raises:
        BadRequest: It is negative.
    """
    value = headers.nanoseconds(time)
    if value < 0:
        raise BadRequest(f"{name} is negative")
    return value

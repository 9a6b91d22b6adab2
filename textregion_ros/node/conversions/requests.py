"""What is asked: requests to the types of core, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time

from textregion_ros import msg
from textregion_ros.core.errors import BadRequest
from textregion_ros.core.query import Query
from textregion_ros.node.conversions import headers
from textregion_ros.node.conversions.headers import SECOND
from textregion_ros.node.conversions.images import is_given
from textregion_ros.srv import Embed, SetQueries
from textregion_ros.srv import Query as QueryService

OPEN = -1  # a threshold or top_k that is left to the node's parameters
ANY_TIME = 1 << 63  # ns; stamps do not matter where image and depth come in one request


def query_of(message: QueryService.Request | SetQueries.Request | msg.Queries) -> Query:
    """Return what is looked for, unchecked; None for a threshold or `top_k` that is left open."""
    return Query(
        tuple(message.texts),
        tuple(message.negatives),
        None if message.threshold < 0 else _short(message.threshold),
        None if message.top_k < 0 else message.top_k,
    )


def query_fields(query: Query) -> dict[str, object]:
    """Return what `query_of` reads, as fields of a message."""
    return {
        "texts": list(query.texts),
        "negatives": list(query.negatives),
        "threshold": float(OPEN if query.threshold is None else query.threshold),
        "top_k": OPEN if query.top_k is None else query.top_k,
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


def check_picture(request: QueryService.Request) -> None:
    """Check that depth comes with all that belongs to it.

    Raises:
        BadRequest: There is depth without an image or without its camera.
    """
    if not is_given(request.depth):
        return
    if not is_given(request.image):
        raise BadRequest("depth came without the image that it belongs to")
    if not (request.camera_info.width and request.camera_info.height):
        raise BadRequest("depth came without camera_info, which says how to read it")


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

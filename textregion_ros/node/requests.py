"""Service requests to questions; refuses what cannot be answered as it stands."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import Image

from textregion_ros.node.answers import SECOND, Freshness, Question, Refusal
from textregion_ros.node.frames import Frame
from textregion_ros.regions import BadImage
from textregion_ros.srv import Query, SetQueries


def question(request: Query.Request | SetQueries.Request) -> Question:
    """Return what is asked; a threshold of 0 leaves it open."""
    return Question(
        tuple(request.texts), tuple(request.negatives), request.threshold or None, request.top_k
    )


def frame(message: Image) -> Frame | None:
    """Return the picture that a request brings along, or None where it brings none.

    Raises Refusal for a picture that cannot be read.
    """
    if not (message.encoding or message.width or message.height or message.data):
        return None
    given = Frame(message)
    try:
        given.rgb  # noqa: B018 - a bad picture is refused before the query waits for anything
    except BadImage as error:
        raise Refusal(Query.Response.BAD_REQUEST, f"image: {error}") from None
    return given


def freshness(request: Query.Request) -> Freshness:
    """Return which camera frames may be used. Raises Refusal."""
    return Freshness(
        _nanoseconds(request.newer_than, "newer_than"), _nanoseconds(request.max_age, "max_age")
    )


def seconds(duration: Duration, name: str) -> float:
    """Return a duration in seconds. Raises Refusal where it is negative."""
    return _nanoseconds(duration, name) / SECOND


def _nanoseconds(time: Time | Duration, name: str) -> int:
    nanoseconds = time.sec * SECOND + time.nanosec
    if nanoseconds < 0:
        raise Refusal(Query.Response.BAD_REQUEST, f"{name} is negative")
    return nanoseconds

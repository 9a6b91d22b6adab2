"""Service requests to questions, and errors to refusals."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import CameraInfo, Image

from textregion_ros.node.answers import Freshness, Question, Refusal
from textregion_ros.node.frames import SECOND, Frame
from textregion_ros.regions import BadImage, BadQuery, BadText
from textregion_ros.srv import Query, SetQueries

ANY_TIME = 1 << 63  # ns; stamps do not matter where image and depth come in one request


def question(request: Query.Request | SetQueries.Request) -> Question:
    """Return what is asked; a threshold of 0 leaves it open."""
    return Question(
        tuple(request.texts), tuple(request.negatives), request.threshold or None, request.top_k
    )


def frame(request: Query.Request) -> Frame | None:
    """Return the picture that a request brings along, or None where it brings none.

    Raises Refusal for a picture that cannot be read, and for depth without all that belongs to it.
    """
    if not _is_given(request.image):
        if _is_given(request.depth):
            raise _bad("depth came without the image that it belongs to")
        return None
    given = Frame(request.image, tolerance=ANY_TIME)
    try:
        given.rgb  # noqa: B018 - a bad picture is refused before the query waits for anything
    except BadImage as error:
        raise _bad(f"image: {error}") from None
    if _is_given(request.depth):
        if request.camera_info == CameraInfo():
            raise _bad("depth came without camera_info, which says how to read it")
        given.offer(request.depth)
        given.offer(request.camera_info)
    return given


def _is_given(image: Image) -> bool:
    return bool(image.encoding or image.width or image.height or image.data)


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
        raise _bad(f"{name} is negative")
    return nanoseconds


def _bad(sentence: str) -> Refusal:
    return Refusal(Query.Response.BAD_REQUEST, sentence)


def refusal(error: Exception) -> Refusal | None:
    """Say as a status and a sentence what went wrong; None for what nobody foresaw."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, (BadText, BadQuery)):
        return _bad(str(error))
    if isinstance(error, BadImage):
        return Refusal(Query.Response.ERROR, f"the camera's image is of no use: {error}")
    return None

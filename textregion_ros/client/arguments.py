"""What a program may pass to the client: checked and converted before anything is sent.

rclpy hands a message with a wrong type in it to C code that ends the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Union

import builtin_interfaces.msg
import numpy as np
from rclpy.exceptions import NameValidationException
from rclpy.time import Time
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import BadImage, BadQuery, BadText
from textregion_ros.core.query import Query
from textregion_ros.core.text import one_line, shown
from textregion_ros.node.conversions.depth import depth_message, info_message
from textregion_ros.node.conversions.headers import (
    SECOND,
    duration_message,
    nanoseconds,
    time_message,
)
from textregion_ros.node.conversions.images import is_given, to_message

MOST = (1 << 31) - 1  # of the whole numbers and the seconds of a message

Stamp = Union[Time, builtin_interfaces.msg.Time, int]  # noqa: UP007 - made when it is imported
"""A time: rclpy's, a message, or ns as in ImageHeader.stamp."""


def text_of(value: object, name: str) -> str:
    """Return a text that a message can hold.

    Raises:
        TypeError: It is no str.
        BadText: It holds a NUL, where the message would end, or half a surrogate pair.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is {_kind(value)} and must be a str")
    text = str(value)
    if "\0" in text:
        raise BadText(f"{name} holds a NUL character: {shown(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadText(f"{name} is not valid Unicode: {shown(text)}") from None
    return text


def node_name_of(value: object) -> str:
    """Return the name of a node, as a program's node may give it.

    Raises:
        TypeError: It is no str.
        BadText: ROS allows no such name.
    """
    name = text_of(value, "name")
    try:
        validate_topic_name(f"{name}/query", is_service=True)
    except NameValidationException as error:
        why = str(error).partition("\n")[0]
        raise BadText(f"name {shown(name)} cannot be one: {one_line(why, 200)}") from None
    return name


def texts_of(values: object, name: str) -> tuple[str, ...]:
    """Return a list of texts.

    Raises:
        TypeError: It is a single text, or no list of texts.
        BadText: As `text_of`.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} is {_kind(values)} and must be a list of str")
    return tuple(text_of(value, f"{name}[{number}]") for number, value in enumerate(values))


def query_of(
    texts: object, negatives: object, threshold: object, top_k: object, language: object = True
) -> Query:
    """Return what is asked; its values are not checked yet.

    Raises:
        TypeError: A value is of another type.
        BadText, BadQuery: A value cannot be sent.
    """
    return Query(
        texts_of(texts, "texts"),
        texts_of(negatives, "negatives"),
        None if threshold is None else _number(threshold, "threshold"),
        None if top_k is None else _whole(top_k, "top_k"),
        flag_of(language, "language"),
    )


def flag_of(value: object, name: str) -> bool:
    """Return a value that is True or False.

    Raises:
        TypeError: It is neither True nor False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {_kind(value)} and must be True or False")
    return bool(value)


def image_of(image: object) -> Image:
    """Return a picture of one's own as a message; an empty one for None.

    Raises:
        TypeError: It is neither an array nor an Image.
        BadImage: The array is not RGB uint8 H×W×3, or the message is empty.
    """
    if image is None:
        return Image()
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise BadImage(f"image is {image.dtype} {image.shape} and must be RGB uint8 H×W×3")
        return to_message(image, Header())
    return _message(image, "image")


def depth_of(depth: object) -> Image:
    """Return depth as a message; an empty one for None.

    Raises:
        TypeError: It is neither an array nor an Image.
        BadImage: The array is not uint16 or floating point H×W, or the message is empty.
    """
    if depth is None:
        return Image()
    if isinstance(depth, np.ndarray):
        known = depth.dtype == np.uint16 or np.issubdtype(depth.dtype, np.floating)
        if not known or depth.ndim != 2 or not depth.size:
            raise BadImage(
                f"depth is {depth.dtype} {depth.shape} and must be H×W, uint16 in millimetres or "
                "floating point in metres"
            )
        return depth_message(depth, Header())
    return _message(depth, "depth")


def _message(image: object, name: str) -> Image:
    if isinstance(image, CompressedImage):
        raise TypeError(f"{name} is a CompressedImage: decode it, and pass the array")
    if not isinstance(image, Image):
        raise TypeError(f"{name} is {_kind(image)} and must be an array or a sensor_msgs Image")
    if not is_given(image):
        raise BadImage(f"{name} is an empty message")
    return image


def info_of(info: object) -> CameraInfo:
    """Return a camera as a message; an empty one for None.

    Raises:
        TypeError: It is neither a CameraInfo nor Intrinsics.
        BadImage: The size is out of range.
    """
    if info is None:
        return CameraInfo()
    if isinstance(info, CameraInfo):
        return info
    if not isinstance(info, Intrinsics):
        raise TypeError(
            f"camera_info is {_kind(info)} and must be Intrinsics or a sensor_msgs CameraInfo"
        )
    fx, fy, cx, cy = (
        _number(value, "camera_info") for value in (info.fx, info.fy, info.cx, info.cy)
    )
    width, height = (_whole(value, "camera_info") for value in (info.width, info.height))
    return info_message(Intrinsics(fx, fy, cx, cy, width, height), Header())


def check_picture(image: Image, depth: Image, info: CameraInfo) -> None:
    """Check that depth comes with its image and its camera, and has their size.

    Raises:
        BadImage: Something is missing, or the sizes differ.
    """
    if not is_given(depth):
        return
    if not is_given(image):
        raise BadImage("depth came without the image that it belongs to")
    if not (info.width and info.height):
        raise BadImage("depth came without camera_info, which says how to read it")
    size = (image.width, image.height)
    for name, other in (("depth", depth), ("camera_info", info)):
        if (other.width, other.height) != size:
            raise BadImage(
                f"{name} is {other.width}×{other.height} px and the image {size[0]}×{size[1]}: "
                "they must be aligned"
            )


def stamp_of(stamp: object) -> builtin_interfaces.msg.Time:
    """Return a time as a message; zero for None.

    Raises:
        TypeError: It is no time.
        BadQuery: It is negative or too large.
    """
    if stamp is None:
        return builtin_interfaces.msg.Time()
    if isinstance(stamp, Time):
        value = stamp.nanoseconds
    elif isinstance(stamp, builtin_interfaces.msg.Time):
        value = nanoseconds(stamp)
    elif isinstance(stamp, Integral) and not isinstance(stamp, bool):
        value = int(stamp)
    else:
        raise TypeError(
            f"newer_than is {_kind(stamp)} and must be a Time of rclpy, a Time message, or "
            "nanoseconds as an int"
        )
    if not 0 <= value < (MOST + 1) * SECOND:
        raise BadQuery(f"newer_than is {value} ns and must be within 0..{MOST} s")
    return time_message(value)


def max_age_of(seconds: object) -> builtin_interfaces.msg.Duration:
    """Return the greatest age as a message; zero, for any, for None.

    Raises:
        TypeError: It is no number.
        BadQuery: It is not above 0, or too large.
    """
    if seconds is None:
        return builtin_interfaces.msg.Duration()
    return duration_of(_seconds(seconds, "max_age"))


def timeout_of(seconds: object) -> float:
    """Return a timeout, s.

    Raises:
        TypeError: It is no number.
        BadQuery: It is not above 0, or too large.
    """
    return _seconds(seconds, "timeout")


def duration_of(seconds: float) -> builtin_interfaces.msg.Duration:
    """Return a duration above 0 as a message; never as zero, which would mean something else."""
    return duration_message(max(round(seconds * SECOND), 1))


def _seconds(value: object, name: str) -> float:
    seconds = _number(value, name)
    if not 0.0 < seconds <= MOST:
        raise BadQuery(f"{name} is {seconds:g} s and must be more than 0 and at most {MOST}")
    return seconds


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {_kind(value)} and must be a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {_kind(value)} and must be an int")
    number = int(value)
    if not 0 <= number <= MOST:
        raise BadQuery(f"{name} is {number} and must be within 0..{MOST}")
    return number


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

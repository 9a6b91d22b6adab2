"""Headers, stamps and durations."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time
from std_msgs.msg import Header

from textregion_ros.core.results import ImageHeader

SECOND = 1_000_000_000  # ns


def image_header(header: Header, camera: str = "") -> ImageHeader:
    """Return which image a message is about.

    Args:
        header: The message's header.
        camera: Name of the camera, which no header tells.
    """
    return ImageHeader(camera, stamp_of(header), header.frame_id)


def ros_header(header: ImageHeader) -> Header:
    """Return stamp and frame of an image as a header."""
    return Header(stamp=time_message(header.stamp), frame_id=header.frame_id)


def stamp_of(header: Header) -> int:
    """Return when a message was taken, ns."""
    return nanoseconds(header.stamp)


def nanoseconds(time: Time | Duration) -> int:
    """Return a stamp or a duration, ns."""
    return time.sec * SECOND + time.nanosec


def time_message(stamp: int) -> Time:
    """Return a stamp, ns, as a message."""
    sec, nanosec = divmod(stamp, SECOND)
    return Time(sec=sec, nanosec=nanosec)


def duration_message(duration: int) -> Duration:
    """Return a duration, ns, as a message."""
    sec, nanosec = divmod(duration, SECOND)
    return Duration(sec=sec, nanosec=nanosec)

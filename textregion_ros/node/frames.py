"""Camera frames: the newest one of a camera, and what depth came with it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from functools import cached_property
from math import inf

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from textregion_ros.node.images import to_rgb
from textregion_ros.node.space import Space, space_of

SECOND = 1_000_000_000


def stamp_of(header: Header) -> int:
    """When a message was taken, ns."""
    return header.stamp.sec * SECOND + header.stamp.nanosec


class Frame:
    """A camera image as it came, and the depth of the same moment.

    Nothing is computed before it is asked for. camera: its name, None for a picture that came with
    a request. tolerance: most that the stamps of depth and camera_info may be apart from the
    image's, ns. wait: how long they may come after the image, s; 0 for a camera without depth.
    """

    def __init__(
        self,
        message: Image | CompressedImage,
        camera: str | None = None,
        tolerance: int = 0,
        wait: float = 0.0,
    ) -> None:
        self.camera = camera
        self._message = message
        self._tolerance = tolerance
        self.expects_depth = wait > 0
        self._until = time.monotonic() + wait
        self._changed = threading.Condition()
        self._partners: dict[type, Image | CameraInfo] = {}
        self._passed: set[type] = set()

    @property
    def header(self) -> Header:
        """The header of the image."""
        return self._message.header

    @property
    def stamp(self) -> int:
        """When the image was taken, ns."""
        return stamp_of(self.header)

    @cached_property
    def rgb(self) -> np.ndarray:
        """RGB uint8 H×W×3. Raises BadImage."""
        return to_rgb(self._message)

    @cached_property
    def key(self) -> bytes:
        """Equal for equal pictures and only for these, whatever their stamps."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr(self.rgb.shape).encode())
        digest.update(np.ascontiguousarray(self.rgb).data)
        return digest.digest()

    def offer(self, message: Image | CameraInfo) -> None:
        """Take depth or camera_info where no other is nearer to the image's stamp."""
        kind, after = type(message), stamp_of(message.header) - self.stamp
        with self._changed:
            held = self._partners.get(kind)
            apart = inf if held is None else abs(stamp_of(held.header) - self.stamp)
            if abs(after) <= self._tolerance and abs(after) < apart:
                self._partners[kind] = message
            elif after > self._tolerance:
                self._passed.add(kind)
            self._changed.notify_all()

    def _is_settled(self) -> bool:
        """Whether nothing can come any more that belongs to the image."""
        return len(self._partners.keys() | self._passed) == 2

    @cached_property
    def space(self) -> Space | None:
        """Depth and intrinsics of the image, None where they did not come.

        Waits for them a little where the camera has them. Raises BadImage where they do not fit the
        image.
        """
        with self._changed:
            self._changed.wait_for(self._is_settled, max(self._until - time.monotonic(), 0.0))
            depth, info = self._partners.get(Image), self._partners.get(CameraInfo)
        if depth is None or info is None:
            return None
        return space_of(depth, info, self.rgb.shape[:2])


class Closed(Exception):
    """The camera is not listened to any more."""


class Mailbox:
    """One slot that always holds the newest frame."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False

    @property
    def newest(self) -> Frame | None:
        """The frame that came last, or None before the first."""
        return self._frame

    def put(self, frame: Frame) -> None:
        """Replace the frame and wake those who wait for a better one."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    def wait(self, fits: Callable[[Frame | None], bool], timeout: float) -> bool:
        """Wait until the newest frame fits, at most `timeout` seconds. Return whether it does.

        Raises Closed.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while not self._closed:
                if fits(self._frame):
                    return True
                if not self._changed.wait(max(end - time.monotonic(), 0.0)):
                    return fits(self._frame)
        raise Closed

    def close(self) -> None:
        """Send everyone away who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

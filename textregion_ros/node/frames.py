"""Camera frames: the newest one, and the last few that were encoded."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from textregion_ros.node.images import to_rgb
from textregion_ros.regions import EncodedFrame


class Frame:
    """A camera image as it came; nothing is computed before it is asked for."""

    def __init__(self, message: Image) -> None:
        self._message = message

    @property
    def header(self) -> Header:
        """The header of the image."""
        return self._message.header

    @property
    def stamp(self) -> int:
        """When the image was taken, ns."""
        return self.header.stamp.sec * 1_000_000_000 + self.header.stamp.nanosec

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


class Closed(Exception):
    """The node is shutting down."""


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


class KeptFrames:
    """The encoded frames used last, bounded in number and in bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._frames: OrderedDict[bytes, EncodedFrame] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes held by the frames."""
        return sum(frame.nbytes for frame in self._frames.values())

    def get(self, key: bytes) -> EncodedFrame | None:
        """Return the frame kept under the key, which makes it the one used last."""
        if key in self._frames:
            self._frames.move_to_end(key)
        return self._frames.get(key)

    def put(self, key: bytes, frame: EncodedFrame) -> None:
        """Keep the frame and let go of those used least recently."""
        self._frames[key] = frame
        while len(self._frames) > self._most or self.nbytes > self._most_bytes:
            self._frames.popitem(last=False)

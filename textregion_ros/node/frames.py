"""Camera images as they came: their depth, the newest of a camera, and whether it is fresh."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Protocol, TypeAlias

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from textregion_ros.core.errors import BadImage, NoImage, Stale
from textregion_ros.core.results import ImageHeader
from textregion_ros.core.scene import Observation
from textregion_ros.node.conversions.depth import intrinsics_of, metres_of
from textregion_ros.node.conversions.headers import SECOND, image_header, nanoseconds
from textregion_ros.node.conversions.images import to_rgb
from textregion_ros.space import Space, space_of

AHEAD = 0.5  # s; a stamp that lies farther ahead of the clock tells nothing of the image's age
Depth: TypeAlias = "Image | CompressedImage"


UNMATCHED = "depth and camera_info come, but not within depth_tolerance of the images' stamps"


def picture_key(rgb: np.ndarray) -> bytes:
    """Return what is equal for equal pictures uint8 H×W×3 and only for these."""
    digest = hashlib.blake2b(repr(rgb.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.digest()


class Source(Protocol):
    """An image that can be asked about."""

    @property
    def header(self) -> ImageHeader:
        """Which image it is."""

    @property
    def rgb(self) -> np.ndarray:
        """The image as uint8 H×W×3."""

    @property
    def key(self) -> bytes:
        """Equal for equal pictures and only for these."""

    @property
    def is_live(self) -> bool:
        """Whether it came from a camera."""

    def observe(self) -> tuple[Observation, Space | None, str]:
        """Return the image with its depth, what tells shapes, and why there is no depth."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that came with a request."""

    observation: Observation
    is_live = False

    @property
    def header(self) -> ImageHeader:
        """The header that came with it."""
        return self.observation.header

    @property
    def rgb(self) -> np.ndarray:
        """The picture as uint8 H×W×3."""
        return self.observation.rgb

    @cached_property
    def key(self) -> bytes:
        """Equal for equal pictures and only for these."""
        return picture_key(self.rgb)

    def observe(self) -> tuple[Observation, Space | None, str]:
        """Return the picture, and what tells shapes, None without depth.

        Raises:
            BadImage: Its depth does not fit the picture.
        """
        depth, intrinsics = self.observation.depth, self.observation.intrinsics
        if depth is None or intrinsics is None:
            return self.observation, None, ""
        return self.observation, space_of(depth, intrinsics, self.observation.image_size), ""


class Frame:
    """A camera image as it came, and the depth of the same moment.

    Nothing is converted before it is asked for.
    """

    is_live = True

    def __init__(
        self,
        message: Image | CompressedImage,
        camera: str = "",
        tolerance: int = 0,
        wait: float = 0.0,
        max_pixels: int | None = None,
    ) -> None:
        """Keep an image.

        Args:
            message: The image.
            camera: Name of its camera.
            tolerance: Longest time between the stamps of depth or camera_info and the image's, ns.
            wait: How long depth may come after the image, s; 0 for a camera without depth.
            max_pixels: Most pixels of the image and of its depth; None for any number.
        """
        self.header = image_header(message.header, camera)
        self.expects_depth = wait > 0
        self.arrived = time.monotonic()
        self._message = message
        self._tolerance = tolerance
        self._wait = wait
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._depth: Depth | None = None
        self._info: CameraInfo | None = None
        self._passed: set[str] = set()
        self._rgb: np.ndarray | None = None
        self._key: bytes | None = None

    @property
    def stamp(self) -> int:
        """When the image was taken, ns."""
        return self.header.stamp

    @property
    def rgb(self) -> np.ndarray:
        """The image as uint8 H×W×3, converted once.

        Raises:
            BadImage: The message cannot be converted.
        """
        if self._rgb is None:
            self._rgb = to_rgb(self._message, self._max_pixels)
        return self._rgb

    @property
    def key(self) -> bytes:
        """Equal for equal pictures and only for these, whatever their stamps."""
        if self._key is None:
            self._key = picture_key(self.rgb)
        return self._key

    def offer_depth(self, message: Depth) -> None:
        """Take a depth image where none is nearer to the image's stamp."""
        with self._lock:
            if self._is_nearer("depth", message, self._depth):
                self._depth = message

    def offer_info(self, message: CameraInfo) -> None:
        """Take a camera_info where none is nearer to the image's stamp."""
        with self._lock:
            if self._is_nearer("info", message, self._info):
                self._info = message

    def _is_nearer(
        self, kind: str, message: Depth | CameraInfo, held: Depth | CameraInfo | None
    ) -> bool:
        after = nanoseconds(message.header.stamp) - self.stamp
        if after > self._tolerance:
            self._passed.add(kind)
        apart = inf if held is None else abs(nanoseconds(held.header.stamp) - self.stamp)
        return abs(after) <= self._tolerance and abs(after) < apart

    @property
    def is_settled(self) -> bool:
        """Whether its depth has come, cannot come any more, or is not waited for any longer."""
        if not self.expects_depth or self.wait_left <= 0.0:
            return True
        with self._lock:
            has_depth = self._depth is not None or "depth" in self._passed
            return has_depth and (self._info is not None or "info" in self._passed)

    @property
    def wait_left(self) -> float:
        """How long its depth is still waited for, s."""
        return max(self.arrived + self._wait - time.monotonic(), 0.0)

    def observe(self) -> tuple[Observation, Space | None, str]:
        """Return the image with the depth that has come for it.

        Returns:
            The observation; what tells shapes, None without depth; and why there is no depth
            though the camera has it, empty where nothing is wrong.

        Raises:
            BadImage: The image cannot be converted.
        """
        with self._lock:
            depth, info = self._depth, self._info
        plain = Observation(self.rgb, header=self.header)
        if depth is None or info is None:
            return plain, None, UNMATCHED if self.expects_depth else ""
        try:
            metres, intrinsics = metres_of(depth, self._max_pixels), intrinsics_of(info)
            space = space_of(metres, intrinsics, plain.image_size)
        except BadImage as error:
            # Depth of no use is no reason to withhold masks and boxes.
            return plain, None, str(error)
        return replace(plain, depth=metres, intrinsics=intrinsics), space, ""


@dataclass(frozen=True)
class Freshness:
    """Which camera images may be used.

    Attributes:
        newer_than: Only those stamped later, ns; 0 for any.
        max_age: Only those at most so old, ns; 0 for any.
    """

    newer_than: int = 0
    max_age: int = 0

    def check(self, frame: Frame | None, now: int) -> Frame:
        """Return the image where it may be used.

        Args:
            frame: The image; None where none has come.
            now: Time on the clock of the stamps, ns.

        Raises:
            NoImage: None has come.
            Stale: It may not be used.
        """
        if frame is None:
            raise NoImage("no camera image has come yet")
        if self.newer_than and frame.stamp <= self.newer_than:
            late = (self.newer_than - frame.stamp) / SECOND
            raise Stale(f"the newest image is not newer than newer_than, but {late:.3f} s older")
        if not self.max_age:
            return frame
        age, most = (now - frame.stamp) / SECOND, self.max_age / SECOND
        if age < -AHEAD:
            raise Stale(
                f"the newest image is stamped {-age:.3f} s ahead of the node's clock, so its age "
                "is not known; see use_sim_time"
            )
        age = max(age, time.monotonic() - frame.arrived)
        if age > most:
            raise Stale(f"the newest image is {age:.3f} s old, more than max_age, {most:.3f} s")
        return frame

    def allows(self, frame: Frame | None, now: int) -> bool:
        """Return whether an image may be used."""
        try:
            self.check(frame, now)
        except (NoImage, Stale):
            return False
        return True


class Closed(Exception):
    """The camera is not listened to any more."""


class Mailbox:
    """The newest image of a camera whose depth has come, or is not waited for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: Frame | None = None
        # One that waits for its depth keeps its place while newer ones come: else, at a high
        # rate, none would ever be ready.
        self._candidate: Frame | None = None
        self._newest: Frame | None = None
        self._closed = False

    @property
    def newest(self) -> Frame | None:
        """The newest image that is ready to be used; None before the first."""
        with self._changed:
            self._promote()
            return self._ready

    def put(self, frame: Frame) -> None:
        """Take an image, and wake those who wait for one."""
        with self._changed:
            self._newest = frame
            self._candidate = self._candidate or frame
            self._changed.notify_all()

    def wake(self) -> None:
        """Have those who wait look again, since depth has come."""
        with self._changed:
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all images."""
        with self._changed:
            self._ready = self._candidate = self._newest = None

    def _promote(self) -> None:
        if self._candidate is None or self._newest is None:
            return
        if self._newest.is_settled:
            self._ready, self._candidate = self._newest, None
        elif self._candidate.is_settled:
            self._ready, self._candidate = self._candidate, self._newest

    def wait(self, fits: Callable[[Frame | None], bool], timeout: float) -> Frame | None:
        """Wait until the newest image fits.

        Args:
            fits: Whether an image fits; asked under the mailbox's lock.
            timeout: Longest time to wait, s.

        Returns:
            The newest image, whether or not it fits.

        Raises:
            Closed: The mailbox was closed.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while not self._closed:
                self._promote()
                left = end - time.monotonic()
                if fits(self._ready) or left <= 0.0:
                    return self._ready
                if self._candidate is not None:  # nobody wakes us when its wait is over
                    left = min(left, self._candidate.wait_left + 1e-3)
                self._changed.wait(left)
        raise Closed

    def close(self) -> None:
        """Send everyone away who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

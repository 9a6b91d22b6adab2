"""The cameras of the node: what has come from each, and its subscriptions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Protocol, TypeVar
from weakref import WeakSet

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import (
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from textregion_ros.node.frames import Depth, Frame, Mailbox

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

KEPT_DEPTHS = 8  # depth mostly comes after its image, and seldom long before
DEPTH_WAIT = 0.2  # s; longest that depth may come after its image
DEPTH_GONE = 1.0  # s without depth, after which images do not wait for it any more
WARN_PERIOD = 10.0  # s between two warnings about the same camera
Message = TypeVar("Message")


class Camera:
    """What has come from one camera since the node became active.

    Attributes:
        name: Its name; empty where the node has only one.
        mailbox: The newest image.
        images: How many images came.
        depths: How many depth images came.
        dropped: How many images a newer one replaced, unused, while the worker was busy.
        used: How many images were asked about.
        fault: What is wrong with what comes, for people; empty where nothing is.
        last_image: When the last image came, s of the monotonic clock.
        started: When the camera was first listened to, s of the monotonic clock.
    """

    def __init__(
        self,
        name: str = "",
        tolerance: int = 0,
        warn: Callable[[str], object] = lambda _fault: None,
        max_pixels: int | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            name: Its name.
            tolerance: Longest time between the stamps of depth or camera_info and the image's, ns.
            warn: Told of a fault, now and then.
            max_pixels: Most pixels that an image may have; None for any number.
        """
        self.name = name
        self.mailbox = Mailbox()
        self.images = self.depths = self.dropped = self.used = 0
        self.fault = ""
        self.last_image = self.started = time.monotonic()
        self._warn, self._next_warning = warn, 0.0
        self._tolerance = tolerance
        self._max_pixels = max_pixels
        self._lock = Lock()
        self._depths: deque[Depth] = deque(maxlen=KEPT_DEPTHS)
        self._infos: deque[CameraInfo] = deque(maxlen=KEPT_DEPTHS)
        self._last_depth = 0.0
        self._waiting: WeakSet[Frame] = WeakSet()
        self._arrived: Frame | None = None
        self._taken: Frame | None = None

    def put_image(self, message: Image | CompressedImage, is_busy: bool = False) -> None:
        """Make an image the newest one."""
        if is_busy and self._arrived is not None and self._arrived is not self._taken:
            self.dropped += 1
        self.images += 1
        self.last_image = time.monotonic()
        with self._lock:
            frame = Frame(message, self.name, self._tolerance, self._wait(), self._max_pixels)
            for depth in self._depths:
                frame.offer_depth(depth)
            for info in self._infos:
                frame.offer_info(info)
            self._waiting.add(frame)
        self._arrived = frame
        self.mailbox.put(frame)

    def _wait(self) -> float:
        """Return how long an image waits for its depth, s."""
        comes = time.monotonic() - self._last_depth < DEPTH_GONE and self._infos
        return DEPTH_WAIT if comes else 0.0

    def put_depth(self, message: Depth) -> None:
        """Offer depth to the images that are in use, and to those to come."""
        self.depths += 1
        with self._lock:
            self._last_depth = time.monotonic()
            self._depths.append(message)
            for frame in list(self._waiting):
                frame.offer_depth(message)
        self.mailbox.wake()

    def put_info(self, message: CameraInfo) -> None:
        """Offer camera_info to the images that are in use, and to those to come."""
        with self._lock:
            self._infos.append(message)
            for frame in list(self._waiting):
                frame.offer_info(message)
        self.mailbox.wake()

    def forget(self) -> None:
        """Forget all that came, as when the clock was set back."""
        with self._lock:
            self._depths.clear()
            self._infos.clear()
            self._arrived = None
        self.mailbox.clear()

    def blame(self, fault: str) -> None:
        """Say what is wrong with what comes; empty where nothing is."""
        self.fault = fault
        if fault and time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + WARN_PERIOD
            self._warn(f"camera {self.name}: {fault}" if self.name else fault)

    def took(self, frame: Frame) -> None:
        """Note that an image is used."""
        if frame is not self._taken:
            self.used += 1
        self._taken = frame


@dataclass(frozen=True)
class Inputs:
    """How a node listens to its cameras.

    Attributes:
        transport: How images come: raw or compressed.
        depth_transport: How depth comes: raw or compressedDepth.
        reliable: Whether to ask for reliable delivery of the images.
    """

    transport: str = "raw"
    depth_transport: str = "raw"
    reliable: bool = False

    def topic(self, node: Node, camera: str) -> str:
        """Return the full name of a camera's image topic, after all remaps."""
        name = node.resolve_topic_name(f"{camera}/image" if camera else "image")
        return _transported(name, self.transport)

    def subscribe(
        self,
        node: Node,
        camera: Camera,
        on_image: Callable[[Image | CompressedImage], None],
        on_partner: Callable[[], None],
    ) -> list[Subscription]:
        """Subscribe to a camera.

        Args:
            node: The node.
            camera: The camera, which takes depth and camera_info.
            on_image: Called with each image.
            on_partner: Called when depth or camera_info came.

        Returns:
            The subscriptions.
        """
        group = MutuallyExclusiveCallbackGroup()
        prefix = f"{camera.name}/" if camera.name else ""

        def listen(
            kind: type[Message],
            topic: str,
            callback: Callable[[Message], None],
            reliable: bool = False,
        ) -> Subscription:
            events = SubscriptionEventCallbacks(
                incompatible_qos=partial(_blame_qos, camera, node.resolve_topic_name(topic))
            )
            return node.create_subscription(
                kind,
                topic,
                callback,
                _newest(reliable),
                callback_group=group,
                event_callbacks=events,
            )

        def put_depth(message: Depth) -> None:
            camera.put_depth(message)
            on_partner()

        def put_info(message: CameraInfo) -> None:
            camera.put_info(message)
            on_partner()

        depth = _transported(node.resolve_topic_name(f"{prefix}depth"), self.depth_transport)
        return [
            listen(_kind(self.transport), self.topic(node, camera.name), on_image, self.reliable),
            listen(_kind(self.depth_transport), depth, put_depth),
            listen(CameraInfo, f"{prefix}camera_info", put_info),
        ]


def _kind(transport: str) -> type[Image] | type[CompressedImage]:
    return Image if transport == "raw" else CompressedImage


def _transported(topic: str, transport: str) -> str:
    """Return where image_transport publishes a topic in this form."""
    return topic if transport == "raw" else f"{topic}/{transport}"


class _IncompatibleQos(Protocol):
    """What rclpy tells of a publisher that does not fit; its name is another in every release."""

    last_policy_kind: int


def _blame_qos(camera: Camera, topic: str, event: _IncompatibleQos) -> None:
    policy = qos_policy_name_from_kind(event.last_policy_kind)
    camera.blame(
        f"a publisher on {topic} offers another {policy} than is asked for: nothing comes from "
        "it; see the parameter reliable"
    )


def _newest(reliable: bool) -> QoSProfile:
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)

"""One camera: its newest frame, the depth that belongs to it, and its topics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakSet

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import (
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from textregion_ros.node.frames import Frame, Mailbox

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

KEPT_DEPTHS = 8  # depth mostly comes after its image, and seldom long before
DEPTH_WAIT = 0.2  # s; longest that depth may come after its image
WARN_PERIOD = 10.0  # s, between two warnings about the same camera


class Camera:
    """What has come from one camera since the node became active.

    tolerance: most that the stamps of depth and camera_info may be from the image's, ns.
    images, depths: how many came. dropped: how many images were replaced by a newer one, unused,
    while the worker was busy. used: how many were asked about. fault: what is wrong with what
    comes, for people; `warn` is told of it now and then.
    """

    def __init__(
        self, name: str = "", tolerance: int = 0, warn: Callable[[str], Any] = lambda _fault: None
    ) -> None:
        self.name = name
        self._warn, self._next_warning = warn, 0.0
        self.mailbox = Mailbox()
        self.images = self.depths = self.dropped = self.used = 0
        self.fault = ""
        self.last_image = self.started = time.monotonic()
        self._tolerance = tolerance
        self._lock = Lock()
        self._recent: dict[type, deque] = {
            kind: deque(maxlen=KEPT_DEPTHS) for kind in (Image, CameraInfo)
        }
        self._waiting: WeakSet[Frame] = WeakSet()
        self._taken: Frame | None = None

    def put_image(self, message: Image | CompressedImage, is_busy: bool = False) -> None:
        """Make an image the newest frame."""
        before = self.mailbox.newest
        if is_busy and before is not None and before is not self._taken:
            self.dropped += 1
        self.images += 1
        self.last_image = time.monotonic()
        with self._lock:
            wait = DEPTH_WAIT if all(self._recent.values()) else 0.0
            frame = Frame(message, self.name, self._tolerance, wait)
            for recent in self._recent.values():
                for partner in recent:
                    frame.offer(partner)
            self._waiting.add(frame)
        self.mailbox.put(frame)

    def put_partner(self, message: Image | CameraInfo) -> None:
        """Offer depth or camera_info to the frames that are still in use, and to those to come."""
        if isinstance(message, Image):
            self.depths += 1
        with self._lock:
            self._recent[type(message)].append(message)
            for frame in list(self._waiting):
                frame.offer(message)

    def blame(self, fault: str) -> None:
        """Say what is wrong with what comes; empty where nothing is."""
        self.fault = fault
        if fault and time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + WARN_PERIOD
            self._warn(f"camera {self.name}: {fault}" if self.name else fault)

    def took(self, frame: Frame) -> None:
        """Note that the frame is used."""
        if frame is not self._taken:
            self.used += 1
        self._taken = frame


@dataclass(frozen=True)
class Inputs:
    """How a node listens to its cameras. transport: raw or compressed."""

    transport: str = "raw"
    reliable: bool = False

    def topic(self, node: Node, camera: str) -> str:
        """Full name of the camera's image topic, after all remaps."""
        name = node.resolve_topic_name(f"{camera}/image" if camera else "image")
        return name + "/compressed" if self.transport == "compressed" else name

    def subscribe(self, node: Node, camera: Camera, on_image: Any) -> list:
        """Subscribe to the camera's image, depth and camera_info; return the subscriptions."""
        group = MutuallyExclusiveCallbackGroup()
        kind = CompressedImage if self.transport == "compressed" else Image
        prefix = f"{camera.name}/" if camera.name else ""

        def listen(kind: type, topic: str, callback: Any, reliable: bool = False) -> Any:
            warn = self._qos_warning(node, camera, topic)
            return node.create_subscription(
                kind,
                topic,
                callback,
                _newest(reliable),
                callback_group=group,
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=warn),
            )

        return [
            listen(kind, self.topic(node, camera.name), on_image, self.reliable),
            listen(Image, f"{prefix}depth", camera.put_partner),
            listen(CameraInfo, f"{prefix}camera_info", camera.put_partner),
        ]

    @staticmethod
    def _qos_warning(node: Node, camera: Camera, topic: str) -> Any:
        topic = node.resolve_topic_name(topic)

        def warn(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            camera.blame(
                f"a publisher on {topic} offers another {policy} than is asked for: nothing comes "
                "from it; see the parameter reliable"
            )

        return warn


def _newest(reliable: bool) -> QoSProfile:
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)

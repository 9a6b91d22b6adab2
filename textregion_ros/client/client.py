"""A typed client for robot programs: sentences in, numpy masks, boxes and poses out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import builtin_interfaces.msg
import numpy as np
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros.node.client_results import (
    FAILURES,
    Answer,
    BadRequest,
    Grounding,
    NodeError,
    NoImage,
    NotReady,
    Pose,
    QueryFailed,
    Region,
    Stale,
    StandingQueries,
    Timeout,
    Unavailable,
    to_answer,
    to_standing_queries,
)
from textregion_ros.node.images import to_message
from textregion_ros.srv import Query, SetQueries

__all__ = [
    "Answer",
    "BadRequest",
    "Grounding",
    "NoImage",
    "NodeError",
    "NotReady",
    "Pose",
    "QueryFailed",
    "Region",
    "Stale",
    "StandingQueries",
    "TextRegionClient",
    "Timeout",
    "Unavailable",
    "to_answer",
    "to_standing_queries",
]
MOST_AT_A_TIME = 8  # the node turns away what is more
GRACE = 1.0  # s; for the node's own word that the time is up to arrive
LOOK = 0.5  # s; how often to see whether the node is still there

Stamp = Time | builtin_interfaces.msg.Time


class TextRegionClient:
    """Asks a running node; made from the node of the robot program.

    Calls block, and may be made from any thread and from any callback, whether or not the
    program's node is being spun: the client has a small node of its own in the same context, which
    a thread of its own spins, so the reply never waits for the program's executor. (A callback
    that asks still keeps a single-threaded executor of the program from its other callbacks.) The
    service names are resolved by the program's node, with its namespace and remaps.

    node: the program's node. name: of the node that answers, as the program's node would name it.
    Close the client, or use it in a `with` block, before the program's context is shut down.
    """

    def __init__(self, node: Node, name: str = "textregion") -> None:
        self._node = Node(
            f"{node.get_name()}_textregion_client",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,  # a remapped node name is not for this one
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._query = self._client(node, Query, f"{name}/query")
        self._set_queries = self._client(node, SetQueries, f"{name}/set_queries")
        self._closed = threading.Event()
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._spinning = threading.Thread(target=self._spin, daemon=True)
        self._spinning.start()
        self._pool = ThreadPoolExecutor(MOST_AT_A_TIME, "textregion-client")

    def _client(self, node: Node, kind: Any, name: str) -> Client:
        return self._node.create_client(kind, node.resolve_service_name(name))

    def find(self, text: str, **options: Any) -> Grounding:
        """Ask for one thing. The options are those of `find_all`, which says what is raised."""
        return self.find_all([text], **options).groundings[0]

    def find_async(self, text: str, **options: Any) -> Future[Grounding]:
        """Like `find`, in a thread of the client's own.

        `result(timeout)` of the future waits and raises what `find` raises; a callback added to it
        runs in the client's thread; `asyncio.wrap_future` makes it awaitable.
        """
        return self._pool.submit(self.find, text, **options)

    def find_all(
        self,
        texts: Sequence[str],
        *,
        negatives: Sequence[str] = (),
        threshold: float = 0.0,
        top_k: int = 0,
        camera: str = "",
        image: np.ndarray | Image | None = None,
        depth: Image | None = None,
        camera_info: CameraInfo | None = None,
        newer_than: Stamp | None = None,
        max_age: float = 0.0,
        timeout: float = 30.0,
    ) -> Answer:
        """Ask for several things in one picture; answers come in the order of the texts.

        negatives: what each text must beat. threshold: least score that is found, 0..1, 0 for the
        node's. top_k: most regions per text, 0 for all. camera: whose picture, where the node has
        several. image: a picture of your own, a message or RGB uint8 H×W×3, with its depth and
        camera_info for poses. newer_than: use only a picture stamped later, such as the time at
        which the arm stopped; waits for it. max_age: only one that is at most so old, s. timeout:
        longest time for all of it, also for the node to appear and its model to be loaded, s.

        That nothing is found is no error: `found` is false. Raises a QueryFailed by the status of
        the reply: NoImage, Stale, BadRequest, NotReady, Timeout, NodeError; and Unavailable where
        no node answers to the name. A call ends at most a second after its timeout.
        """
        request = Query.Request(
            texts=_listed(texts),
            negatives=_listed(negatives),
            threshold=float(threshold),
            top_k=top_k,
            camera=camera,
            image=_image(image),
            depth=depth or Image(),
            camera_info=camera_info or CameraInfo(),
            newer_than=_stamp(newer_than),
            max_age=_duration(max_age),
        )
        reply = self._call(self._query, request, timeout)
        if failure := FAILURES.get(reply.status):
            raise failure(reply.message)
        return to_answer(reply)

    def find_all_async(self, texts: Sequence[str], **options: Any) -> Future[Answer]:
        """Like `find_all`, in a thread of the client's own; see `find_async`."""
        return self._pool.submit(self.find_all, texts, **options)

    def set_queries(
        self,
        texts: Sequence[str],
        *,
        negatives: Sequence[str] = (),
        threshold: float = 0.0,
        top_k: int = 0,
        timeout: float = 30.0,
    ) -> StandingQueries:
        """Replace the standing queries, which are answered in every frame; none: stop.

        Returns what is now in force. Raises BadRequest where the node refuses, and then the old
        ones stay; Timeout and Unavailable as `find_all` does.
        """
        request = SetQueries.Request(
            texts=_listed(texts),
            negatives=_listed(negatives),
            threshold=float(threshold),
            top_k=top_k,
        )
        reply = self._call(self._set_queries, request, timeout)
        if not reply.success:
            raise BadRequest(reply.message)
        return to_standing_queries(reply.queries)

    def close(self) -> None:
        """Give up the calls that wait, which raise Unavailable, and leave ROS."""
        self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._executor.shutdown()
        if self._spinning is not threading.current_thread():
            self._spinning.join()
        self._node.destroy_node()

    def __enter__(self) -> TextRegionClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _call(self, client: Client, request: Any, timeout: float) -> Any:
        """Wait for the service, send the request, and wait for the reply."""
        if not timeout > 0:
            raise ValueError(f"timeout is {timeout:g} s and must be more than 0")
        end = time.monotonic() + timeout
        self._wait_for_service(client, end)
        left = max(end - time.monotonic(), 1e-3)
        if isinstance(request, Query.Request):
            request.timeout = _duration(left)
        arrived = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: arrived.set())
        try:
            self._wait_for_reply(client, arrived, end + GRACE)
        except (Timeout, Unavailable):
            client.remove_pending_request(future)
            raise
        return future.result()

    def _wait_for_service(self, client: Client, end: float) -> None:
        while not client.service_is_ready():
            self._check_open()
            if time.monotonic() >= end:
                raise Unavailable(f"no node offers {client.srv_name}")
            self._closed.wait(0.02)

    def _wait_for_reply(self, client: Client, arrived: threading.Event, end: float) -> None:
        while not arrived.wait(min(LOOK, max(end - time.monotonic(), 0.0))):
            self._check_open()
            if not client.service_is_ready():
                raise Unavailable(f"the node went away while it was asked: {client.srv_name}")
            if time.monotonic() >= end:
                raise Timeout(f"{client.srv_name} did not reply in time")

    def _check_open(self) -> None:
        if self._closed.is_set() or not self._node.context.ok():
            raise Unavailable("the client is closed")


def _listed(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f'a list of texts is needed, not the text "{texts}"')
    return list(texts)


def _image(image: np.ndarray | Image | None) -> Image:
    if image is None:
        return Image()
    if isinstance(image, Image):
        return image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise BadRequest(f"image is {image.dtype} {image.shape} and must be RGB uint8 H×W×3")
    return to_message(image, Header())


def _stamp(stamp: Stamp | None) -> builtin_interfaces.msg.Time:
    if stamp is None:
        return builtin_interfaces.msg.Time()
    return stamp.to_msg() if isinstance(stamp, Time) else stamp


def _duration(seconds: float) -> builtin_interfaces.msg.Duration:
    whole, nanoseconds = divmod(round(seconds * 1e9), 1_000_000_000)
    return builtin_interfaces.msg.Duration(sec=whole, nanosec=nanoseconds)

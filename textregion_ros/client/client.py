"""A typed client for robot programs: sentences in, numpy masks, boxes and poses out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, TypeVar

import numpy as np
from rclpy.client import Client
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from textregion_ros.client import arguments
from textregion_ros.client.arguments import Stamp
from textregion_ros.client.connection import Connection
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import (
    FAILURES,
    BadRequest,
    Busy,
    NodeError,
    NoImage,
    Stale,
    Timeout,
    Unavailable,
)
from textregion_ros.core.query import Query, StandingQueries
from textregion_ros.core.results import Answer, Embedding, Grounding
from textregion_ros.core.status import Status
from textregion_ros.node.conversions import requests
from textregion_ros.node.conversions.replies import to_answer, to_embedding, to_standing_queries
from textregion_ros.srv import Embed, SetQueries
from textregion_ros.srv import Query as QueryService

if TYPE_CHECKING:
    from typing_extensions import Unpack

TIMEOUT = 30.0  # s
MOST_AT_A_TIME = 8  # of the calls that return a future; the others wait for a thread
AGAIN = (Busy, NoImage, Stale, Timeout)  # what may be otherwise a moment later
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0  # s, before asking again

Result = TypeVar("Result")


class FindOptions(TypedDict, total=False):
    """Options of `find` and `find_all`.

    Attributes:
        negatives: What each text must beat, besides the node's own negatives.
        threshold: Least score that is found, 0..1; 0 always gives the best region. None: the
            node's parameter.
        top_k: Most regions for a text; 0 for all that are found. None: the node's parameter.
        language: Whether texts such as "the mug left of the bowl" are read; False asks for them as
            they stand.
        masks: Whether masks come along, which are most of a reply's bytes.
        camera: Name of the camera to look through, where the node has several.
        image: A picture of your own: RGB uint8 H×W×3, or a message.
        depth: Depth aligned to it: H×W, uint16 in mm or floating point in m, or a message.
        camera_info: The camera of both, as Intrinsics or a message. With depth, it gives poses.
        newer_than: Wait for an image that is stamped later, such as the moment at which the arm
            stopped: a Time of rclpy, a Time message, or ns.
        max_age: Wait for an image that is at most so old, s.
        timeout: Longest time for all of it, s; also for the node to appear and to load its model.
    """

    negatives: Sequence[str]
    threshold: float | None
    top_k: int | None
    language: bool
    masks: bool
    camera: str
    image: np.ndarray | Image | None
    depth: np.ndarray | Image | None
    camera_info: Intrinsics | CameraInfo | None
    newer_than: Stamp | None
    max_age: float | None
    timeout: float


class TextRegionClient:
    """Asks a running node; made from the node of the robot program.

    Calls block, and may be made from any thread and from any callback, whether or not the program's
    node is being spun. (A callback that asks still keeps a single-threaded executor of the program
    from its other callbacks.) Close the client, or use it in a `with` block.

    Arguments are checked before anything is sent: TypeError for a wrong type, ValueError for a
    wrong value, each with a sentence.
    """

    def __init__(self, node: Node, name: str = "textregion") -> None:
        """Connect.

        Args:
            node: The program's node; its namespace and remaps count for the name.
            name: Of the node that answers, as the program's node would name it.

        Raises:
            TypeError, ValueError: The node is none, or the name cannot be one.
            Unavailable: The node's context is shut down.
        """
        if not isinstance(node, Node):
            raise TypeError(f"node is a {type(node).__name__} and must be a node of rclpy")
        name = arguments.node_name_of(name)
        self._connection = Connection(node)
        try:
            self._query = self._connection.client(QueryService, f"{name}/query")
            self._embed = self._connection.client(Embed, f"{name}/embed")
            self._set_queries = self._connection.client(SetQueries, f"{name}/set_queries")
        except BaseException:
            self._connection.close()
            raise
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(
            MOST_AT_A_TIME, "textregion-client", lambda: setattr(self._own, "thread", True)
        )

    def find(self, text: str, **options: Unpack[FindOptions]) -> Grounding:
        """Ask for one thing; see `find_all`."""
        return self._find(_find_call([text], **options)).groundings[0]

    def find_async(self, text: str, **options: Unpack[FindOptions]) -> Future[Grounding]:
        """Ask for one thing in a thread of the client's own.

        `result(timeout)` of the future waits and raises what `find` raises; a callback added to it
        runs in the client's thread; `asyncio.wrap_future` makes it awaitable.
        """
        call = _find_call([text], **options)
        return self._submit(lambda: self._find(call).groundings[0])

    def find_all(self, texts: Sequence[str], **options: Unpack[FindOptions]) -> Answer:
        """Ask for several things in one picture.

        Where the node is busy, or no fitting image has come in the time that it allows itself, the
        client asks again until its timeout is over. It also asks again where another node takes
        the place of one that ended.

        Args:
            texts: What to look for, such as "red mug".
            options: See FindOptions.

        Returns:
            A grounding for each text, in their order. Where a text is not found, its `found` is
            false; this is no error.

        Raises:
            NoImage, Stale, BadRequest, NotReady, Busy, Timeout, NodeError: The node's reply.
            Unavailable: No node offers the service, or the client is closed.
            TypeError, ValueError: An argument is wrong; nothing was sent.
        """
        return self._find(_find_call(texts, **options))

    def find_all_async(
        self, texts: Sequence[str], **options: Unpack[FindOptions]
    ) -> Future[Answer]:
        """Ask for several things in a thread of the client's own; see `find_async`."""
        call = _find_call(texts, **options)
        return self._submit(lambda: self._find(call))

    def embed(self, texts: Sequence[str], *, timeout: float = TIMEOUT) -> Embedding:
        """Return the vectors of texts, to be compared with what comes on `~/tokens`.

        Args:
            texts: The texts.
            timeout: As of `find_all`.

        Raises:
            BadRequest, NotReady, Busy, Timeout, NodeError, Unavailable, TypeError, ValueError: As
                `find_all`.
        """
        query = Query(arguments.texts_of(texts, "texts"))
        query.check()
        end = _end(timeout)
        request = requests.embed_request(query.texts)
        return to_embedding(self._answered(self._embed, lambda _: request, end))

    def set_queries(
        self,
        texts: Sequence[str],
        *,
        negatives: Sequence[str] = (),
        threshold: float | None = None,
        top_k: int | None = None,
        language: bool = True,
        timeout: float = TIMEOUT,
    ) -> StandingQueries:
        """Replace the standing queries, which the node answers in every image.

        The list is sent a second time only where another node offers the service meanwhile, which
        cannot have had it. A node that gets the same list twice counts one revision more.

        Args:
            texts: What to look for; none: nothing.
            negatives: As of FindOptions.
            threshold: As of FindOptions.
            top_k: As of FindOptions.
            language: As of FindOptions.
            timeout: As of FindOptions.

        Returns:
            What is now in force.

        Raises:
            BadRequest: The node refuses; the old ones stay in force.
            Timeout, Unavailable: There was no reply; whether they were replaced is not known.
            TypeError, ValueError: As `find_all`.
        """
        query = arguments.query_of(texts, negatives, threshold, top_k, language)
        query.check_standing()
        end = _end(timeout)
        request = requests.set_queries_request(query)
        reply = self._connection.call(self._set_queries, lambda _: request, end, changes=True)
        if not reply.success:
            raise BadRequest(reply.message)
        return to_standing_queries(reply.queries)

    def close(self) -> None:
        """Give up the calls that wait, which raise Unavailable, and leave ROS.

        May be called again, from several threads, and in a callback of a future.
        """
        self._connection.give_up()
        # A thread of the pool cannot wait for itself.
        self._pool.shutdown(wait=not hasattr(self._own, "thread"))
        self._connection.close()

    def __enter__(self) -> TextRegionClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, job: Callable[[], Result]) -> Future[Result]:
        self._connection.check_open()
        try:
            return self._pool.submit(job)
        except RuntimeError:  # closed in this moment
            raise Unavailable("the client is closed") from None

    def _find(self, call: _FindCall) -> Answer:
        reply = self._answered(self._query, call.request_for, call.end)
        return to_answer(reply, call.camera)

    def _answered(
        self,
        service: Client,
        request_for: Callable[[float], QueryService.Request | Embed.Request],
        end: float,
    ) -> QueryService.Response | Embed.Response:
        """Ask, and ask again where that may help, until there is an answer or the time is up."""
        pause = FIRST_PAUSE
        while True:
            reply = self._connection.call(service, request_for, end)
            if reply.status in (Status.OK, Status.NOT_FOUND):
                return reply
            failure = FAILURES.get(reply.status, NodeError)
            if failure not in AGAIN or end - time.monotonic() <= pause:
                raise failure(reply.message)
            self._connection.pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


@dataclass(frozen=True, eq=False)
class _FindCall:
    """A query that was checked. end: when its time is up, by time.monotonic."""

    request: QueryService.Request
    camera: str
    end: float

    def request_for(self, left: float) -> QueryService.Request:
        """Return the request with the time that is left, s."""
        self.request.timeout = arguments.duration_of(left)
        return self.request


def _find_call(
    texts: Sequence[str],
    *,
    negatives: Sequence[str] = (),
    threshold: float | None = None,
    top_k: int | None = None,
    language: bool = True,
    masks: bool = True,
    camera: str = "",
    image: np.ndarray | Image | None = None,
    depth: np.ndarray | Image | None = None,
    camera_info: Intrinsics | CameraInfo | None = None,
    newer_than: Stamp | None = None,
    max_age: float | None = None,
    timeout: float = TIMEOUT,
) -> _FindCall:
    query = arguments.query_of(texts, negatives, threshold, top_k, language)
    query.check()
    end, camera = _end(timeout), arguments.text_of(camera, "camera")
    picture = arguments.image_of(image), arguments.depth_of(depth), arguments.info_of(camera_info)
    arguments.check_picture(*picture)
    request = requests.query_request(
        query,
        without_masks=not arguments.flag_of(masks, "masks"),
        camera=camera,
        image=picture[0],
        depth=picture[1],
        camera_info=picture[2],
        newer_than=arguments.stamp_of(newer_than),
        max_age=arguments.max_age_of(max_age),
    )
    return _FindCall(request, "" if image is not None else camera, end)


def _end(timeout: float) -> float:
    return time.monotonic() + arguments.timeout_of(timeout)

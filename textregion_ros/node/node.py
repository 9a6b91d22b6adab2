"""The node: parameters, topics and services around the engine."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from textregion_ros.drawing import draw
from textregion_ros.msg import GroundingArray
from textregion_ros.node import messages, requests
from textregion_ros.node.answers import Answer, Question, Refusal
from textregion_ros.node.engine import MOST_WAITING, Engine
from textregion_ros.node.frames import Closed, Frame, KeptFrames
from textregion_ros.node.images import to_message
from textregion_ros.node.parameters import declare_parameters, strings, value
from textregion_ros.node.worker import NotLoaded
from textregion_ros.regions import BadImage, BadQuery, BadText, TextRegion
from textregion_ros.srv import Query, SetQueries


class TextRegionNode(Node):
    """Answers sentences about the newest image of a camera.

    `spin` runs it: a query keeps a thread of the executor while it waits, and images must still
    come in. model_factory(profile, device) makes the model, in the worker's thread.
    """

    def __init__(
        self, model_factory: Callable[[str, str], Any] = TextRegion.from_profile, **options: Any
    ) -> None:
        super().__init__("textregion", **options)
        declare_parameters(self)
        self._standing = (1, Question(strings(self, "queries"), top_k=value(self, "top_k")))
        self._standing_job = threading.Lock()
        self._answered: tuple[int, Frame | None] = (0, None)
        self._next_standing = 0.0
        self._start(model_factory)

    def _start(self, model_factory: Callable[[str, str], Any]) -> None:
        """Begin to load the model, and make the topics and services."""
        profile, device = value(self, "profile"), value(self, "device")
        kept = KeptFrames(value(self, "kept_frames"), value(self, "kept_mib") << 20)
        self._engine = Engine(
            lambda: model_factory(profile, device), kept, lambda: self.get_clock().now().nanoseconds
        )
        self._engine.worker.when_loaded(self._report_model)
        reliability = ReliabilityPolicy.BEST_EFFORT
        if value(self, "reliable"):
            reliability = ReliabilityPolicy.RELIABLE
        newest = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)
        images, queries = MutuallyExclusiveCallbackGroup(), ReentrantCallbackGroup()
        self._groundings = self.create_publisher(GroundingArray, "~/groundings", 1)
        self._overlay = self.create_publisher(Image, "~/overlay", 1)
        self.create_subscription(Image, "image", self._on_image, newest, callback_group=images)
        self.create_service(Query, "~/query", self._on_query, callback_group=queries)
        self.create_service(SetQueries, "~/set_queries", self._on_set_queries)

    def _report_model(self, model: futures.Future) -> None:
        if model.cancelled():
            return
        if error := model.exception():
            self.get_logger().error(f"the model could not be loaded: {error}")
        else:
            self.get_logger().info(f"the model of profile {value(self, 'profile')} is loaded")

    def destroy_node(self) -> None:
        """Send waiting queries away, end the worker, and destroy the node."""
        self._engine.close()
        super().destroy_node()

    def _on_image(self, message: Image) -> None:
        self._engine.mailbox.put(Frame(message))
        self._answer_standing()

    # Queries

    def _on_query(self, request: Query.Request, response: Query.Response) -> Query.Response:
        try:
            found = self._ask(request)
            messages.fill_answer(response, found)
        except Exception as error:
            return messages.fill_refusal(response, self._refusal(error))
        if self._overlay.get_subscription_count():
            self._engine.worker.submit(lambda _model: self._publish_overlay(found))
        return response

    def _ask(self, request: Query.Request) -> Answer:
        question = requests.question(request)
        question.check()
        return self._engine.ask(
            self._with_parameters(question),
            requests.frame(request.image),
            requests.freshness(request),
            requests.seconds(request.timeout, "timeout"),
        )

    def _refusal(self, error: Exception) -> Refusal:
        """Say what went wrong as a status and a sentence."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, (BadText, BadQuery)):
            return Refusal(Query.Response.BAD_REQUEST, str(error))
        if isinstance(error, NotLoaded):
            return Refusal(Query.Response.NOT_READY, str(error))
        if isinstance(error, BadImage):
            return Refusal(Query.Response.ERROR, f"the camera's image is of no use: {error}")
        if isinstance(error, (Closed, futures.CancelledError)):
            return Refusal(Query.Response.ERROR, "the node is shutting down")
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self.get_logger().error(f"a query failed: {trace}")
        return Refusal(Query.Response.ERROR, f"{type(error).__name__}: {error}")

    def _with_parameters(self, question: Question) -> Question:
        """Add what the parameters say now."""
        return Question(
            question.texts,
            (*question.negatives, *strings(self, "negatives")),
            question.threshold or value(self, "threshold") or None,
            question.top_k,
        )

    # Standing queries

    def _on_set_queries(
        self, request: SetQueries.Request, response: SetQueries.Response
    ) -> SetQueries.Response:
        question = requests.question(request)
        try:
            if question.texts:
                question.check()
            self._standing = (self._standing[0] + 1, question)
            self._next_standing = 0.0
            response.success = True
        except Refusal as refusal:
            response.message = str(refusal)
        revision, question = self._standing
        response.queries = messages.queries_message(question, revision)
        self._answer_standing()
        return response

    def _listeners(self) -> int:
        publishers = (self._groundings, self._overlay)
        return sum(publisher.get_subscription_count() for publisher in publishers)

    def _answer_standing(self) -> None:
        """Have the standing queries answered, where there are any and somebody listens."""
        revision, question = self._standing
        newest, now = self._engine.mailbox.newest, time.monotonic()
        if not question.texts or newest is None or (revision, newest) == self._answered:
            return
        if now < self._next_standing or not self._listeners():
            return
        if not self._standing_job.acquire(blocking=False):
            return
        rate = value(self, "max_rate")
        self._next_standing = now + 1 / rate if rate else 0.0
        job = self._engine.answer_newest(
            self._with_parameters(question), lambda found: self._publish(found, revision)
        )
        job.add_done_callback(lambda job: self._end_standing(job, revision))

    def _publish(self, found: Answer, revision: int) -> None:
        self._answered = (revision, found.frame)
        if self._groundings.get_subscription_count():
            self._groundings.publish(messages.grounding_array(found, revision))
        if self._overlay.get_subscription_count():
            self._publish_overlay(found)

    def _end_standing(self, job: futures.Future, revision: int) -> None:
        self._standing_job.release()
        if job.cancelled():
            return
        if error := job.exception():
            self._answered = (revision, self._engine.mailbox.newest)
            self.get_logger().warning(
                f"the standing queries could not be answered: {error} "
                f"({self._engine.worker.failures} failures so far)",
                throttle_duration_sec=10.0,
            )
        # A frame or queries that came meanwhile found the worker busy.
        self._answer_standing()

    def _publish_overlay(self, found: Answer) -> None:
        picture = draw(found.frame.rgb, found.groundings)
        self._overlay.publish(to_message(picture, found.frame.header))


def spin(node: TextRegionNode) -> None:
    """Run the node until ROS shuts down, then destroy it."""
    executor = MultiThreadedExecutor(MOST_WAITING + 2)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()


def main(args: list[str] | None = None) -> None:
    """Run the node with the models of its profile."""
    rclpy.init(args=args)
    spin(TextRegionNode())

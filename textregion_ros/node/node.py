"""The managed node: its states, its services, and how its parts hang together."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.timer import Timer

from textregion_ros.msg import Queries
from textregion_ros.node import memory, messages, requests
from textregion_ros.node.answers import Answer, Question, Refusal
from textregion_ros.node.cameras import Camera, Inputs
from textregion_ros.node.diagnostics import Diagnostics
from textregion_ros.node.encodings import Encodings, KeptFrames
from textregion_ros.node.engine import LOADING, MOST_WAITING, Engine
from textregion_ros.node.frames import SECOND
from textregion_ros.node.outputs import Outputs
from textregion_ros.node.parameters import declare_parameters, judge, size, strings, texts_in, value
from textregion_ros.node.standing import StandingQueries
from textregion_ros.node.worker import NotLoaded
from textregion_ros.regions import TextRegion
from textregion_ros.srv import Query, SetQueries

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
UNCONFIGURED = "the node is not configured"
INACTIVE = "the node is not active: activate it"


class TextRegionNode(LifecycleNodeMixin, Node):
    """Answers sentences about the newest images of its cameras.

    A managed node: configuring loads the model, being active means to listen and to answer,
    cleaning up frees the memory. `spin` runs it: a query keeps a thread of the executor while it
    waits, and images must still come in. model_factory(profile, device) makes the model, in the
    worker's thread.
    """

    def __init__(
        self, model_factory: Callable[[str, str], Any] = TextRegion.from_profile, **options: Any
    ) -> None:
        Node.__init__(self, "textregion", **options)
        self._free = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self._free)
        self._model_factory = model_factory
        self._engine = Engine(lambda: self.get_clock().now().nanoseconds)
        self._standing = StandingQueries(
            self._engine, self._with_parameters, partial(value, self, "max_rate"), self._failed
        )
        self._inputs, self._listening, self._topics = Inputs(), [], {}
        self._autostart: Timer | None = None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._queries = self.create_publisher(Queries, "~/queries", latched)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        declare_parameters(self)
        self._replace_queries(Question(strings(self, "queries")))
        self._diagnostics = Diagnostics(self, self._engine)
        if messages.Detection2DArray is None:
            self.get_logger().info("without vision_msgs there is no ~/detections")
        self._serve()

    def _serve(self) -> None:
        """Make the services and timers, which are there in every state."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_service(Query, "~/query", self._on_query, callback_group=self._free)
        self.create_service(SetQueries, "~/set_queries", self._on_set_queries)
        group = MutuallyExclusiveCallbackGroup()
        self.create_timer(1.0, self._on_second, callback_group=group, clock=steady)
        if value(self, "autostart"):
            self._engine.gate.shut(LOADING, passing=True)
            self._autostart = self.create_timer(
                0.0, self._on_autostart, MutuallyExclusiveCallbackGroup(), clock=steady
            )

    def _on_autostart(self) -> None:
        self._autostart.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()
        self._autostart = None

    # States

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model. Fails where it cannot be loaded, and the log says why."""
        profile = value(self, "profile")
        kept = KeptFrames(value(self, "kept_frames"), value(self, "kept_mib") << 20)
        encodings = Encodings(kept, value(self, "static_threshold"))
        try:
            model = self._engine.load(self._load, encodings)
        except NotLoaded as error:
            self._diagnostics.load_error = str(error)
            self.get_logger().error(str(error))
            self._engine.unload(str(error))
            return FAILURE
        self._diagnostics.load_error, self._diagnostics.model = "", model
        self._inputs = Inputs(value(self, "transport"), value(self, "reliable"))
        cameras = strings(self, "cameras") or ("",)
        self._topics = {name: self._inputs.topic(self, name) for name in cameras}
        self._standing.begin({name: Outputs(self, name) for name in cameras})
        # Who asks while the node starts by itself goes on waiting.
        if self._autostart is None:
            self._engine.gate.shut(INACTIVE)
        self.get_logger().info(f"the model of profile {profile} is loaded")
        return SUCCESS

    def _load(self) -> Any:
        """Make the model, in the worker's thread: what a GPU compiles is for one thread alone."""
        model = self._model_factory(value(self, "profile"), value(self, "device"))
        if image_size := size(self, "compile_size"):
            self._diagnostics.note_compiled(model.compile(image_size))
        return model

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras, and answer."""
        tolerance = round(value(self, "depth_tolerance") * SECOND)
        warn = self.get_logger().warning
        cameras = {name: Camera(name, tolerance, warn) for name in self._topics}
        self._diagnostics.forget()
        for camera in cameras.values():
            on_image = partial(self._on_image, camera)
            self._listening += self._inputs.subscribe(self, camera, on_image)
        self._engine.start(cameras)
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more, and let the work that is under way come to its end."""
        self._stop_listening()
        self._engine.stop(INACTIVE)
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and of all frames, and give their memory back."""
        self._unload(UNCONFIGURED)
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything for good."""
        self._unload("the node was shut down")
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to where the node can be configured again."""
        self._unload(UNCONFIGURED)
        return SUCCESS

    def _unload(self, why: str) -> None:
        self._stop_listening()
        self._engine.unload(why)
        self._diagnostics.model = self._diagnostics.compile_seconds = None
        outputs, self._topics = self._standing.outputs, {}
        self._standing.begin({})
        for output in outputs.values():
            output.destroy()
        memory.release()

    def _stop_listening(self) -> None:
        subscriptions, self._listening = self._listening, []
        for subscription in subscriptions:
            self.destroy_subscription(subscription)

    def close(self) -> None:
        """Send waiting queries away and end the worker."""
        self._engine.unload("the node is shutting down")

    def destroy_node(self) -> None:
        """Close and destroy the node."""
        self.close()
        super().destroy_node()

    # Images and time

    def _on_image(self, camera: Camera, message: Any) -> None:
        worker = self._engine.worker
        camera.put_image(message, is_busy=worker is not None and worker.is_busy)
        self._standing.tick()

    def _on_second(self) -> None:
        self._standing.tick()
        self._diagnostics.publish(dict(self._topics))

    # Queries

    def _on_query(self, request: Query.Request, response: Query.Response) -> Query.Response:
        try:
            found = self._ask(request)
            messages.fill_answer(response, found)
        except Exception as error:
            return messages.fill_refusal(response, self._refusal(error))
        camera = request.camera if found.frame.camera is None else found.frame.camera
        if outputs := self._standing.outputs_of(camera):
            self._engine.later(partial(outputs.show, found))
        return response

    def _ask(self, request: Query.Request) -> Answer:
        question = requests.question(request)
        question.check()
        question, given = self._with_parameters(question), requests.frame(request)
        if value(self, "guided") and (given or not self._standing.follows(request.camera)):
            question = replace(question, guided=True)
        return self._engine.ask(
            question,
            given,
            requests.freshness(request),
            requests.seconds(request.timeout, "timeout"),
            request.camera,
        )

    def _refusal(self, error: Exception) -> Refusal:
        """Say what went wrong as a status and a sentence."""
        if refusal := requests.refusal(error):
            return refusal
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self.get_logger().error(f"a request failed: {trace}")
        return Refusal(Query.Response.ERROR, f"{type(error).__name__}: {error}")

    def _with_parameters(self, question: Question) -> Question:
        """Add what the parameters say now."""
        return Question(
            question.texts,
            (*question.negatives, *strings(self, "negatives")),
            question.threshold or value(self, "threshold") or None,
            question.top_k or value(self, "top_k"),
        )

    # Standing queries

    def _on_set_queries(
        self, request: SetQueries.Request, response: SetQueries.Response
    ) -> SetQueries.Response:
        try:
            self._replace_queries(requests.question(request))
            response.success = True
        except Exception as error:
            response.message = str(self._refusal(error))
        response.queries = self._queries_message()
        self._standing.tick()
        return response

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            return self._take_parameters(parameters)
        except Exception as error:  # it would end the node
            return SetParametersResult(successful=False, reason=str(self._refusal(error)))

    def _take_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        result = judge(self, parameters, self._engine.worker is not None)
        for parameter in parameters:
            if result.successful and parameter.name == "queries" and self._standing.revision:
                self._replace_queries(Question(texts_in(parameter)))
        return result

    def _replace_queries(self, question: Question) -> None:
        self._standing.replace(question)
        self._queries.publish(self._queries_message())

    def _queries_message(self) -> Queries:
        return messages.queries_message(self._standing.question, self._standing.revision)

    def _failed(self, error: BaseException) -> None:
        worker = self._engine.worker
        failures = worker.failures if worker else 0
        self.get_logger().warning(
            f"the standing queries could not be answered: {error} ({failures} failures so far)",
            throttle_duration_sec=10.0,
        )


def spin(node: TextRegionNode) -> None:
    """Run the node until ROS shuts down, then destroy it."""
    # Besides the queries that wait: a transition, images, timers and one more query to turn away.
    executor = MultiThreadedExecutor(MOST_WAITING + 4)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


def main(args: list[str] | None = None) -> None:
    """Run the node with the models of its profile."""
    rclpy.init(args=args)
    spin(TextRegionNode())

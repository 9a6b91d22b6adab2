"""The managed node: its states, its services, and how its parts hang together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image

from textregion_ros.core.query import Query
from textregion_ros.node import memory
from textregion_ros.node.cameras import Camera, Inputs
from textregion_ros.node.conversions.headers import SECOND
from textregion_ros.node.diagnostics import Diagnostics
from textregion_ros.node.engine import LOADING, Engine
from textregion_ros.node.failures import LOG_PERIOD, Failures
from textregion_ros.node.jobs import LoadingStopped, Model, ModelSettings, NotLoaded
from textregion_ros.node.outputs import Outputs
from textregion_ros.node.parameters import (
    completed,
    declare_parameters,
    flag,
    judge,
    limits,
    model_settings,
    number,
    size,
    strings,
    text,
    texts_in,
    whole,
)
from textregion_ros.node.pending import Pending
from textregion_ros.node.scenes import KeptFrames, Scenes
from textregion_ros.node.services import Services
from textregion_ros.node.standing import Settings, StandingWork
from textregion_ros.node.topics import DETECTIONS
from textregion_ros.node.transitions import refuse_what_does_not_fit

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
UNCONFIGURED = "the node is not configured"
INACTIVE = "the node is not active: activate it"
SHUT_DOWN = "the node was shut down"


class TextRegionNode(LifecycleNodeMixin, Node):
    """Answers sentences about the newest images of its cameras.

    A managed node: configuring loads the model, being active means to listen and to answer,
    cleaning up frees the memory. `running.run` spins it with enough threads: a query keeps one
    while it waits, and images must still come in.
    """

    def __init__(self, load: Callable[[ModelSettings], Model], **options: object) -> None:
        """Make the node.

        Args:
            load: Makes the model; called in the worker's thread.
            options: As rclpy's Node takes them.
        """
        Node.__init__(self, "textregion", **options)
        self._free = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self._free)
        refuse_what_does_not_fit(self._service_change_state, self.get_logger())
        self._load_model = load
        self._engine = Engine(lambda: self.get_clock().now().nanoseconds)
        self._standing = StandingWork(
            self._engine,
            Settings(partial(completed, self), partial(number, self, "max_rate")),
            self._standing_failed,
        )
        self._inputs = Inputs()
        self._listening: list[Subscription] = []
        self._topics: dict[str, str] = {}
        self._autostart: Timer | None = None
        self._failures = Failures(self)
        self.pending = Pending()
        declare_parameters(self)
        self._query_services = Services(
            self, self._engine, self._standing, self._failures, self.pending, self._free
        )
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = Diagnostics(self, self._engine)
        if DETECTIONS.kind is None:
            self.get_logger().info("without vision_msgs there is no ~/detections")
        self._start()

    def _start(self) -> None:
        """Start what runs in every state."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_clock_set_back,
        )
        group = MutuallyExclusiveCallbackGroup()
        self.create_timer(1.0, self._on_second, callback_group=group, clock=steady)
        if flag(self, "autostart"):
            self._engine.gate.shut(LOADING, passing=True)
            self._autostart = self.create_timer(
                0.0, self._on_autostart, MutuallyExclusiveCallbackGroup(), clock=steady
            )

    def _on_autostart(self) -> None:
        if self._autostart is None:
            return
        self._autostart.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()
        self._autostart = None

    # States

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model. Fails where it cannot be loaded, and the log says why."""
        settings = model_settings(self)
        kept = KeptFrames(whole(self, "kept_frames"), whole(self, "kept_mib") << 20)
        try:
            model = self._engine.load(
                partial(self._load, settings), Scenes(kept, number(self, "static_threshold"))
            )
        except LoadingStopped:
            return FAILURE
        except NotLoaded as error:
            self._diagnostics.load_error = str(error)
            self.get_logger().error(str(error))
            self._engine.unload(str(error))
            return FAILURE
        self._diagnostics.load_error, self._diagnostics.model = "", model
        self._query_services.drop_bad_queries()
        self._inputs = Inputs(
            text(self, "transport"), text(self, "depth_transport"), flag(self, "reliable")
        )
        cameras = strings(self, "cameras") or ("",)
        self._topics = {name: self._inputs.topic(self, name) for name in cameras}
        self._warn_of_useless_remaps(cameras)
        self._standing.begin({name: Outputs(self, name) for name in cameras})
        # Who asks while the node starts by itself goes on waiting.
        if self._autostart is None:
            self._engine.gate.shut(INACTIVE)
        self.get_logger().info(f"the model of profile {settings.profile} is loaded")
        return SUCCESS

    def _warn_of_useless_remaps(self, cameras: tuple[str, ...]) -> None:
        """Say that a remap of `image` does nothing where the cameras have names."""
        unmapped = f"{self.get_namespace().rstrip('/')}/image"
        topic = self.resolve_topic_name("image")
        if cameras != ("",) and topic != unmapped:
            self.get_logger().warning(
                f"image is remapped to {topic}, but with cameras {', '.join(cameras)} nothing "
                f"comes from there: remap {cameras[0]}/image and so on"
            )

    def _load(self, settings: ModelSettings) -> Model:
        """Make the model, in the worker's thread: what a GPU compiles is for one thread alone."""
        model = self._load_model(settings)
        if image_size := size(self, "compile_size"):
            self._diagnostics.note_compiled(model.compile(image_size))
        return model

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the cameras, and answer."""
        tolerance = round(number(self, "depth_tolerance") * SECOND)
        warn, most = self.get_logger().warning, limits(self).image_pixels
        cameras = {name: Camera(name, tolerance, warn, most) for name in self._topics}
        self._diagnostics.forget()
        for camera in cameras.values():
            self._listening += self._inputs.subscribe(
                self, camera, partial(self._on_image, camera), self._standing.tick
            )
        self._engine.start(cameras)
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more, and call off the work that is under way."""
        self._stop_listening()
        self._engine.stop(INACTIVE)
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and of all scenes, and give their memory back."""
        self._unload(UNCONFIGURED)
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything for good."""
        self._unload(SHUT_DOWN)
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
        for output in outputs:
            output.destroy()
        memory.release()

    def _stop_listening(self) -> None:
        subscriptions, self._listening = self._listening, []
        for subscription in subscriptions:
            self.destroy_subscription(subscription)

    def close(self) -> bool:
        """Send waiting queries away and end the worker.

        Returns:
            Whether the worker's thread ended; a long job may still hold it.
        """
        return self._engine.unload("the node is shutting down")

    def destroy_node(self) -> None:
        """Close and destroy the node."""
        self.close()
        self._clock_jumps.unregister()
        super().destroy_node()

    # Images and time

    def _on_image(self, camera: Camera, message: Image | CompressedImage) -> None:
        worker = self._engine.worker
        camera.put_image(message, is_busy=worker is not None and worker.is_busy)
        self._standing.tick()

    def _on_clock_set_back(self, jump: TimeJump) -> None:
        """Forget the images of a time that is still to come, as when a simulation starts anew."""
        for camera in list(self._engine.cameras.values()):
            camera.forget()

    def _on_second(self) -> None:
        self._standing.tick()
        self._diagnostics.publish(dict(self._topics))
        self._query_services.give_memory_back()

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            result = judge(self, parameters, self._engine.worker is not None)
            for parameter in parameters:
                if result.successful and parameter.name == "queries":
                    self._query_services.replace_queries(Query(texts_in(parameter)))
            return result
        except Exception as error:  # it would end the node
            return SetParametersResult(
                successful=False, reason=str(self._failures.as_failure(error))
            )

    def _standing_failed(self, error: BaseException) -> None:
        worker = self._engine.worker
        failures = worker.failures if worker else 0
        self.get_logger().warning(
            f"the standing queries could not be answered: {error} ({failures} failures so far)",
            throttle_duration_sec=LOG_PERIOD,
        )

"""The demo's robot: a camera that plays a recording, and questions to a node of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros.app.recording import TRUTH_TOPIC, RecordedFrame, Recording
from textregion_ros.core.results import Answer
from textregion_ros.core.status import Status
from textregion_ros.node.conversions.images import to_message
from textregion_ros.node.conversions.replies import to_answer
from textregion_ros.srv import Query

START_SECONDS, ANSWER_SECONDS = 180, 60
KINDS = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CameraInfo": CameraInfo}
# How ROS 2 is told to stay on this machine: Humble knows the first, all later ones the second and
# warn of the first.
STAY_HERE = {
    "humble": {"ROS_LOCALHOST_ONLY": "1"},
    "": {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": ""},
}


class DemoFailed(Exception):
    """The demo cannot go on; one sentence for people."""


@dataclass(frozen=True, eq=False)
class Reply:
    """The answer to a request.

    Attributes:
        frame: The recorded frame that the answer is about.
        answer: The answer.
        round_trip_ms: Time from the request to the reply, ms.
    """

    frame: RecordedFrame
    answer: Answer
    round_trip_ms: float


@contextmanager
def only_this_machine() -> Iterator[None]:
    """Keep this process and those that it starts off the network, as far as ROS goes.

    The demo publishes pictures under the name of a robot's camera.
    """
    settings = STAY_HERE.get(os.environ.get("ROS_DISTRO", ""), STAY_HERE[""])
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def running_node(command: Sequence[str], domain: int, log: Path) -> Iterator[subprocess.Popen]:
    """Run the node in a process of its own.

    Args:
        command: Starts the node.
        domain: Its ROS domain.
        log: File for its output.
    """
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--ros-args", "-p", "profile:=demo"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class DemoRobot:
    """A robot program: its camera plays the recording, and it asks the node about what it sees."""

    def __init__(self, recording: Recording, process: subprocess.Popen, domain: int) -> None:
        """Join the domain.

        Args:
            recording: What the camera plays.
            process: The node's.
            domain: ROS domain of the node.
        """
        self._recording = recording
        self._process = process
        self._context = Context()
        rclpy.init(
            context=self._context,
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._node = Node("robot", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._publishers = {
            topic: self._node.create_publisher(KINDS[kind], topic[1:], qos_profile_sensor_data)
            for topic, kind in recording.topics.items()
            if topic != TRUTH_TOPIC
        }
        self._client = self._node.create_client(Query, "textregion/query")
        self.shown = 0

    def wait_until_ready(self, texts: Sequence[str]) -> None:
        """Wait until the node hears the camera and has answered about the texts.

        Raises:
            DemoFailed: It does not, or it ends.
        """
        camera = self._publishers["/image"]
        self._wait(self._client.service_is_ready, START_SECONDS, "the node's service to appear")
        self._wait(camera.get_subscription_count, START_SECONDS, "the node to hear the camera")
        # Mirrored, it is none of the recording's pictures, and so none of them is known yet.
        mirrored = np.ascontiguousarray(self._recording.frames[0].rgb[:, ::-1])
        self._call(texts, to_message(mirrored, Header()), START_SECONDS)

    def play(self) -> None:
        """Start to publish the frames, at the pace at which they were recorded."""
        frames = self._recording.frames
        period = (frames[-1].stamp - frames[0].stamp) / (len(frames) - 1) / 1e9
        self._timer = self._node.create_timer(period, self._show_next)
        self._show_next()

    def _show_next(self) -> None:
        if self.shown == len(self._recording.frames):
            self._timer.cancel()
            return
        frame = self._recording.frames[self.shown]
        for topic, publisher in self._publishers.items():
            publisher.publish(frame.messages[topic])
        self.shown += 1

    def wait_until_shown(self, count: int) -> None:
        """Wait until the camera has shown so many frames.

        Raises:
            DemoFailed: The node ends.
        """
        self._wait(lambda: self.shown >= count, ANSWER_SECONDS, "the recording to be played")

    def ask(self, texts: Sequence[str]) -> Reply:
        """Ask about the camera's newest picture; one region for each text.

        Raises:
            DemoFailed: There is no answer, or one about a picture that was never shown.
        """
        start = time.perf_counter()
        answer = self._call(texts, Image(), ANSWER_SECONDS)
        round_trip_ms = 1e3 * (time.perf_counter() - start)
        frame = self._recording.at(answer.image.stamp)
        if frame is None:
            raise DemoFailed(
                f"the reply is about a picture stamped {answer.image.stamp}, which was never shown"
            )
        return Reply(frame, answer, round_trip_ms)

    def _call(self, texts: Sequence[str], image: Image, seconds: int) -> Answer:
        request = Query.Request(texts=texts, top_k=1, image=image, timeout=Duration(sec=seconds))
        future = self._client.call_async(request)
        self._wait(future.done, seconds + 5, f"an answer about {', '.join(texts)}")
        reply = future.result()
        status = Status(reply.status)
        if not status.is_answer:
            raise DemoFailed(f"the node answers {status.name}: {reply.message}")
        return to_answer(reply)

    def _wait(self, done: Callable[[], object], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not done():
            if self._process.poll() is not None:
                raise DemoFailed(f"the node ended with status {self._process.returncode}")
            if time.monotonic() > end:
                raise DemoFailed(f"waited {seconds:g} s in vain for {what}")
            self._executor.spin_once(0.05)

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

"""The demo: play the bundled recording to a real node, ask it five sentences, judge the answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Duration
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from textregion_ros import msg
from textregion_ros.app.recording import TRUTH_TOPIC, RecordedFrame, Recording, load_recording
from textregion_ros.drawing import draw
from textregion_ros.node.images import to_message
from textregion_ros.regions import Grounding, Region
from textregion_ros.srv import Query

# The blue mug's colour and category were never trained together; there is no bowl.
QUESTIONS = ("blue mug", "red mug", "red can", "yellow banana", "green bowl")
NODE = (sys.executable, "-c", "from textregion_ros.node.node import main; main()")
START_SECONDS, ANSWER_SECONDS = 120, 60
LEAST_IOU = 0.5
KINDS = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CameraInfo": CameraInfo}
STATUS = {getattr(Query.Response, name): name for name in (
    "OK", "NOT_FOUND", "NO_IMAGE", "STALE", "BAD_REQUEST", "NOT_READY", "TIMEOUT", "ERROR"
)}  # fmt: skip


class DemoFailed(Exception):
    """The demo cannot go on; one sentence for people."""


@dataclass(frozen=True)
class Reply:
    """The answers to a request, the recorded frame they are about, and the round trip in ms."""

    frame: RecordedFrame
    groundings: tuple[Grounding, ...]
    round_trip_ms: float
    encode_ms: float
    query_ms: float


@contextmanager
def running_node(command: Sequence[str], domain: int, log: Path) -> Iterator[subprocess.Popen]:
    """Run the node in its own process on its own ROS domain; its output goes to a file."""
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
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Robot:
    """A robot program: its camera plays the recording, and it asks the node about what it sees."""

    def __init__(self, recording: Recording, process: subprocess.Popen, domain: int) -> None:
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

    def wait_until_ready(self) -> None:
        """Until the node hears the camera and has loaded its model. Raises DemoFailed."""
        camera = self._publishers["/image"]
        self._wait(self._client.service_is_ready, START_SECONDS, "the node's service to appear")
        self._wait(camera.get_subscription_count, START_SECONDS, "the node to hear the camera")
        # Mirrored, it is none of the recording's pictures, and so none of them is known yet.
        mirrored = np.ascontiguousarray(self._recording.frames[0].rgb[:, ::-1])
        self._call(QUESTIONS, to_message(mirrored, Header()), START_SECONDS)

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
        """Until the camera has shown so many frames. Raises DemoFailed."""
        self._wait(lambda: self.shown >= count, ANSWER_SECONDS, "the recording to be played")

    def ask(self, texts: Sequence[str]) -> Reply:
        """Ask about the camera's newest picture; one region for each text. Raises DemoFailed."""
        start = time.perf_counter()
        reply = self._call(texts, Image(), ANSWER_SECONDS)
        round_trip_ms = 1e3 * (time.perf_counter() - start)
        stamp = reply.header.stamp.sec * 1_000_000_000 + reply.header.stamp.nanosec
        frame = self._recording.at(stamp)
        if frame is None:
            raise DemoFailed(f"the reply is about a picture stamped {stamp}, which was never shown")
        size = frame.rgb.shape[:2]
        groundings = tuple(to_grounding(grounding, size) for grounding in reply.groundings)
        return Reply(frame, groundings, round_trip_ms, reply.encode_ms, reply.query_ms)

    def _call(self, texts: Sequence[str], image: Image, seconds: int) -> Query.Response:
        request = Query.Request(texts=texts, top_k=1, image=image, timeout=Duration(sec=seconds))
        future = self._client.call_async(request)
        self._wait(future.done, seconds + 5, f"an answer about {', '.join(texts)}")
        reply = future.result()
        if reply.status not in (Query.Response.OK, Query.Response.NOT_FOUND):
            raise DemoFailed(f"the node answers {STATUS[reply.status]}: {reply.message}")
        return reply

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


def to_grounding(message: msg.Grounding, size: tuple[int, int]) -> Grounding:
    """Return a message as the library's result, its masks at the size (H, W) of the picture."""
    regions = tuple(_to_region(region, size) for region in message.regions)
    box = _to_box(message.box) if message.found else None
    return Grounding(message.text, message.found, message.score, regions, box)


def _to_region(message: msg.Region, size: tuple[int, int]) -> Region:
    x, y, width, height = box = _to_box(message.box)
    mask = np.zeros(size, bool)
    pixels = np.frombuffer(message.mask.data, np.uint8).reshape(height, message.mask.step)
    mask[y : y + height, x : x + width] = pixels[:, :width] > 0
    return Region(message.id, box, mask, message.score, message.margin)


def _to_box(roi: object) -> tuple[int, int, int, int]:
    return roi.x_offset, roi.y_offset, roi.width, roi.height


def judge(frame: RecordedFrame, grounding: Grounding) -> str:
    """What is wrong with an answer about a frame; empty where it is right."""
    truth = next((item for item in frame.objects if item.name == grounding.text), None)
    if truth is None:
        return "there is none" if grounding.found else ""
    if not grounding.found:
        return "it is there"
    region = grounding.regions[0]
    overlap = min(mask_iou(region.mask, frame.masks == truth.id), box_iou(region.box, truth.box))
    return "" if overlap >= LEAST_IOU else f"it is elsewhere (IoU {overlap:.2f})"


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of bool masks H×W; 0 where both are empty."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def box_iou(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union of boxes x y w h."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def tabulate(replies: Sequence[Reply], start: int) -> Table:
    """The answers as a table. start: stamp of the recording's first frame, ns."""
    table = Table(title="What the camera sees", caption="times: the service's round trip")
    table.add_column("text")
    table.add_column("found")
    for name in ("score", "box x y w h", "time", "frame at"):
        table.add_column(name, justify="right")
    table.add_column("right")
    for reply in replies:
        (answer,) = reply.groundings
        wrong = judge(reply.frame, answer)
        table.add_row(
            answer.text,
            "yes" if answer.found else "no",
            f"{answer.score:.2f}",
            " ".join(map(str, answer.box)) if answer.box else "–",
            f"{reply.round_trip_ms:.0f} ms",
            f"{(reply.frame.stamp - start) / 1e9:.2f} s",
            f"[red]no: {wrong}[/red]" if wrong else "[green]yes[/green]",
        )
    return table


def write_overlay(path: Path, reply: Reply) -> None:
    """Write the frame of a reply with its answers drawn over it. Raises DemoFailed."""
    picture = draw(reply.frame.rgb, reply.groundings)
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise DemoFailed(f"{path} cannot be written")


def converse(robot: Robot, shown: int) -> list[Reply]:
    """Ask the questions one by one while `shown` frames are played, then all at once."""
    robot.wait_until_ready()
    robot.play()
    replies = []
    for number, text in enumerate(QUESTIONS):
        robot.wait_until_shown(1 + number * shown // len(QUESTIONS))
        replies.append(robot.ask([text]))
    robot.wait_until_shown(shown)
    return [*replies, robot.ask(QUESTIONS)]


def report(replies: Sequence[Reply], start: int, out: Path, console: Console) -> int:
    """Print the table and write the pictures. Returns how many answers are wrong."""
    *single, together = replies
    console.print(tabulate(single, start))
    console.print(
        f"All five about the last frame: {together.encode_ms:.0f} ms for its regions, "
        f"{together.query_ms:.1f} ms for the sentences."
    )
    for number, reply in enumerate(single, 1):
        name = f"{number}_{reply.groundings[0].text.replace(' ', '_')}.png"
        write_overlay(out / name, reply)
    write_overlay(out / "all.png", together)
    console.print(f"Pictures: {out}/", markup=False)
    wrong = [
        f"{answer.text}: {fault}"
        for reply in replies
        for answer in reply.groundings
        if (fault := judge(reply.frame, answer))
    ]
    for line in wrong:
        console.print(f"[red]wrong[/red] {line}")
    return len(wrong)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def run(out: Path, command: Sequence[str] = NODE) -> int:
    """Run the demo and return its exit status: 0 where every answer is right, else 1.

    out: folder for the pictures and the node's output, made if need be. command: starts the node.
    """
    console, errors = Console(), Console(stderr=True)
    # So that a terminated demo still ends its node.
    before = signal.signal(signal.SIGTERM, _exit_on_signal)
    domain = os.getpid() % 100 + 1
    log = out / "node.log"
    try:
        out.mkdir(parents=True, exist_ok=True)
        recording = load_recording()
        with running_node(command, domain, log) as process:
            robot = Robot(recording, process, domain)
            try:
                replies = converse(robot, len(recording.frames))
            finally:
                robot.close()
        return 1 if report(replies, recording.frames[0].stamp, out, console) else 0
    except (DemoFailed, OSError) as error:
        errors.print(f"textregion demo: {error}", markup=False, highlight=False)
        if log.is_file():
            errors.print("the node's last words:", highlight=False)
            for line in log.read_text(errors="replace").splitlines()[-15:]:
                errors.print(f"  {line}", markup=False, highlight=False)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)

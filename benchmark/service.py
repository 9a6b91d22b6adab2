"""Round trips of the query service over DDS: a node, a camera and a robot, each its own process.

    python -m benchmark.service

The camera shows one 640×480 picture at 10 Hz, each message with a stamp of its own, so that its
tokens are kept and a query pays for everything but the encoding. Writes service.csv beside the
other results of the machine.
"""

from __future__ import annotations

import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
import typer
from builtin_interfaces.msg import Duration
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmark.__main__ import console, show
from benchmark.machine import default_name, describe_machine
from benchmark.measure import spread
from benchmark.models import load
from benchmark.table import RESULTS, Row, write, write_machine
from benchmark.workload import picture, sentences
from textregion_ros.app.demo import NODE
from textregion_ros.app.demo_robot import only_this_machine, running_node
from textregion_ros.core.status import Status
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

SIZE, RATE, START_SECONDS, MANY = (640, 480), 10.0, 300, 100


class NoAnswer(Exception):
    """The node did not answer as it should; one sentence why."""


def show_camera(domain: int) -> None:
    """Publish the picture at the camera's rate until the process is ended."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node("camera", context=context)
    publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
    message = to_message(picture(*SIZE), Header(frame_id="camera"))
    due = time.monotonic()
    while True:
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        due += 1 / RATE
        time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def camera(domain: int) -> Iterator[None]:
    """A camera in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=show_camera, args=(domain,))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


class AskingRobot:
    """Asks the node and times the answers."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = Node("robot", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._client = self._node.create_client(Query, "textregion/query")

    def wait(self) -> None:
        """Until the node has a picture and has encoded it. Raises NoAnswer."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._client.wait_for_service(1.0) and _is_answer(self._ask(sentences(1))):
                return
            time.sleep(0.2)
        raise NoAnswer(f"the node was not ready after {START_SECONDS} s")

    def time(self, texts: Sequence[str]) -> float:
        """Round trip of a query about the camera's newest picture, ms. Raises NoAnswer."""
        start = time.perf_counter()
        reply = self._ask(texts)
        elapsed = 1e3 * (time.perf_counter() - start)
        if not _is_answer(reply) or reply.encode_ms:
            raise NoAnswer(f"status {reply.status}, encoding {reply.encode_ms} ms: {reply.message}")
        return elapsed

    def _ask(self, texts: Sequence[str]) -> Query.Response:
        request = Query.Request(texts=texts, top_k=1, timeout=Duration(sec=60))
        future = self._client.call_async(request)
        self._executor.spin_until_future_complete(future, 90.0)
        if not future.done():
            raise NoAnswer("there was no answer within 90 s")
        return future.result()

    def close(self) -> None:
        """Leave ROS."""
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)


def _is_answer(reply: Query.Response) -> bool:
    return Status(reply.status).is_answer


def text_ms(texts: Sequence[str]) -> float:
    """Time to encode texts that were never seen, ms."""
    model, _ = load("demo", None, "cpu")
    model.encoder.text(["to warm up"])
    start = time.perf_counter()
    model.encoder.text(texts)
    return 1e3 * (time.perf_counter() - start)


def round_trips(robot: AskingRobot, repeats: int) -> Iterator[Row]:
    """Rows of one known sentence, of many known ones and of many new ones."""
    row = Row("service", "demo", "one known", width=SIZE[0], height=SIZE[1], texts=1)
    one = [robot.time(sentences(1)) for _ in range(repeats + 10)][10:]
    yield row.of(spread(one))
    for percent in (50, 99):
        stage = f"one known, p{percent} ms"
        yield replace(row, stage=stage, value=float(np.percentile(one, percent)))
    fresh = (f"a thing that is number {n}" for n in itertools.count())
    new = [robot.time(list(itertools.islice(fresh, MANY))) for _ in range(max(2, repeats // 100))]
    yield replace(row, stage="many new", texts=MANY).of(spread(new))
    robot.time(sentences(MANY))
    many = [robot.time(sentences(MANY)) for _ in range(max(5, repeats // 10))]
    yield replace(row, stage="many known", texts=MANY).of(spread(many))


def main(
    repeats: int = typer.Option(500, min=1, help="Queries with one known sentence"),
    domain: int = typer.Option(77, help="ROS domain to measure on"),
    name: str = typer.Option("", help="Of the machine; made from its processor if left out"),
) -> None:
    """Measure the round trips of the query service over DDS."""
    machine = describe_machine("cpu")
    folder = RESULTS / (name or default_name(machine))
    encoding = text_ms([f"something of number {n}" for n in range(MANY)])
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "node.log"
        with only_this_machine(), running_node(NODE, domain, log), camera(domain):
            robot = AskingRobot(domain)
            try:
                robot.wait()
                rows = list(round_trips(robot, repeats))
            finally:
                robot.close()
    texts = Row("service", "demo", "text encodings", texts=MANY, repeats=1, median_ms=encoding)
    rows = [replace(row, machine=folder.name) for row in (*rows, texts)]
    write(folder / "service.csv", rows)
    if not (folder / "machine.json").exists():
        write_machine(folder, machine)
    console().print(show("service", rows))


if __name__ == "__main__":
    typer.run(main)

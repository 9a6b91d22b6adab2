"""Measure what each message costs to fill and to publish, and write the figures to a file.

    python -m benchmark.messages

The answer is a large one: 640×480, 30 regions of which each answers a text, all with shapes, and
tokens of 768 dimensions. Messages are published to a subscription of the same process, so that they
are serialised and sent; the time is that of the thread that publishes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import rclpy
import typer
from rich.console import Console

from benchmark.__main__ import show
from benchmark.machine import default_name, describe_machine
from benchmark.measure import measure
from benchmark.table import RESULTS, Row, write, write_machine
from textregion_ros import srv
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.query import Query, StandingQueries
from textregion_ros.core.results import Answer, Grounding, ImageHeader, Region
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.node.conversions import answers, regions, spatial
from textregion_ros.space import space_of

HEIGHT, WIDTH, REGIONS, DIMENSION = 480, 640, 30, 768
CAMERA = Intrinsics(600.0, 600.0, 319.5, 239.5, WIDTH, HEIGHT)


def make_answer() -> Answer:
    """Thirty discs of 80 px on a table that fills the picture, each the answer to a text."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    centres = [(60 + 100 * i, 50 + 95 * j) for j in range(5) for i in range(6)]
    masks = [np.hypot(u - x, v - y) < 40 for x, y in centres]
    depth = (0.8 - 0.0005 * v + rng.normal(0, 0.001, v.shape)).astype(np.float32)
    depth[np.any(masks, axis=0)] -= 0.04
    boxes = [(x - 39, y - 39, 79, 79) for x, y in centres]
    tokens = rng.normal(size=(REGIONS, DIMENSION)).astype(np.float32)
    encoded = EncodedFrame(
        image_size=(HEIGHT, WIDTH),
        masks=np.zeros((REGIONS, 64, 64), np.float16),
        boxes=np.array(boxes, np.int32),
        tokens=tokens / np.linalg.norm(tokens, axis=1, keepdims=True),
        overlaps=np.eye(REGIONS, dtype=np.float32),
        encoder="benchmark",
        crops=tuple(
            mask[y : y + h, x : x + w] for mask, (x, y, w, h) in zip(masks, boxes, strict=True)
        ),
    )
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    header = ImageHeader(frame_id="camera")
    space = space_of(depth, CAMERA, (HEIGHT, WIDTH))
    scene = Scene(Observation(picture, depth, CAMERA, header), encoded, space)
    found = tuple(_found(scene, number) for number in range(REGIONS))
    return Answer(header, found, scene=scene)


def _found(scene: Scene, number: int) -> Grounding:
    shape, box = scene.shape(number), scene.box(number)
    region = Region(
        number, box, scene.crop(number), scene.image_size, 0.9, 0.5, shape.pose if shape else None
    )
    return Grounding(f"object {number}", True, 0.9, (region,), box)


def fillers(answer: Answer) -> dict[str, Callable[[], object]]:
    """How each message of the interface is filled."""
    asked = StandingQueries(1, Query(tuple(found.text for found in answer.groundings)))
    made = {
        "groundings": lambda: answers.grounding_array(answer, 1),
        "tokens": lambda: regions.region_tokens(answer),
        "label_image": lambda: regions.label_image(answer),
        "queries": lambda: answers.queries_message(asked),
        "markers": lambda: spatial.markers(answer),
        "object_points": lambda: spatial.object_points(answer),
    }
    if regions.Detection2DArray is not None:
        made["detections"] = lambda: regions.detections(answer)
    return made


def measure_messages(repeats: int, machine: str) -> list[Row]:
    """Times of filling and of publishing each message."""
    answer = make_answer()
    blank = Row("messages", "", "", width=WIDTH, height=HEIGHT, regions=REGIONS, machine=machine)

    def row(stage: str, call: Callable[[], object]) -> Row:
        return replace(blank, stage=stage).of(measure(call, repeats))

    rows = [row("query reply, fill", lambda: answers.fill_answer(srv.Query.Response(), answer))]
    rclpy.init()
    node = rclpy.create_node("benchmark_messages")
    try:
        for name, fill in fillers(answer).items():
            message = fill()
            publisher = node.create_publisher(type(message), f"~/{name}", 1)
            node.create_subscription(type(message), f"~/{name}", lambda _message: None, 1)
            rows.append(row(f"{name}, fill", fill))
            rows.append(
                row(
                    f"{name}, publish",
                    lambda send=publisher, message=message: send.publish(message),
                )
            )
    finally:
        node.destroy_node()
        rclpy.shutdown()
    return rows


def main(
    repeats: int = typer.Option(50, min=1, help="Timed calls of each figure"),
    name: str = typer.Option("", help="Of the machine; made from its processor if left out"),
) -> None:
    """Measure the messages, and write the figures to benchmark/results/MACHINE/messages.csv."""
    machine = describe_machine("cpu")
    folder = RESULTS / (name or default_name(machine))
    rows = measure_messages(repeats, folder.name)
    write(folder / "messages.csv", rows)
    if not (folder / "machine.json").exists():
        write_machine(folder, machine)
    console = Console()
    console.print(show("messages", rows))
    console.print(f"written: {folder / 'messages.csv'}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)

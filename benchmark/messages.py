"""Measure what each message costs to fill and to publish, and write the figures to a file.

    python -m benchmark.messages

The answer is a large one: 640×480, 30 regions of which each answers a text, all with shapes, and
tokens of 768 dimensions. A message is published to one subscription in another process's stead,
within this one, so that it is serialised; its time is that of the publishing thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Callable
from datetime import datetime, timezone

import numpy as np
import rclpy
from rich.console import Console
from rich.table import Table
from std_msgs.msg import Header

from benchmark.__main__ import RESULTS, cpu_model, timed
from textregion_ros import __version__
from textregion_ros.geometry import Camera, region_shapes
from textregion_ros.node import messages
from textregion_ros.node.answers import Answer, Question
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.regions import EncodedFrame, Grounding, Region
from textregion_ros.srv import Query

HEIGHT, WIDTH, REGIONS, DIMENSION = 480, 640, 30, 768
CAMERA = Camera(600.0, 600.0, 319.5, 239.5, WIDTH, HEIGHT)


def make_answer() -> Answer:
    """Thirty discs of 80 px on a table that fills the picture, each the answer to a text."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    centres = [(60 + 100 * i, 50 + 95 * j) for j in range(5) for i in range(6)]
    masks = [np.hypot(u - x, v - y) < 40 for x, y in centres]
    depth = (0.8 - 0.0005 * v + rng.normal(0, 0.001, v.shape)).astype(np.float32)
    depth[np.any(masks, axis=0)] -= 0.04
    shapes = dict(enumerate(region_shapes(masks, depth, CAMERA)))
    boxes = [(x - 39, y - 39, 79, 79) for x, y in centres]
    found = [
        Grounding(f"object {k}", True, 0.9, (Region(k, box, mask, 0.9, 0.5),), box)
        for k, (box, mask) in enumerate(zip(boxes, masks, strict=True))
    ]
    tokens = rng.normal(size=(REGIONS, DIMENSION)).astype(np.float32)
    encoded = EncodedFrame(
        image_size=(HEIGHT, WIDTH),
        masks=np.zeros((REGIONS, 64, 64), np.float16),
        boxes=np.array(boxes, np.int32),
        tokens=tokens / np.linalg.norm(tokens, axis=1, keepdims=True),
        overlaps=np.eye(REGIONS, dtype=np.float32),
        encoder="benchmark",
    )
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    frame = Frame(to_message(picture, Header(frame_id="camera")))
    return Answer(frame, found, 0.0, 0.0, encoded, shapes)


def fillers(answer: Answer) -> dict[str, Callable[[], object]]:
    """How each message of the interface is filled."""
    question = Question(tuple(found.text for found in answer.groundings))
    made = {
        "groundings": lambda: messages.grounding_array(answer, 1),
        "tokens": lambda: messages.region_tokens(answer),
        "label_image": lambda: messages.label_image(answer),
        "queries": lambda: messages.queries_message(question, 1),
        "markers": lambda: messages.markers(answer),
        "object_points": lambda: messages.object_points(answer),
    }
    if messages.Detection2DArray is not None:
        made["detections"] = lambda: messages.detections(answer)
    return made


def measure(repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """Times of filling and of publishing, ms, by message."""
    answer = make_answer()
    answer.frame.rgb  # noqa: B018 - decoded once per frame, not once per message
    reply = timed(lambda _number: messages.fill_answer(Query.Response(), answer), repeats)
    results = {"query reply": {"fill": reply}}
    rclpy.init()
    node = rclpy.create_node("benchmark_messages")
    try:
        for name, fill in fillers(answer).items():
            message = fill()
            publisher = node.create_publisher(type(message), f"~/{name}", 1)
            node.create_subscription(type(message), f"~/{name}", lambda _message: None, 1)
            results[name] = {
                "fill": timed(lambda _number, fill=fill: fill(), repeats),
                "publish": timed(
                    lambda _number, send=publisher.publish, message=message: send(message), repeats
                ),
            }
    finally:
        node.destroy_node()
        rclpy.shutdown()
    return results


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--name", help="of the machine; made from its processor if left out")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be 1 or more")
    cores = len(os.sched_getaffinity(0))
    machine = {"cpu": cpu_model(), "cores": cores, "load_before": round(os.getloadavg()[0], 2)}
    results = {
        "textregion_ros": __version__,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "answer": f"{WIDTH}×{HEIGHT}, {REGIONS} regions, tokens {DIMENSION}-d",
        "repeats": args.repeats,
        "machine": {**machine, "python": platform.python_version()},
        "rmw": rclpy.get_rmw_implementation_identifier(),
        "message_ms": measure(args.repeats),
    }
    name = args.name or re.sub(r"[^a-z0-9]+", "-", f"{machine['cpu']} {cores} cores".lower())
    path = RESULTS / f"messages-{name.strip('-')}.json"
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    table = Table(title=f"{results['answer']}; ms, median")
    for column in ("message", "fill", "publish"):
        table.add_column(column)
    for message, row in results["message_ms"].items():
        times = [
            f"{row[step]['median']:.2f}" if step in row else "" for step in ("fill", "publish")
        ]
        table.add_row(message, *times)
    console = Console()
    console.print(table)
    console.print(f"written: {path}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()

"""The demo: play the bundled recording to a real node, ask it five sentences, judge the answers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from textregion_ros.app.recording import RecordedFrame, load_recording
from textregion_ros.app.robot import DemoFailed, Reply, Robot, running_node
from textregion_ros.drawing import draw
from textregion_ros.regions import Grounding

# There is a blue mug as well, and no hammer.
QUESTIONS = ("red mug", "green book", "red plate", "orange bowl", "black hammer")
NODE = (sys.executable, "-c", "from textregion_ros.node.node import main; main()")
LEAST_IOU = 0.5


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
    robot.wait_until_ready(QUESTIONS)
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
        errors.print(f"textregion demo: {error}", markup=False, highlight=False, soft_wrap=True)
        if log.is_file():
            errors.print("the node's last words:", highlight=False)
            for line in log.read_text(errors="replace").splitlines()[-15:]:
                errors.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)

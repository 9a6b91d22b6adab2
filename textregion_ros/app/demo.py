"""The demo: play the bundled recording to a real node, ask it sentences, judge the answers."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import cv2
from rich.console import Console
from rich.table import Table

from textregion_ros.app.demo_robot import (
    DemoFailed,
    DemoRobot,
    Reply,
    only_this_machine,
    running_node,
)
from textregion_ros.app.drawing import draw
from textregion_ros.app.recording import RecordedFrame, load_recording
from textregion_ros.core.boxes import box_iou
from textregion_ros.core.masks import mask_iou
from textregion_ros.core.results import Grounding

# An illustration; training/REPORT.md is the measure. There is neither a hammer nor a laptop, and of
# unicorns the profile was never told.
QUESTIONS = (
    "red mug",
    "green book",
    "blue mug",
    "yellow ring",
    "black hammer",
    "laptop",
    "unicorn",
)
NODE = (sys.executable, "-c", "from textregion_ros.node.main import main; main()")
LEAST_IOU = 0.5


def judge(frame: RecordedFrame, grounding: Grounding) -> str:
    """Say what is wrong with an answer about a frame; empty where it is right."""
    truth = next((item for item in frame.objects if item.name == grounding.text), None)
    if truth is None:
        return "there is none" if grounding.found else ""
    if not grounding.found:
        return "it is there"
    region = grounding.regions[0]
    overlap = min(mask_iou(region.mask, frame.masks == truth.id), box_iou(region.box, truth.box))
    return "" if overlap >= LEAST_IOU else f"it is elsewhere (IoU {overlap:.2f})"


def tabulate(replies: Sequence[Reply], start: int) -> Table:
    """Return single answers as a table.

    Args:
        replies: With one answer each.
        start: Stamp of the recording's first frame, ns.
    """
    table = Table(title="What the camera sees", caption="times: the service's round trip")
    table.add_column("text")
    table.add_column("found")
    for name in ("score", "box x y w h", "time", "frame at"):
        table.add_column(name, justify="right")
    table.add_column("right")
    for reply in replies:
        (answer,) = reply.answer.groundings
        wrong = judge(reply.frame, answer)
        table.add_row(
            answer.text,
            verdict(answer),
            f"{answer.score:.2f}",
            " ".join(map(str, answer.box)) if answer.box else "–",
            f"{reply.round_trip_ms:.0f} ms",
            f"{(reply.frame.stamp - start) / 1e9:.2f} s",
            f"[red]no: {wrong}[/red]" if wrong else "[green]yes[/green]",
        )
    return table


def verdict(answer: Grounding) -> str:
    """Return "yes" or "no", or "not known" where the profile was never told a word."""
    if answer.unknown:
        return "not known"
    return "yes" if answer.found else "no"


def write_overlay(path: Path, reply: Reply) -> None:
    """Write the frame of a reply with its answers drawn over it.

    Raises:
        DemoFailed: The file cannot be written.
    """
    picture = draw(reply.frame.rgb, reply.answer.groundings)
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise DemoFailed(f"{path} cannot be written")


def converse(robot: DemoRobot, shown: int) -> list[Reply]:
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
    """Print the table, write the pictures, and return how many answers are wrong.

    Args:
        replies: One for each question, and one for all of them together.
        start: Stamp of the recording's first frame, ns.
        out: Folder for the pictures.
        console: Where to print.
    """
    *single, together = replies
    console.print(tabulate(single, start))
    console.print(
        f"All {len(QUESTIONS)} about the last frame: {together.answer.encode_ms:.0f} ms for its "
        f"regions, {together.answer.query_ms:.1f} ms for the sentences."
    )
    for number, reply in enumerate(single, 1):
        name = f"{number}_{reply.answer.groundings[0].text.replace(' ', '_')}.png"
        write_overlay(out / name, reply)
    write_overlay(out / "all.png", together)
    console.print(f"Pictures: {out}/", markup=False)
    wrong = [
        f"{answer.text}: {fault}"
        for reply in replies
        for answer in reply.answer.groundings
        if (fault := judge(reply.frame, answer))
    ]
    for line in wrong:
        console.print(f"[red]wrong[/red] {line}")
    return len(wrong)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def run(out: Path, command: Sequence[str] = NODE) -> int:
    """Run the demo and return its exit status: 0 where every answer is right, else 1.

    Args:
        out: Folder for the pictures and the node's output, made if need be.
        command: Starts the node.
    """
    console, errors = Console(), Console(stderr=True)
    # So that a terminated demo still ends its node.
    before = signal.signal(signal.SIGTERM, _exit_on_signal)
    domain = os.getpid() % 100 + 1
    log = out / "node.log"
    try:
        out.mkdir(parents=True, exist_ok=True)
        recording = load_recording()
        with only_this_machine(), running_node(command, domain, log) as process:
            robot = DemoRobot(recording, process, domain)
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

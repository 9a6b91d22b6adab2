import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from textregion_ros.app import demo, demo_robot
from textregion_ros.app.recording import load_recording
from textregion_ros.core.boxes import mask_box
from textregion_ros.core.results import Grounding, Region

NODE = [sys.executable, "-m", "test.support.truth_node"]


def answer(frame, text, shift=0):
    item = next(item for item in frame.objects if item.name == text)
    mask = np.roll(frame.masks == item.id, shift, axis=1)
    x, y, w, h = box = mask_box(mask)
    region = Region(1, box, mask[y : y + h, x : x + w], mask.shape, 0.9, 0.1)
    return Grounding(text, True, 0.9, (region,), region.box)


@pytest.fixture
def started(monkeypatch):
    """The processes the demo starts."""
    processes = []

    def start(*arguments, **options):
        processes.append(popen(*arguments, **options))
        return processes[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    return processes


def test_right_answers_give_status_0_a_table_and_pictures(tmp_path, capsys, started):
    assert demo.run(tmp_path / "out", [*NODE, "truthful"]) == 0
    said = capsys.readouterr().out
    for text in demo.QUESTIONS:
        assert text in said
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert len(pictures) == len(demo.QUESTIONS) + 1
    assert all(cv2.imread(str(path)).shape == (480, 640, 3) for path in pictures)
    assert all(process.returncode is not None for process in started)


def test_masks_of_another_frame_give_status_1(tmp_path, capsys, started):
    """So the stamp of a reply must be the stamp of the picture the answer is about."""
    assert demo.run(tmp_path, [*NODE, "late"]) == 1
    assert "elsewhere" in capsys.readouterr().out
    assert all(process.returncode is not None for process in started)


def test_a_node_that_ends_is_reported_at_once(tmp_path, capsys):
    ending = [sys.executable, "-c", "import sys; print('no such model'); sys.exit(3)"]
    assert demo.run(tmp_path, ending) == 1
    said = capsys.readouterr().err
    assert "status 3" in said
    assert "no such model" in said


def test_a_node_that_does_not_answer_is_given_up_and_killed(tmp_path, capsys, monkeypatch, started):
    monkeypatch.setattr(demo_robot, "START_SECONDS", 1)
    assert demo.run(tmp_path, [sys.executable, "-c", "import time; time.sleep(600)"]) == 1
    assert "waited 1 s in vain" in capsys.readouterr().err
    assert started[0].returncode is not None


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert demo.run(tmp_path / "file" / "out", NODE) == 1
    assert capsys.readouterr().err.startswith("textregion demo: ")


@pytest.mark.parametrize("text", ["green book", "red mug", "red plate", "orange bowl"])
def test_an_answer_is_right_where_the_object_is(text):
    frame = load_recording().frames[5]
    assert demo.judge(frame, answer(frame, text)) == ""
    assert "elsewhere" in demo.judge(frame, answer(frame, text, shift=60))
    assert demo.judge(frame, Grounding(text, False, 0.1)) == "it is there"


def test_finding_what_is_not_there_is_wrong():
    frame = load_recording().frames[5]
    lie = answer(frame, "red mug")
    lie = Grounding("black hammer", True, lie.score, lie.regions, lie.box)
    assert demo.judge(frame, lie) == "there is none"
    assert demo.judge(frame, Grounding("black hammer", False, 0.1)) == ""


def test_the_questions_ask_for_things_there_and_one_not_there():
    names = {item.name for item in load_recording().frames[0].objects}
    assert len(demo.QUESTIONS) == 7
    assert sum(text not in names for text in demo.QUESTIONS) == 3


def test_the_node_and_its_robot_stay_on_this_machine(tmp_path, monkeypatch):
    """A robot on the same network may have a camera and a node of the same names."""
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("ROS_STATIC_PEERS", "192.0.2.1")
    told = tmp_path / "told"
    code = (
        "import os, pathlib; names = ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_STATIC_PEERS', "
        f"'ROS_LOCALHOST_ONLY'); pathlib.Path({str(told)!r}).write_text("
        "repr([os.environ.get(name) for name in names]))"
    )
    assert demo.run(tmp_path, [sys.executable, "-c", code]) == 1
    assert told.read_text() == "['LOCALHOST', '', None]"
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert demo.run(tmp_path, [sys.executable, "-c", code]) == 1
    assert told.read_text() == "['SUBNET', '192.0.2.1', '1']"
    assert "ROS_LOCALHOST_ONLY" not in os.environ

"""Fault 0: a cv_bridge that ends the process, or converts wrongly, is never used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Where a distribution has it; another folder can be named to try another build.
INSTALLED = Path(os.environ.get("CV_BRIDGE_FOLDER", "/usr/lib/python3/dist-packages"))
PROGRAM = """
import sys
import numpy as np
from std_msgs.msg import Header
from textregion_ros.node.conversions.images import to_message, to_rgb

rgb = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
for encoding in sys.argv[1:]:
    message = to_message(rgb, Header())
    message.encoding = encoding
    assert (to_rgb(message) == (rgb if encoding == "rgb8" else rgb[..., ::-1])).all()
print("cv_bridge.boost.cv_bridge_boost" in sys.modules)
"""
HANG = "import time\ntime.sleep(3600)"
NOTE = "with open({!r}, 'a') as file:\n    file.write('imported\\n')\n"
RIGHT = "from rosbags.image.image import convert_color as cvtColor2\n"
BROKEN = {
    "ends the process when it is imported": "import os\nos.abort()",
    "ends the process when it is called": "import os\ndef cvtColor2(*_):\n    os.abort()",
    "cannot be imported": "raise ImportError('built for \\x1b[31m another numpy')",
    "does not know an encoding": RIGHT
    + "known, cvtColor2 = cvtColor2, lambda *a: 1 / 0 if 'yuy2' in a[1] else known(*a)",
    "converts one encoding wrongly": RIGHT
    + "known, cvtColor2 = cvtColor2, lambda *a: known(*a) // (1 + (a[1] == 'bgra16'))",
    "converts wrongly": "def cvtColor2(pixels, *_):\n    return pixels",
    "gives nothing": "def cvtColor2(*_):\n    return None",
}


class Stand:
    """Programs that find a stand-in for cv_bridge on their path."""

    def __init__(self, folder):
        self.path, self.cache, self.imports = folder / "path", folder / "cache", folder / "imports"
        self.extension = self.path / "cv_bridge/boost/cv_bridge_boost.py"

    def install(self, code):
        self.extension.parent.mkdir(parents=True, exist_ok=True)
        # As the real one does: the package imports its extension.
        init = "from cv_bridge.boost.cv_bridge_boost import cvtColor2\n"
        (self.path / "cv_bridge/__init__.py").write_text(init)
        (self.extension.parent / "__init__.py").touch()
        self.extension.write_text(NOTE.format(str(self.imports)) + code)

    def run(self, *encodings, program=PROGRAM):
        """Convert messages of these encodings; return whether by cv_bridge, and the log."""
        path = os.pathsep.join([str(self.path), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "TEXTREGION_CACHE": str(self.cache)}
        command = [sys.executable, "-c", program, *encodings]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() == "True", done.stdout.splitlines()[:-1] + [
            line for line in done.stderr.splitlines() if line.strip()
        ]

    @property
    def import_count(self):
        return len(self.imports.read_text().splitlines()) if self.imports.exists() else 0


@pytest.fixture
def stand(tmp_path):
    return Stand(tmp_path)


@pytest.mark.parametrize("what", BROKEN)
def test_a_cv_bridge_that_does_not_work_is_left_alone(stand, what):
    stand.install(BROKEN[what])
    by_cv_bridge, log = stand.run("bgr8", "bgr8", "rgb8")
    assert not by_cv_bridge
    assert len(log) == 1, log
    assert f"cv_bridge in {stand.extension.parent} is left alone" in log[0]
    assert log[0].isprintable()
    assert stand.import_count == 1


def test_a_cv_bridge_that_works_is_used(stand):
    stand.install(RIGHT)
    assert stand.run("bgr8") == (True, [])


def test_it_is_tried_once_and_again_when_it_changes(stand):
    stand.install(BROKEN["ends the process when it is called"])
    for _ in range(2):
        by_cv_bridge, log = stand.run("bgr8")
        assert not by_cv_bridge
        assert "ends its process by signal 6" in log[0]
    assert stand.import_count == 1
    stand.install(RIGHT)
    assert stand.run("bgr8") == (True, [])
    assert stand.import_count == 3  # in the trial, and where it is used
    assert stand.run("bgr8") == (True, [])
    assert stand.import_count == 4


@pytest.mark.parametrize("content", ["", "[]", "{}", "\xff", '{"tried": [], "fault": ""}'])
def test_a_damaged_cache_is_written_anew(stand, content):
    stand.install(BROKEN["converts wrongly"])
    stand.cache.mkdir()
    (stand.cache / "cv_bridge.json").write_text(content, "latin-1")
    assert not stand.run("bgr8")[0]
    stand.run("bgr8")
    assert stand.import_count == 1


def test_a_cache_that_cannot_be_written_costs_only_the_trial(stand):
    stand.install(BROKEN["converts wrongly"])
    stand.cache.write_text("a file where the folder should be")
    assert not stand.run("bgr8")[0]


def test_one_that_takes_too_long_is_left_alone_and_tried_again(stand):
    stand.install(HANG)
    hasty = "from textregion_ros.node.conversions import converter\n"
    hasty += "converter.TRIAL_TIMEOUT = 2.0\n" + PROGRAM
    by_cv_bridge, log = stand.run("bgr8", program=hasty)
    assert not by_cv_bridge
    assert len(log) == 1
    assert "could not be tried" in log[0]
    stand.extension.write_text(RIGHT)
    assert stand.run("bgr8") == (True, [])


def test_nothing_is_tried_before_it_is_needed(stand):
    stand.install(BROKEN["ends the process when it is imported"])
    assert stand.run("rgb8") == (False, [])
    assert stand.import_count == 0


def test_without_cv_bridge_nothing_is_said(stand):
    (stand.path / "cv_bridge").mkdir(parents=True)  # a folder of that name is none
    assert stand.run("bgr8") == (False, [])


@pytest.mark.skipif(not (INSTALLED / "cv_bridge").exists(), reason="cv_bridge is not installed")
def test_the_distributions_own_cv_bridge_does_no_harm(stand):
    """It was built for numpy 1 on Debian, Humble and Jazzy, and ours may be numpy 2."""
    stand.path.mkdir()
    (stand.path / "cv_bridge").symlink_to(INSTALLED / "cv_bridge")
    by_cv_bridge, log = stand.run("bgr8", "rgb8")
    assert len(log) == (not by_cv_bridge), log

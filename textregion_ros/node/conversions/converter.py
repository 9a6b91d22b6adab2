"""Which function converts colours: cv_bridge's where it works here, else rosbags-image's.

A cv_bridge that was built for another numpy can be imported and then ends the process with the
first picture, where nothing can catch it. So it is tried once in a process of its own. What came
out is kept in a file for as long as neither it nor Python, numpy or OpenCV changes.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rclpy.logging import get_logger

from textregion_ros.core.cache import cache_dir
from textregion_ros.core.text import one_line
from textregion_ros.node.conversions.encodings import COLOURS

Converter = Callable[[np.ndarray, str, str], np.ndarray]
"""Takes pixels and the names of their encoding and of the one wanted."""

MOST_FAULT = 200  # characters of what cv_bridge says
TRIAL_TIMEOUT = 30.0  # s; it takes less than one
# Run with the paths of this process, and with OpenCV loaded first, as it is here.
TRIAL = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path[:], conversions = json.loads(sys.argv[1])
import numpy as np
from rosbags.image.image import convert_color
from cv_bridge.boost.cv_bridge_boost import cvtColor2
for dtype, channels, before, after in conversions:
    pixels = (np.arange(8 * 6 * channels) * 331).astype(dtype)
    pixels = pixels.reshape((8, 6, channels) if channels > 1 else (8, 6))
    if not np.array_equal(cvtColor2(pixels, before, after), convert_color(pixels, before, after)):
        sys.exit(f"it converts {before} wrongly")
"""
CONVERSIONS = [
    (layout.dtype, layout.channels, layout.name, f"rgb{layout.bits}")
    for layout in COLOURS.values()
    if layout.name != f"rgb{layout.bits}"
]
_lock = threading.Lock()
_chosen: Converter | None = None


def converter() -> Converter:
    """Return the function that converts colours.

    The first call of a process chooses it, which may take a second where cv_bridge is installed and
    has not been tried yet.
    """
    global _chosen
    with _lock:
        if _chosen is None:
            _chosen = _choose()
        return _chosen


def _choose() -> Converter:
    from rosbags.image.image import convert_color

    extension = _cv_bridge_extension()
    if extension is None:
        return convert_color
    if fault := _fault(extension):
        get_logger("textregion_ros").info(
            f"cv_bridge in {extension.parent} is left alone: {fault}; rosbags-image converts images"
        )
        return convert_color
    from cv_bridge.boost.cv_bridge_boost import cvtColor2

    return cvtColor2


def _cv_bridge_extension() -> Path | None:
    """Return the file of cv_bridge's extension, without importing any of it; None without one."""
    try:
        spec = importlib.util.find_spec("cv_bridge")
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        for file in sorted(Path(folder, "boost").glob("cv_bridge_boost*")):
            return file
    return None


def _fault(extension: Path) -> str:
    """Return why cv_bridge cannot be used, from the file where that is known; empty if it can."""
    versions = [platform.python_version(), np.__version__, cv2.__version__]
    tried = [str(extension), extension.stat().st_mtime_ns, *versions]
    file = cache_dir() / "cv_bridge.json"
    try:
        kept = json.loads(file.read_text())
        if kept["tried"] == tried:
            return str(kept["fault"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        fault = _try()
    except (OSError, subprocess.TimeoutExpired) as error:
        # Of this moment, and not of cv_bridge: the next process may try again.
        return f"it could not be tried ({one_line(str(error), MOST_FAULT)})"
    _keep(file, {"tried": tried, "fault": fault})
    return fault


def _try() -> str:
    command = [sys.executable, "-c", TRIAL, json.dumps([sys.path, CONVERSIONS])]
    trial = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TRIAL_TIMEOUT,
        check=False,
    )
    if trial.returncode == 0:
        return ""
    if trial.returncode < 0:
        return f"it ends its process by signal {-trial.returncode}"
    words = trial.stderr.decode(errors="replace").strip().splitlines() or [
        "it fails without a word"
    ]
    return one_line(words[-1], MOST_FAULT)


def _keep(file: Path, entry: dict[str, object]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            json.dump(entry, new)
        Path(new.name).replace(file)
    except OSError:  # a folder that cannot be written to costs a trial in each process
        pass

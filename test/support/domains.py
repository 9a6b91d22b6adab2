"""ROS domains of one's own, so that tests that run at once do not hear each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import TextIO

DOMAINS = range(1, 101)  # Linux has ports for these


def free_domain() -> tuple[int, TextIO]:
    """Return a domain that no other test run on this machine has, and the lock that says so."""
    folder = Path(tempfile.gettempdir()) / f"textregion_ros_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in DOMAINS:
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise AssertionError("all ROS domains are taken")

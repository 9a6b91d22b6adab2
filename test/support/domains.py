"""ROS domains of this machine that no other test run has."""

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

DOMAINS = range(1, 101)  # Linux has ports for these


@contextmanager
def free_domain():
    """A ROS domain of one's own, as long as it is open."""
    folder = Path(tempfile.gettempdir()) / f"textregion_ros_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in DOMAINS:
        with (folder / str(number)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise AssertionError("all ROS domains are taken")

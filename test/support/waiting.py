"""Waiting by condition; no test waits for a time to pass."""

import time


def wait_for(condition, timeout=60.0):
    """Wait until the condition holds and return its value."""
    return repeat_until(condition, lambda: None, timeout, every=0.01)


def repeat_until(condition, action, timeout=60.0, every=0.05):
    """Do something every so many seconds until a condition holds; return the condition's value.

    For what may be lost: a best-effort message, or one that goes out while only one side has
    discovered the other.
    """
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        action()
        time.sleep(every)
    return value

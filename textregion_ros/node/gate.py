"""Whether the node answers now, and if not, why."""

from __future__ import annotations

import threading
import time

from textregion_ros.node.answers import Refusal
from textregion_ros.srv import Query


class Gate:
    """Open while the node is active. Shut, it has a sentence why.

    Where the reason passes by itself, as the loading of the model does, it can be waited for.
    """

    def __init__(self, why: str) -> None:
        self._changed = threading.Condition()
        self._why = why
        self._passing = False

    @property
    def why(self) -> str:
        """Why it is shut; empty while it is open."""
        return self._why

    def open(self) -> None:
        """Let everyone through, also those who wait."""
        self.shut("")

    def shut(self, why: str, passing: bool = False) -> None:
        """Let nobody through. passing: those who come may wait until it is open."""
        with self._changed:
            self._why, self._passing = why, passing
            self._changed.notify_all()

    def check(self) -> None:
        """Raise Refusal while it is shut."""
        if why := self._why:
            raise Refusal(Query.Response.NOT_READY, why)

    def wait(self, timeout: float) -> None:
        """Wait at most `timeout` s for what passes by itself. Raises Refusal."""
        end = time.monotonic() + timeout
        with self._changed:
            while self._why and self._passing and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            self.check()

"""Whether the node answers now, and if not, why."""

from __future__ import annotations

import threading
import time

from textregion_ros.core.errors import NotReady


class Gate:
    """Open while the node is active. Shut, it has a sentence why.

    A reason that passes by itself, as the loading of the model does, can be waited for.
    """

    def __init__(self, why: str) -> None:
        """Begin shut, for the reason given."""
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
        """Let nobody through.

        Args:
            why: The reason, one sentence.
            passing: Whether those who come may wait until it is open.
        """
        with self._changed:
            self._why, self._passing = why, passing
            self._changed.notify_all()

    def check(self) -> None:
        """Raise NotReady while it is shut."""
        if why := self._why:
            raise NotReady(why)

    @property
    def can_be_waited_for(self) -> bool:
        """Whether it is shut for a reason that passes by itself."""
        return bool(self._why) and self._passing

    def wait(self, timeout: float) -> None:
        """Wait for what passes by itself, at most `timeout` s; raise NotReady while it is shut."""
        end = time.monotonic() + timeout
        with self._changed:
            while self.can_be_waited_for and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            self.check()

"""How many requests are being answered, so that the node can end with everybody answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Pending:
    """Counts the requests that are being answered."""

    def __init__(self) -> None:
        """Begin with none."""
        self._changed = threading.Condition()
        self._count = 0
        self._last_came = 0.0

    @property
    def count(self) -> int:
        """How many requests are being answered."""
        return self._count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a request while it is being answered."""
        with self._changed:
            self._count += 1
            self._last_came = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def wait_for_none(self, quiet: float, timeout: float) -> bool:
        """Wait until nothing is being answered and no request came for a while.

        Args:
            quiet: Time without a request, s.
            timeout: Longest time to wait, s.

        Returns:
            Whether it is so.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                now = time.monotonic()
                rest = self._last_came + quiet - now
                if not self._count and rest <= 0.0:
                    return True
                if now >= end:
                    return False
                self._changed.wait(min(end - now, rest) if rest > 0.0 else end - now)

"""The outcome of a query; srv/Query mirrors it."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How a query ended.

    OK and NOT_FOUND are answers; everything else says why there is none.
    """

    OK = 0
    NOT_FOUND = 1
    NO_IMAGE = 2
    STALE = 3
    BAD_REQUEST = 4
    NOT_READY = 5
    TIMEOUT = 6
    ERROR = 7
    BUSY = 8

    @property
    def is_answer(self) -> bool:
        """Whether the query was answered, found or not."""
        return self in (Status.OK, Status.NOT_FOUND)

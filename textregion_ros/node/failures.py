"""What went wrong, as the reply says it, and as the log does now and then."""

from __future__ import annotations

import traceback

from rclpy.node import Node

from textregion_ros.core.errors import (
    BadImage,
    BadQuery,
    BadRequest,
    BadText,
    NodeError,
    QueryFailed,
)

LOG_PERIOD = 10.0  # s between two log lines about failures


class Failures:
    """Turns exceptions into failures with a status and a sentence."""

    def __init__(self, node: Node) -> None:
        """Log to the node's logger what nobody foresaw."""
        self._log = node.get_logger()

    def as_failure(self, error: Exception) -> QueryFailed:
        """Return what the reply says of an exception."""
        if isinstance(error, QueryFailed):
            return error
        if isinstance(error, (BadText, BadQuery)):
            return BadRequest(str(error))
        if isinstance(error, BadImage):
            return NodeError(f"the camera's image cannot be used: {error}")
        self.log("a request failed", error)
        return NodeError(f"{type(error).__name__}: {error}")

    def log(self, what: str, error: BaseException) -> None:
        """Log an exception with its traceback, at most once in a while."""
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._log.error(f"{what}: {trace}", throttle_duration_sec=LOG_PERIOD)

"""The one thread that owns the model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class NotLoaded(Exception):
    """The model is still being loaded, or could not be."""


class Worker:
    """Loads the model in a thread of its own and runs jobs there, one after the other.

    A job is called with the model first. What it raises is counted, goes to whoever waits for the
    job, and leaves the thread alive.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._thread = ThreadPoolExecutor(1, "textregion-model")
        self._model = self._thread.submit(load)
        self.failures = 0

    def when_loaded(self, call: Callable[[Future], None]) -> None:
        """Call with the future of the model as soon as it is loaded or could not be."""
        self._model.add_done_callback(call)

    def wait_loaded(self, timeout: float) -> None:
        """Wait for the model at most `timeout` seconds. Raises NotLoaded."""
        wait([self._model], timeout)
        if not self._model.done():
            raise NotLoaded("the model is still being loaded")
        if self._model.cancelled():
            raise NotLoaded("the node is shutting down")
        if error := self._model.exception():
            raise NotLoaded(f"the model could not be loaded: {error}")

    def submit(self, job: Callable[..., Any], *arguments: Any) -> Future:
        """Have `job(model, *arguments)` run as soon as the jobs before it are done.

        After `close` the job is cancelled.
        """
        try:
            return self._thread.submit(self._run, job, arguments)
        except RuntimeError:  # closed
            future = Future()
            future.cancel()
            return future

    def _run(self, job: Callable[..., Any], arguments: tuple) -> Any:
        try:
            return job(self._model.result(), *arguments)
        except Exception:
            self.failures += 1
            raise

    def close(self) -> None:
        """Let the job that runs finish and cancel the rest."""
        self._thread.shutdown(wait=True, cancel_futures=True)

"""The one thread that owns the model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any


class NotLoaded(Exception):
    """The model could not be loaded."""


class Worker:
    """Loads the model in a thread of its own and runs jobs there, one after the other.

    A job is called with the model first. What it raises goes to whoever waits for the job, and
    leaves the thread alive; it is counted, but for the exceptions named `harmless`.
    """

    def __init__(self, load: Callable[[], Any], harmless: tuple[type[Exception], ...] = ()) -> None:
        self._thread = ThreadPoolExecutor(1, "textregion-model")
        self._model = self._thread.submit(load)
        self._harmless = harmless
        self.failures = 0
        self.last_error = ""
        self.is_failing = False
        self.is_busy = False

    def wait_loaded(self) -> Any:
        """Wait for the model and return it. Raises NotLoaded."""
        model = self._model
        try:
            error = model.exception()
        except CancelledError:
            raise NotLoaded("the node is shutting down") from None
        if error:
            raise NotLoaded(f"the model could not be loaded: {error}") from error
        return model.result()

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
        self.is_busy = True
        try:
            result = job(self._model.result(), *arguments)
            self.is_failing = False
            return result
        except self._harmless:
            raise
        except Exception as error:
            self.failures += 1
            self.is_failing = True
            self.last_error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.is_busy = False

    def close(self) -> None:
        """Let the job that runs finish, cancel the rest, and let go of the model."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._model = Future()
        self._model.cancel()

"""The one thread that owns the model, and the jobs that it does in order of priority."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

import numpy as np

from textregion_ros.core.errors import NotReady, Timeout
from textregion_ros.core.results import Grounding
from textregion_ros.core.scene import Scene

Result = TypeVar("Result")


class Model(Protocol):
    """What the node needs of a model; `regions.TextRegion` is one."""

    @property
    def identity(self) -> str:
        """Name of the encoder."""

    def compile(self, image_size: tuple[int, int]) -> float | None:
        """Compile the networks for images of (H, W); return the seconds, None where it failed."""

    def encode(self, rgb: np.ndarray) -> Scene:
        """Return the scene of an image, uint8 H×W×3."""

    def encode_for(self, rgb: np.ndarray, texts: Sequence[str], negatives: Sequence[str]) -> Scene:
        """Return a scene with only the regions that the texts speak of."""

    def complete(self, scene: Scene) -> Scene:
        """Return the scene with all its regions."""

    def ground(
        self,
        scene: Scene,
        texts: Sequence[str],
        negatives: Sequence[str],
        threshold: float | None,
        top_k: int,
        language: bool,
    ) -> list[Grounding]:
        """Find the texts in a scene."""

    def embed(self, texts: Sequence[str], between: Callable[[], None] | None = None) -> np.ndarray:
        """Return unit vectors of the texts, float32 Q×D, and keep them for later."""


class Priority(IntEnum):
    """Which job comes first: a person's question, standing work, following."""

    QUESTION = 0
    STANDING = 1
    FOLLOWING = 2


class NotLoaded(Exception):
    """The model could not be loaded; the text says why."""


class LoadingStopped(NotLoaded):
    """The worker was closed before the model was loaded."""


@dataclass(frozen=True)
class ModelSettings:
    """Which model to load, and where it runs.

    Attributes:
        profile: Name of a bundled profile, or path of a profile file.
        device: auto, cpu, cuda, cuda:1…
        sam2: Which of the profile's SAM 2 sizes; None for the one it names.
        threads: How many CPU threads; 0 leaves it to torch, one for each core.
    """

    profile: str
    device: str = "auto"
    sam2: str | None = None
    threads: int = 0


@dataclass(frozen=True)
class Turn:
    """A job's turn with the model.

    Attributes:
        model: The model, for this job alone.
        deadline: When the job must be done, s of the monotonic clock.
    """

    model: Model
    deadline: float
    _stopped: threading.Event

    def check(self) -> None:
        """Give up a job that nobody waits for any more. Long jobs call it between their steps.

        Raises:
            NotReady: The jobs were stopped.
            Timeout: The deadline has passed.
        """
        if self._stopped.is_set():
            raise NotReady("the node stopped answering meanwhile; ask again")
        if time.monotonic() > self.deadline:
            raise Timeout("the time was up before the work was done")


@dataclass(order=True)
class _Job(Generic[Result]):
    priority: Priority
    number: int
    work: Callable[[Turn], Result] = field(compare=False)
    deadline: float = field(compare=False)
    future: Future[Result] = field(compare=False, default_factory=Future)


class Worker:
    """Loads the model in a thread of its own, and does jobs there one after the other.

    What a job raises goes to whoever waits for it, and the thread goes on. Failures are counted,
    but for the exceptions named harmless.

    Attributes:
        failures: How many jobs failed.
        last_error: What the last failure said.
        is_failing: Whether the last job failed.
    """

    def __init__(
        self, load: Callable[[], Model], harmless: tuple[type[Exception], ...] = ()
    ) -> None:
        """Start the thread, which first calls `load`."""
        self.failures = 0
        self.last_error = ""
        self.is_failing = False
        self._harmless = harmless
        self._loaded: Future[Model] = Future()
        self._jobs: list[_Job] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._running: _Job | None = None
        self._stopped = threading.Event()
        # A daemon: a model that takes long to load or to run must not hold the process at its end.
        self._thread = threading.Thread(
            target=self._run, args=(load,), name="textregion-model", daemon=True
        )
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether a job is being done."""
        return self._running is not None

    @property
    def is_loaded(self) -> bool:
        """Whether the model is there."""
        loaded = self._loaded
        return loaded.done() and not loaded.cancelled() and loaded.exception() is None

    def wait_loaded(self) -> Model:
        """Wait for the model and return it.

        Raises:
            NotLoaded: It could not be loaded.
            LoadingStopped: The worker was closed first.
        """
        try:
            return self._loaded.result()
        except CancelledError:
            raise LoadingStopped("the node is shutting down") from None
        except Exception as error:
            raise NotLoaded(f"the model could not be loaded: {error}") from error

    def submit(
        self,
        work: Callable[[Turn], Result],
        priority: Priority = Priority.QUESTION,
        deadline: float = math.inf,
    ) -> Future[Result]:
        """Have a job done after those of higher priority and those that came before it.

        Args:
            work: Called in the worker's thread.
            priority: Which jobs it comes before.
            deadline: The job is not begun after this, s of the monotonic clock.

        Returns:
            The job's result to be. It is cancelled where the worker is closed, and raises Timeout
            where the deadline passed before the job was begun.
        """
        job = _Job(priority, next(self._numbers), work, deadline)
        with self._changed:
            if self._closed:
                job.future.cancel()
            else:
                heapq.heappush(self._jobs, job)
                self._changed.notify()
        return job.future

    def stop_jobs(self, wait: float) -> bool:
        """Cancel the jobs that wait, and have the one that runs give up at its next step.

        Returns:
            Whether it ended within `wait` seconds.
        """
        with self._changed:
            jobs, self._jobs = self._jobs, []
            running = self._running
            self._stopped.set()
            self._stopped = threading.Event()
        for job in jobs:
            job.future.cancel()
        if running is not None:  # who waits for it need not wait for its end
            _fail(running.future, NotReady("the node stopped answering; ask again"))
        with self._changed:
            return self._changed.wait_for(lambda: self._running is None, wait)

    def close(self, wait: float) -> bool:
        """Cancel all jobs and let go of the model.

        Returns:
            Whether the thread ended within `wait` seconds; else it ends with the job it does.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._loaded.cancel()
        self.stop_jobs(0.0)
        self._thread.join(wait)
        return not self._thread.is_alive()

    def _run(self, load: Callable[[], Model]) -> None:
        try:
            model = load()
        except Exception as error:
            if not self._loaded.cancelled():
                self._loaded.set_exception(error)
            return
        if not self._loaded.set_running_or_notify_cancel():
            return
        self._loaded.set_result(model)
        while (job := self._next()) is not None:
            self._do(job, model)
            del job  # its result may hold a whole scene
        self._loaded = Future()
        self._loaded.cancel()

    def _next(self) -> _Job | None:
        with self._changed:
            self._running = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if self._closed:
                return None
            self._running = heapq.heappop(self._jobs)
            return self._running

    def _do(self, job: _Job, model: Model) -> None:
        stopped = self._stopped
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            turn = Turn(model, job.deadline, stopped)
            turn.check()
            result = job.work(turn)
        except Exception as error:
            self._note_failure(error)
            _fail(job.future, error)
        else:
            self.is_failing = False
            with suppress(InvalidStateError):  # the job was called off meanwhile
                job.future.set_result(result)

    def _note_failure(self, error: Exception) -> None:
        if isinstance(error, self._harmless):
            return
        self.failures += 1
        self.is_failing = True
        self.last_error = f"{type(error).__name__}: {error}"


def _fail(future: Future[Result], error: Exception) -> None:
    """Give a future its exception, unless it has an outcome already."""
    with suppress(InvalidStateError):
        future.set_exception(error)

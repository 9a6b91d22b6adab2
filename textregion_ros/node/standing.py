"""Standing queries: texts looked for in every image, as far as somebody listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, replace
from functools import partial

from textregion_ros.core.errors import NoImage, NotReady
from textregion_ros.core.query import Query, StandingQueries
from textregion_ros.node.cameras import Camera
from textregion_ros.node.engine import Engine
from textregion_ros.node.frames import Closed, Frame
from textregion_ros.node.jobs import Turn
from textregion_ros.node.outputs import Outputs

NOTHING = Query(())
CALLED_OFF = (NotReady, NoImage, Closed)  # no failures: the node or the camera stopped meanwhile


@dataclass(frozen=True)
class Settings:
    """What the node's parameters say of standing work.

    Attributes:
        complete: Adds to a query what the parameters say now.
        rate: Most answers for each camera now, Hz; 0 for no limit.
    """

    complete: Callable[[Query], Query]
    rate: Callable[[], float]


class StandingWork:
    """Answers the standing queries in the newest image of each camera.

    Each camera has at most one job at a time with the worker, which takes them in turn.
    """

    def __init__(
        self, engine: Engine, settings: Settings, failed: Callable[[BaseException], None]
    ) -> None:
        """Begin without cameras and queries.

        Args:
            engine: Does the work.
            settings: What the parameters say.
            failed: Told the exception of a job that failed.
        """
        self.queries = StandingQueries(0, NOTHING)
        self._jobs: Mapping[str, CameraJob] = {}
        self._engine = engine
        self._settings = settings
        self._failed = failed
        self._replacing = threading.Lock()

    def replace(self, query: Query) -> StandingQueries:
        """Put other queries in force.

        Returns:
            What is in force now.
        """
        with self._replacing:
            self.queries = StandingQueries(self.queries.revision + 1, query)
        for job in self._jobs.values():
            job.hurry()
        return self.queries

    def begin(self, outputs: Mapping[str, Outputs]) -> None:
        """Publish through these from now on, one for each camera by its name."""
        self._jobs = {
            name: CameraJob(
                name, output, self._engine, self._settings, lambda: self.queries, self._failed
            )
            for name, output in outputs.items()
        }

    @property
    def outputs(self) -> list[Outputs]:
        """What is published through."""
        return [job.outputs for job in self._jobs.values()]

    def outputs_of(self, camera: str) -> Outputs | None:
        """Return where a camera's answers are published; without a name, of the only camera."""
        jobs = self._jobs
        if not camera and len(jobs) == 1:
            return next(iter(jobs.values())).outputs
        job = jobs.get(camera)
        return job.outputs if job else None

    def follows(self, camera: str) -> bool:
        """Return whether somebody listens to what is said of every image of a camera."""
        outputs = self.outputs_of(camera)
        return outputs is not None and wanted(outputs, self.queries.query) is not None

    def tick(self) -> None:
        """Have every camera answered that has something new which somebody waits for."""
        for job in self._jobs.values():
            job.tick()


@dataclass(frozen=True, eq=False)
class _Task:
    """What was answered, or is to be: the queries in force, what is asked, and the image."""

    queries: StandingQueries
    query: Query
    frame: Frame

    def is_same(self, other: _Task | None) -> bool:
        """Return whether the other asks the same of the same image."""
        if other is None:
            return False
        same_query = (self.queries.revision, self.query) == (other.queries.revision, other.query)
        return same_query and self.frame is other.frame


class CameraJob:
    """The standing work for one camera; one job at a time with the worker."""

    def __init__(
        self,
        name: str,
        outputs: Outputs,
        engine: Engine,
        settings: Settings,
        queries: Callable[[], StandingQueries],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Begin with nothing answered.

        Args:
            name: Name of the camera.
            outputs: Where its answers are published.
            engine: Does the work.
            settings: What the parameters say.
            queries: The queries in force now.
            failed: Told the exception of a job that failed.
        """
        self.outputs = outputs
        self._name = name
        self._engine = engine
        self._settings = settings
        self._queries = queries
        self._failed = failed
        self._lock = threading.Lock()
        self._running = False
        self._answered: _Task | None = None
        self._next = 0.0

    def hurry(self) -> None:
        """Let the next answer come at once, whatever the rate."""
        self._next = 0.0

    def tick(self) -> None:
        """Have the camera's newest image answered, where that is due and not being done."""
        camera = self._engine.cameras.get(self._name)
        if self._engine.gate.why or camera is None:
            return
        with self._lock:
            task = None if self._running else self._due(camera)
            if task is None:
                return
            self._running = True
        try:
            rate = self._settings.rate()
            self._next = time.monotonic() + 1 / rate if rate else 0.0
            job = self._engine.work(partial(self._answer, camera, task))
        except Exception:  # the node has just been deactivated
            self._running = False
            return
        job.add_done_callback(partial(self._end, task))

    def _due(self, camera: Camera) -> _Task | None:
        newest, queries = camera.mailbox.newest, self._queries()
        if newest is None or time.monotonic() < self._next:
            return None
        query = wanted(self.outputs, self._settings.complete(queries.query))
        if query is None:
            return None
        task = _Task(queries, query, newest)
        return None if task.is_same(self._answered) else task

    def _answer(self, camera: Camera, task: _Task, turn: Turn) -> None:
        # There may be a newer image by now.
        frame, found = self._engine.answer_newest(turn, camera, task.query)
        self._answered = replace(task, frame=frame)
        self.outputs.publish(found, task.queries.revision)

    def _end(self, task: _Task, job: futures.Future[object]) -> None:
        error = None if job.cancelled() else job.exception()
        if error is not None:
            self._answered = task  # not again about the same image
        self._running = False
        if error is not None and not isinstance(error, CALLED_OFF):
            self._failed(error)
        if not job.cancelled():
            # An image or queries that came meanwhile found the job running.
            self.tick()


def wanted(outputs: Outputs, query: Query) -> Query | None:
    """Return what somebody wants to know of every image; None where nobody listens.

    A query without texts asks for the scene alone.
    """
    if query.texts and outputs.wants_answers():
        return query
    return NOTHING if outputs.wants_tokens() else None

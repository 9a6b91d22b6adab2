"""Standing queries: texts looked for in every frame, as far as somebody listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

from textregion_ros.node.answers import Answer, Question
from textregion_ros.node.cameras import Camera
from textregion_ros.node.engine import Engine
from textregion_ros.node.frames import Frame
from textregion_ros.node.outputs import Outputs


class StandingQueries:
    """Has the newest frames of the cameras answered in turn, one job at a time.

    complete: adds to a question what the parameters say now. rate: most answers per camera now, Hz,
    0 for no limit. failed: told the exception of a job.
    """

    def __init__(
        self,
        engine: Engine,
        complete: Callable[[Question], Question],
        rate: Callable[[], float],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.outputs: Mapping[str, Outputs] = {}
        self.revision, self.question = 0, Question(())
        self._engine = engine
        self._complete = complete
        self._rate = rate
        self._failed = failed
        self._job = threading.Lock()
        self._turn: list[str] = []
        self._answered: dict[str, tuple[int, Question, Frame]] = {}
        self._next: dict[str, float] = {}

    def replace(self, question: Question) -> None:
        """Put other queries in force. Raises Refusal, and then leaves those that are."""
        if question.texts:
            question.check()
        self.revision, self.question = self.revision + 1, question
        self._next = {}

    def begin(self, outputs: Mapping[str, Outputs]) -> None:
        """Publish through these from now on, one for each camera by its name."""
        self.outputs, self._turn = outputs, list(outputs)
        self._answered, self._next = {}, {}

    def outputs_of(self, camera: str) -> Outputs | None:
        """Return what is published about the camera; empty: about the only one."""
        outputs = self.outputs
        if not camera and len(outputs) == 1:
            return next(iter(outputs.values()))
        return outputs.get(camera)

    def follows(self, camera: str) -> bool:
        """Whether somebody listens to what is said of every frame of the camera."""
        outputs = self.outputs_of(camera)
        return outputs is not None and _wanted(outputs, self.question) is not None

    def tick(self) -> None:
        """Have the next camera answered that has something new which somebody waits for."""
        if self._engine.gate.why or not self._job.acquire(blocking=False):
            return
        if (due := self._next_due()) is None:
            self._job.release()
            return
        camera, revision, question = due
        rate = self._rate()
        self._next[camera.name] = time.monotonic() + 1 / rate if rate else 0.0
        self._turn.remove(camera.name)
        self._turn.append(camera.name)
        key = (revision, question, camera.mailbox.newest)
        try:
            job = self._engine.answer_newest(
                camera, question, lambda found: self._use(found, camera.name, revision, question)
            )
        except Exception:  # the node has just been deactivated
            self._job.release()
            return
        job.add_done_callback(lambda job: self._end(job, camera.name, key))

    def _next_due(self) -> tuple[Camera, int, Question] | None:
        """Return the camera that waited longest, with what to answer about its newest frame."""
        now, revision = time.monotonic(), self.revision
        question = self._complete(self.question)
        for name in self._turn:
            camera, outputs = self._engine.cameras.get(name), self.outputs[name]
            if camera is None or camera.mailbox.newest is None or now < self._next.get(name, 0.0):
                continue
            wanted = _wanted(outputs, question)
            if wanted and self._answered.get(name) != (revision, wanted, camera.mailbox.newest):
                return camera, revision, wanted
        return None

    def _use(self, found: Answer, camera: str, revision: int, question: Question) -> None:
        self._answered[camera] = (revision, question, found.frame)
        self.outputs[camera].publish(found, revision)

    def _end(self, job: futures.Future, camera: str, key: Any) -> None:
        error = None if job.cancelled() else job.exception()
        if error:
            # Not again about the same frame.
            self._answered[camera] = key
        self._job.release()
        if error:
            self._failed(error)
        if not job.cancelled():
            # A frame or queries that came meanwhile found the worker busy.
            self.tick()


def _wanted(outputs: Outputs, question: Question) -> Question | None:
    """Return what somebody wants to know of every frame: the answers, or the regions alone."""
    if question.texts and outputs.wants_answers():
        return question
    return Question(()) if outputs.wants_tokens() else None

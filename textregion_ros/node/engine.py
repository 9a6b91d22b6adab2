"""How a question comes to its answer: wait for a fitting frame, then have it worked out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from textregion_ros.node.answers import Answer, Freshness, Question, Refusal, answer
from textregion_ros.node.cameras import Camera
from textregion_ros.node.encodings import Encodings
from textregion_ros.node.frames import SECOND, Closed, Frame
from textregion_ros.node.gate import Gate
from textregion_ros.node.worker import Worker
from textregion_ros.regions import BadImage, BadQuery, BadText
from textregion_ros.srv import Query

MOST_WAITING = 8  # questions at a time; each holds a thread of its own while it waits
LOADING = "the model is still being loaded"


@dataclass(frozen=True)
class Timings:
    """What the last answer took. age: of its image when it was done, s. at: monotonic, s."""

    encode_ms: float = 0.0
    query_ms: float = 0.0
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    age: float = 0.0
    at: float = 0.0


class Engine:
    """The cameras, the frames encoded last, and the worker that has the model.

    `load`, `start`, `stop` and `unload` are the steps of a managed node, in this order.
    clock: ns on the clock of the images' stamps.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.gate = Gate("the node is not configured")
        self.cameras: Mapping[str, Camera] = {}
        self.encodings: Encodings | None = None
        self.worker: Worker | None = None
        self.timings: dict[str | None, Timings] = {}
        self._clock = clock
        self._places = threading.BoundedSemaphore(MOST_WAITING)

    def load(self, load: Callable[[], Any], encodings: Encodings) -> Any:
        """Load the model in the worker's thread and return it. Raises NotLoaded."""
        self.gate.shut(LOADING, passing=True)
        self.encodings = encodings
        self.worker = Worker(load, (Refusal, BadText, BadQuery, Closed))
        return self.worker.wait_loaded()

    def start(self, cameras: Mapping[str, Camera]) -> None:
        """Answer from now on."""
        self.cameras = cameras
        self.timings = {}
        self.gate.open()

    def stop(self, why: str) -> None:
        """Send away who waits, and come back when nothing is worked on any more."""
        self.gate.shut(why)
        for camera in self.cameras.values():
            camera.mailbox.close()
        if self.worker:
            with suppress(futures.CancelledError):
                self.worker.submit(lambda _model: None).result()
        self.cameras = {}

    def unload(self, why: str) -> None:
        """Stop, end the worker, and let go of the model and of all frames."""
        self.gate.shut(why)
        worker, self.worker = self.worker, None
        for camera in self.cameras.values():
            camera.mailbox.close()
        if worker:
            worker.close()
        self.cameras, self.encodings, self.timings = {}, None, {}

    def ask(
        self,
        question: Question,
        given: Frame | None,
        freshness: Freshness,
        timeout: float,
        camera: str = "",
    ) -> Answer:
        """Answer about the frame given, or else about the camera's newest one that is fresh.

        timeout: longest time in all, s; 0 waits neither for the model nor for a frame and sets the
        work no limit. Raises Refusal, and what the library raises.
        """
        if not self._places.acquire(blocking=False):
            raise Refusal(
                Query.Response.NOT_READY, f"{MOST_WAITING} queries are waiting already; ask later"
            )
        try:
            end = time.monotonic() + timeout
            self.gate.wait(timeout)
            source = given or self.camera(camera)
            return self._ask(question, source, freshness, timeout, end)
        except (Closed, futures.CancelledError):
            sentence = self.gate.why or "the node was deactivated meanwhile; ask again"
            raise Refusal(Query.Response.NOT_READY, sentence) from None
        finally:
            self._places.release()

    def camera(self, name: str) -> Camera:
        """Return the camera of that name, or the only one. Raises Refusal."""
        cameras = self.cameras
        if not name and len(cameras) == 1:
            return next(iter(cameras.values()))
        if name in cameras:
            return cameras[name]
        known = ", ".join(f'"{other}"' for other in cameras if other)
        if not name:
            sentence = f"camera is empty and there are several: {known}"
        elif known:
            sentence = f'there is no camera "{name}"; there are {known}'
        else:
            sentence = f'there is no camera "{name}"; the only one has no name'
        raise Refusal(Query.Response.BAD_REQUEST, sentence)

    def _ask(
        self,
        question: Question,
        source: Frame | Camera,
        freshness: Freshness,
        timeout: float,
        end: float,
    ) -> Answer:
        def left() -> float:
            return max(end - time.monotonic(), 0.0)

        while True:
            if isinstance(source, Camera):
                self._wait_for_frame(source, freshness, left())
            job = self._submit(self._answer, question, source, freshness)
            try:
                return job.result(left() if timeout else None)
            except futures.TimeoutError:
                if not job.cancel() and job.done():  # it is the job's own
                    raise
                sentence = f"there was no answer within {timeout:.3f} s"
                raise Refusal(Query.Response.TIMEOUT, sentence) from None
            except Refusal as refusal:
                # The frame grew too old while the worker was busy: there is time for another.
                if refusal.status != Query.Response.STALE or not left():
                    raise

    def _wait_for_frame(self, camera: Camera, freshness: Freshness, timeout: float) -> None:
        if not camera.mailbox.wait(lambda frame: freshness.allows(frame, self._clock()), timeout):
            freshness.check(camera.mailbox.newest, self._clock())

    def answer_newest(
        self, camera: Camera, question: Question, use: Callable[[Answer], None]
    ) -> futures.Future:
        """Have the worker answer about the newest frame and use the answer in its thread."""
        return self._submit(lambda model: use(self._answer(model, question, camera, Freshness())))

    def later(self, job: Callable[[], None]) -> None:
        """Have something done in the worker's thread while the node answers."""
        self._submit(lambda _model: self.gate.why or job())

    def _submit(self, job: Callable[..., Any], *arguments: Any) -> futures.Future:
        worker = self.worker
        if worker is None:
            self.gate.check()
            raise Closed
        return worker.submit(job, *arguments)

    def _answer(
        self, model: Any, question: Question, source: Frame | Camera, freshness: Freshness
    ) -> Answer:
        """Answer in the worker's thread, about the newest frame that there is by now."""
        self.gate.check()
        frame = source
        if isinstance(source, Camera):
            frame = source.mailbox.newest
            freshness.check(frame, self._clock())
            source.took(frame)
        try:
            found = answer(model, self.encodings, frame, question)
        except BadImage as error:
            if frame.camera is None:
                raise Refusal(Query.Response.BAD_REQUEST, str(error)) from None
            source.blame(str(error))
            raise
        self._note(found)
        if isinstance(source, Camera):
            source.blame(found.fault)
        return found

    def _note(self, found: Answer) -> None:
        self.timings[found.frame.camera] = Timings(
            found.encode_ms,
            found.query_ms,
            found.regions.stage_ms,
            (self._clock() - found.frame.stamp) / SECOND,
            time.monotonic(),
        )

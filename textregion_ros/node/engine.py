"""How a query comes to its answer: wait for a fitting image, then have the worker answer it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from textregion_ros.core.errors import (
    BadImage,
    BadQuery,
    BadRequest,
    BadText,
    Busy,
    NotReady,
    QueryFailed,
    Stale,
    Timeout,
)
from textregion_ros.core.query import Query
from textregion_ros.core.results import Answer, Embedding
from textregion_ros.core.text import shown
from textregion_ros.node.answering import answer
from textregion_ros.node.cameras import Camera
from textregion_ros.node.conversions.headers import SECOND
from textregion_ros.node.conversions.messages import scene_of
from textregion_ros.node.frames import Closed, Frame, Freshness, Picture
from textregion_ros.node.gate import Gate
from textregion_ros.node.jobs import Model, Priority, Turn, Worker
from textregion_ros.node.scenes import Scenes

# Each query holds a thread of the executor: those that can be answered, and those that wait for an
# image or for the model. The latter may be many and wait long; they keep nobody else from a place.
MOST_ANSWERING = 32
MOST_WAITING = 32
LOADING = "the model is still being loaded"
STOP_WAIT = 1.0  # s; for the job that runs to notice that it is not wanted any more
Result = TypeVar("Result")


@dataclass(frozen=True)
class Timings:
    """What the last answer about a camera took.

    Attributes:
        encode_ms: Time spent on the regions, ms.
        query_ms: Time spent on the texts and poses, ms.
        stage_ms: Time of each stage of the encoding, ms.
        age: Age of the image when the answer was ready, s.
        at: When that was, s of the monotonic clock.
    """

    encode_ms: float = 0.0
    query_ms: float = 0.0
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    age: float = 0.0
    at: float = 0.0


class Places:
    """A bounded number of places; who finds none is sent away."""

    def __init__(self, most: int, what: str) -> None:
        """Have `most` places; `what` says in the refusal who holds them."""
        self._free = threading.BoundedSemaphore(most)
        self._sentence = f"{most} queries are {what} already; ask again later"

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place.

        Raises:
            Busy: There is none.
        """
        if not self._free.acquire(blocking=False):
            raise Busy(self._sentence)
        try:
            yield
        finally:
            self._free.release()


class Engine:
    """The cameras, the scenes known, and the worker that has the model.

    `load`, `start`, `stop` and `unload` are the steps of a managed node, in this order.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        """Begin without a model. clock: ns on the clock of the images' stamps."""
        self.gate = Gate("the node is not configured")
        self.cameras: Mapping[str, Camera] = {}
        self.scenes: Scenes | None = None
        self.worker: Worker | None = None
        self.timings: dict[str, Timings] = {}
        self._clock = clock
        self._answering = Places(MOST_ANSWERING, "being answered")
        self._waiting = Places(MOST_WAITING, "waiting for an image or for the model")

    def load(self, load: Callable[[], Model], scenes: Scenes) -> Model:
        """Load the model in the worker's thread and return it.

        Raises:
            NotLoaded: The model could not be loaded.
        """
        self.gate.shut(LOADING, passing=True)
        self.scenes = scenes
        self.worker = Worker(load, (QueryFailed, BadText, BadQuery, Closed))
        return self.worker.wait_loaded()

    def start(self, cameras: Mapping[str, Camera]) -> None:
        """Answer from now on."""
        self.cameras = cameras
        self.timings = {}
        self.gate.open()

    def stop(self, why: str) -> None:
        """Send away who waits, and have the job that runs end soon."""
        self.gate.shut(why)
        for camera in self.cameras.values():
            camera.mailbox.close()
        if self.worker:
            self.worker.stop_jobs(STOP_WAIT)
        self.cameras = {}

    def unload(self, why: str) -> bool:
        """Stop, end the worker, and let go of the model and of all scenes.

        Returns:
            Whether the worker's thread ended; a long step of its job may still hold it.
        """
        self.gate.shut(why)
        worker, self.worker = self.worker, None
        for camera in self.cameras.values():
            camera.mailbox.close()
        ended = worker.close(STOP_WAIT) if worker else True
        self.cameras, self.scenes, self.timings = {}, None, {}
        return ended

    def ask(
        self,
        query: Query,
        source: Picture | str,
        freshness: Freshness,
        timeout: float,
        limit: float,
        guided: bool = False,
    ) -> Answer:
        """Answer about a picture, or about a camera's newest image that is fresh.

        Args:
            query: What is looked for.
            source: The picture, or the name of the camera; empty for the only one.
            freshness: Which of the camera's images may be used.
            timeout: Longest time for the model to be loaded and a fitting image to come, s; where
                it is more than 0, for all of it.
            limit: Longest time for all of it where `timeout` is 0, s.
            guided: Whether of a new image only what the texts speak of need be looked for.

        Raises:
            QueryFailed: There is no answer.
            BadImage, BadText, BadQuery: The picture or the query cannot be used.
        """
        end = time.monotonic() + (timeout or limit)
        wait_end = time.monotonic() + timeout
        with self._saying_why():
            self._wait_for_model(wait_end)
            while True:
                place = self._source(source, freshness, wait_end)
                try:
                    with self._answering.one():
                        work = partial(self._answer, query, place, freshness, guided)
                        job = self._submit(work, Priority.QUESTION, end)
                        return self._result(job, end, timeout or limit)
                except Stale:
                    # The image grew too old while the worker was busy; another may come in time.
                    if time.monotonic() >= wait_end:
                        raise

    def embed(self, texts: Sequence[str], limit: float) -> Embedding:
        """Return vectors of texts.

        Args:
            texts: What to encode.
            limit: Longest time for it, s.

        Raises:
            QueryFailed: There is no answer.
            BadText: A text cannot be used.
        """
        end = time.monotonic() + limit
        with self._saying_why():
            self._wait_for_model(end)
            with self._answering.one():
                job = self._submit(
                    lambda turn: Embedding(
                        turn.model.identity, turn.model.embed(texts, turn.check)
                    ),
                    Priority.QUESTION,
                    end,
                )
                return self._result(job, end, limit)

    def check_texts(self, texts: Sequence[str], limit: float) -> None:
        """Check that the model can take texts, and keep their vectors; nothing without a model.

        Args:
            texts: What is to be asked.
            limit: Longest time for it, s.

        Raises:
            QueryFailed: It could not be checked.
            BadText: A text cannot be used.
        """
        worker = self.worker
        if worker is None or not worker.is_loaded or not texts:
            return
        end = time.monotonic() + limit
        with self._saying_why():
            job = worker.submit(
                lambda turn: turn.model.embed(texts, turn.check), Priority.QUESTION, end
            )
            self._result(job, end, limit)

    def trim(self, most_bytes: int) -> None:
        """Forget masks and shapes that take more than this; in the worker's thread."""
        if self.scenes is not None:
            self.scenes.trim(most_bytes)

    @contextmanager
    def _saying_why(self) -> Iterator[None]:
        """Turn what happens to work that is called off into NotReady with the reason."""
        try:
            yield
        except (Closed, futures.CancelledError):
            sentence = self.gate.why or "the node stopped answering meanwhile; ask again"
            raise NotReady(sentence) from None

    def _wait_for_model(self, end: float) -> None:
        if not self.gate.can_be_waited_for or time.monotonic() >= end:
            self.gate.check()
            return
        with self._waiting.one():
            self.gate.wait(end - time.monotonic())

    def _source(self, source: Picture | str, freshness: Freshness, end: float) -> Picture | Camera:
        """Return the picture, or the camera as soon as it has an image that is fresh."""
        if isinstance(source, Picture):
            return source
        camera = self.camera(source)

        def fits(frame: Frame | None) -> bool:
            return freshness.allows(frame, self._clock())

        if not fits(camera.mailbox.wait(fits, 0.0)):
            with self._waiting.one():
                newest = camera.mailbox.wait(fits, max(end - time.monotonic(), 0.0))
                freshness.check(newest, self._clock())
        return camera

    def camera(self, name: str) -> Camera:
        """Return the camera of that name; without a name, the only one.

        Raises:
            BadRequest: There is none, or a name is needed.
        """
        cameras = self.cameras
        if not name and len(cameras) == 1:
            return next(iter(cameras.values()))
        if name in cameras:
            return cameras[name]
        self.gate.check()  # an inactive node has no cameras
        known = ", ".join(f'"{other}"' for other in cameras if other)
        if not name:
            raise BadRequest(f"camera is empty and there are several: {known}")
        there_are = f"there are {known}" if known else "the only one has no name"
        raise BadRequest(f"there is no camera {shown(name)}; {there_are}")

    def _result(self, job: futures.Future[Result], end: float, timeout: float) -> Result:
        try:
            return job.result(max(end - time.monotonic(), 0.0))
        except futures.TimeoutError:
            # It may be the job's own exception, or the job may end at this very moment.
            if not job.cancel() and job.done():
                return job.result()
            raise Timeout(f"there was no answer within {timeout:.3f} s") from None

    def _submit(
        self, work: Callable[[Turn], Result], priority: Priority, end: float
    ) -> futures.Future[Result]:
        worker = self.worker
        if worker is None:
            raise Closed
        return worker.submit(work, priority, end)

    def work(self, work: Callable[[Turn], object]) -> futures.Future[object]:
        """Have standing work done, after all questions.

        Raises:
            Closed: There is no model.
        """
        return self._submit(work, Priority.STANDING, float("inf"))

    def answer_newest(self, turn: Turn, camera: Camera, query: Query) -> tuple[Frame, Answer]:
        """Answer about a camera's newest image, in the worker's thread.

        Returns:
            The image, and the answer.
        """
        self.gate.check()
        return self._about(turn, camera, query, Freshness(), guided=False)

    def _answer(
        self, query: Query, source: Picture | Camera, freshness: Freshness, guided: bool, turn: Turn
    ) -> Answer:
        """Answer in the worker's thread, about the newest image that there is by now."""
        self.gate.check()
        if isinstance(source, Camera):
            return self._about(turn, source, query, freshness, guided)[1]
        try:
            return self._noted(answer(turn, self._scenes(), source, query, guided))
        except BadImage as error:
            raise BadRequest(str(error)) from None

    def _about(
        self, turn: Turn, camera: Camera, query: Query, freshness: Freshness, guided: bool
    ) -> tuple[Frame, Answer]:
        frame = freshness.check(camera.mailbox.newest, self._clock())
        camera.took(frame)
        try:
            found = answer(turn, self._scenes(), frame, query, guided)
        except BadImage as error:
            camera.blame(str(error))
            raise
        camera.blame(found.fault)
        return frame, self._noted(found)

    def _scenes(self) -> Scenes:
        if self.scenes is None:
            raise Closed
        return self.scenes

    def _noted(self, found: Answer) -> Answer:
        self.timings[found.image.camera] = Timings(
            found.encode_ms,
            found.query_ms,
            scene_of(found).encoded.stage_ms,
            (self._clock() - found.image.stamp) / SECOND,
            time.monotonic(),
        )
        return found

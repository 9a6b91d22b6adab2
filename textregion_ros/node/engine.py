"""How a question comes to its answer: wait for the model and a frame, then have it worked out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

from textregion_ros.node.answers import Answer, Freshness, Question, Refusal, answer
from textregion_ros.node.frames import Frame, KeptFrames, Mailbox
from textregion_ros.node.worker import Worker
from textregion_ros.srv import Query

MOST_WAITING = 8  # questions at a time; each holds a thread of its own while it waits


class Engine:
    """The newest frame, the frames encoded last, and the worker that has the model.

    load: makes the model, in the worker's thread. clock: ns on the clock of the images' stamps.
    """

    def __init__(self, load: Callable[[], Any], kept: KeptFrames, clock: Callable[[], int]) -> None:
        self.mailbox = Mailbox()
        self.worker = Worker(load)
        self._kept = kept
        self._clock = clock
        self._places = threading.BoundedSemaphore(MOST_WAITING)

    def ask(
        self, question: Question, given: Frame | None, freshness: Freshness, timeout: float
    ) -> Answer:
        """Answer about the frame given, or else about the newest one that is fresh.

        timeout: longest time in all, s; 0 waits neither for the model nor for a frame and sets the
        work no limit. Raises Refusal, NotLoaded, Closed, and what the library raises.
        """
        if not self._places.acquire(blocking=False):
            raise Refusal(
                Query.Response.NOT_READY, f"{MOST_WAITING} queries are waiting already; ask later"
            )
        try:
            return self._ask(question, given, freshness, timeout)
        finally:
            self._places.release()

    def _ask(
        self, question: Question, given: Frame | None, freshness: Freshness, timeout: float
    ) -> Answer:
        end = time.monotonic() + timeout

        def left() -> float:
            return max(end - time.monotonic(), 0.0)

        self.worker.wait_loaded(left())
        if given is None and not self.mailbox.wait(
            lambda frame: freshness.allows(frame, self._clock()), left()
        ):
            freshness.check(self.mailbox.newest, self._clock())
        job = self.worker.submit(self._answer, question, given, freshness)
        done, _ = futures.wait([job], left() if timeout else None)
        if not done:
            job.cancel()
            raise Refusal(Query.Response.TIMEOUT, f"there was no answer within {timeout:.3f} s")
        return job.result()

    def answer_newest(self, question: Question, use: Callable[[Answer], None]) -> futures.Future:
        """Have the worker answer about the newest frame and use the answer in its thread."""
        return self.worker.submit(
            lambda model: use(self._answer(model, question, None, Freshness()))
        )

    def _answer(
        self, model: Any, question: Question, given: Frame | None, freshness: Freshness
    ) -> Answer:
        """Answer in the worker's thread, about the newest frame that there is by now."""
        frame = given
        if frame is None:
            frame = self.mailbox.newest
            freshness.check(frame, self._clock())
        return answer(model, self._kept, frame, question)

    def close(self) -> None:
        """Send away who waits, and end the worker."""
        self.mailbox.close()
        self.worker.close()

"""From a question about a frame to its answer; runs in the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from textregion_ros.node.frames import Frame, KeptFrames
from textregion_ros.regions import EncodedFrame, Grounding, TextRegion
from textregion_ros.srv import Query

SECOND = 1_000_000_000


class Refusal(Exception):
    """A query that gets no answer: a status of srv/Query and the sentence that goes with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Question:
    """What is looked for: texts, what they must beat, and what counts as found.

    threshold: 0..1, None for the profile's. top_k: most regions per text, 0 for all.
    """

    texts: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    threshold: float | None = None
    top_k: int = 0

    def check(self) -> None:
        """Raise Refusal for what needs no model to be seen to be wrong."""
        if not self.texts:
            raise Refusal(Query.Response.BAD_REQUEST, "texts is empty: name what to look for")
        for name, texts in (("text", self.texts), ("negative", self.negatives)):
            for number, text in enumerate(texts, 1):
                if not text.strip():
                    raise Refusal(Query.Response.BAD_REQUEST, f"{name} {number} is blank")
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise Refusal(
                Query.Response.BAD_REQUEST, f"threshold is {self.threshold:g} and must be 0..1"
            )


@dataclass(frozen=True)
class Freshness:
    """Which camera frames may be used. newer_than: stamp, ns; max_age: ns; 0 for any."""

    newer_than: int = 0
    max_age: int = 0

    def check(self, frame: Frame | None, now: int) -> None:
        """Raise Refusal where the frame may not be used. now: ns, on the clock of the stamps."""
        if frame is None:
            raise Refusal(Query.Response.NO_IMAGE, "no camera image has come yet")
        if self.newer_than and frame.stamp <= self.newer_than:
            late = (self.newer_than - frame.stamp) / SECOND
            raise Refusal(
                Query.Response.STALE,
                f"the newest image is not newer than newer_than, but {late:.3f} s older",
            )
        if self.max_age and now - frame.stamp > self.max_age:
            age, most = (now - frame.stamp) / SECOND, self.max_age / SECOND
            raise Refusal(
                Query.Response.STALE,
                f"the newest image is {age:.3f} s old, more than max_age, {most:.3f} s",
            )

    def allows(self, frame: Frame | None, now: int) -> bool:
        """Whether the frame may be used."""
        try:
            self.check(frame, now)
        except Refusal:
            return False
        return True


@dataclass(frozen=True)
class Answer:
    """The groundings of a question in a frame, in the order asked.

    encode_ms: time spent on the frame, 0 where it was known already. query_ms: on the texts.
    """

    frame: Frame
    groundings: Sequence[Grounding]
    encode_ms: float
    query_ms: float


def answer(model: TextRegion, kept: KeptFrames, frame: Frame, question: Question) -> Answer:
    """Ground the question in the frame, encoding the frame only where it is not kept already.

    Raises BadImage for the frame, BadText and BadQuery for the question.
    """
    encode_ms = 0.0
    encoded = kept.get(frame.key)
    if encoded is None:
        encoded, encode_ms = _timed_encode(model, frame)
        kept.put(frame.key, encoded)
    start = time.perf_counter()
    groundings = model.ground(
        encoded, question.texts, question.negatives, question.threshold, question.top_k
    )
    return Answer(frame, groundings, encode_ms, 1e3 * (time.perf_counter() - start))


def _timed_encode(model: TextRegion, frame: Frame) -> tuple[EncodedFrame, float]:
    start = time.perf_counter()
    encoded = model.encode(frame.rgb)
    return encoded, 1e3 * (time.perf_counter() - start)

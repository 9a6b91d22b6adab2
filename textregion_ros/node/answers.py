"""From a question about a frame to its answer; runs in the worker's thread."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textregion_ros.geometry import RegionShape
from textregion_ros.node.encodings import Encodings
from textregion_ros.node.frames import SECOND, Frame
from textregion_ros.regions import BadImage, EncodedFrame, Grounding
from textregion_ros.srv import Query

UNMATCHED = "depth and camera_info come, but not within depth_tolerance of the images' stamps"


class Refusal(Exception):
    """A query that gets no answer: a status of srv/Query and the sentence that goes with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Question:
    """What is looked for: texts, what they must beat, and what counts as found.

    threshold: 0..1, None for the profile's. top_k: most regions per text, 0 for all. guided: of a
    frame that is new only the regions that the texts speak of need to be known.
    """

    texts: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    threshold: float | None = None
    top_k: int = 0
    guided: bool = False

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

    encode_ms: time spent on the frame, 0 where its regions were known. query_ms: on the texts and
    on the shapes. regions: all of the frame's that are known. shapes: in 3D, by Region.id, of those
    regions of the groundings that have enough depth. reused: the regions are those of an earlier
    frame of the same camera. fault: why there are no shapes though depth came; empty where nothing
    is wrong.
    """

    frame: Frame
    groundings: Sequence[Grounding]
    encode_ms: float
    query_ms: float
    regions: EncodedFrame | None = None
    shapes: Mapping[int, RegionShape] = field(default_factory=dict)
    reused: bool = False
    fault: str = ""


def answer(model: Any, encodings: Encodings, frame: Frame, question: Question) -> Answer:
    """Ground the question in the frame, encoding the frame only where it is not known already.

    A question without texts is answered with the frame's regions alone. Raises BadImage for the
    frame and for depth that came with a request, BadText and BadQuery for the question.
    """
    if question.guided:
        encoded = encodings.about(model, frame, question.texts, question.negatives)
    else:
        encoded = encodings.of(model, frame)
    start = time.perf_counter()
    groundings: Sequence[Grounding] = ()
    if question.texts:
        groundings = model.ground(
            encoded.regions, question.texts, question.negatives, question.threshold, question.top_k
        )
    shapes, fault = _shapes(frame, groundings)
    query_ms = 1e3 * (time.perf_counter() - start)
    return Answer(
        frame, groundings, encoded.ms, query_ms, encoded.regions, shapes, encoded.reused, fault
    )


def _shapes(frame: Frame, groundings: Sequence[Grounding]) -> tuple[Mapping[int, RegionShape], str]:
    """Return the shapes; a camera whose depth is of no use is still good for masks and boxes."""
    if not any(found.regions for found in groundings):
        return {}, ""
    try:
        if space := frame.space:
            return space.shapes(groundings), ""
        return {}, UNMATCHED if frame.expects_depth else ""
    except BadImage as error:
        if frame.camera is None:
            raise
        return {}, str(error)

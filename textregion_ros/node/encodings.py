"""Frames into region tokens, each picture once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from textregion_ros.node.frames import Frame
from textregion_ros.regions import EncodedFrame
from textregion_ros.regions.likeness import blocks, difference


class KeptFrames:
    """The encoded frames used last, bounded in number and in bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._frames: OrderedDict[bytes, EncodedFrame] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes held by the frames."""
        return sum(frame.nbytes for frame in list(self._frames.values()))

    def get(self, key: bytes) -> EncodedFrame | None:
        """Return the frame kept under the key, which makes it the one used last."""
        if key in self._frames:
            self._frames.move_to_end(key)
        return self._frames.get(key)

    def put(self, key: bytes, frame: EncodedFrame) -> None:
        """Keep the frame and let go of those used least recently."""
        self._frames[key] = frame
        while len(self._frames) > self._most or self.nbytes > self._most_bytes:
            self._frames.popitem(last=False)


@dataclass(frozen=True)
class Encoded:
    """The regions of a frame. ms: time spent on them, 0 where they were known.

    reused: they are those of an earlier frame of the same camera, which looks the same.
    """

    regions: EncodedFrame
    ms: float = 0.0
    reused: bool = False


@dataclass(frozen=True)
class Seen:
    """A camera's frame that was encoded last. looks: its blocks. key: what it is kept under."""

    looks: np.ndarray
    key: bytes
    regions: EncodedFrame


class Encodings:
    """Encodes a frame where it is not kept, and where it is not that of a camera that rests.

    static_threshold: grey levels, see regions/likeness.py; a frame that differs by less from the
    one encoded last for its camera has that one's regions. 0: never. count: how many frames were
    encoded. For one thread only.
    """

    def __init__(self, kept: KeptFrames, static_threshold: float = 0.0) -> None:
        self.kept = kept
        self.count = 0
        self._static_threshold = static_threshold
        self._last: dict[str, Seen] = {}

    def of(self, model: Any, frame: Frame) -> Encoded:
        """Return all regions of the frame. Raises BadImage."""
        return self._find(model, frame, lambda: model.encode(frame.rgb))

    def about(
        self, model: Any, frame: Frame, texts: Sequence[str], negatives: Sequence[str]
    ) -> Encoded:
        """Return the regions of a new frame that the texts speak of, and all of a known one.

        Raises BadImage, BadText, BadQuery.
        """
        return self._find(model, frame, lambda: model.encode_for(frame.rgb, texts, negatives))

    def _find(self, model: Any, frame: Frame, encode: Callable[[], EncodedFrame]) -> Encoded:
        if kept := self.kept.get(frame.key):
            return self._whole(model, frame.key, kept)
        looks = None
        if self._static_threshold and frame.camera is not None:
            looks = blocks(frame.rgb)
            if seen := self._resting(frame, looks):
                return replace(self._whole(model, seen.key, seen.regions), reused=True)
        start = time.perf_counter()
        regions = encode()
        ms = _ms_since(start)
        self.count += 1
        self.kept.put(frame.key, regions)
        if looks is not None:
            self._last[frame.camera] = Seen(looks, frame.key, regions)
        return Encoded(regions, ms)

    def _resting(self, frame: Frame, looks: np.ndarray) -> Seen | None:
        """Compare with the frame that was encoded, not with the last one: drift adds up."""
        seen = self._last.get(frame.camera)
        if seen is None or seen.regions.image_size != frame.rgb.shape[:2]:
            return None
        return seen if difference(seen.looks, looks) < self._static_threshold else None

    def _whole(self, model: Any, key: bytes, regions: EncodedFrame) -> Encoded:
        """Fill in what was left out for the first question, and keep that instead."""
        if regions.complete:
            return Encoded(regions)
        start = time.perf_counter()
        whole = model.complete(regions)
        ms = _ms_since(start)
        self.kept.put(key, whole)
        for camera, seen in self._last.items():
            if seen.regions is regions:
                self._last[camera] = replace(seen, regions=whole)
        return Encoded(whole, ms)


def _ms_since(start: float) -> float:
    return 1e3 * (time.perf_counter() - start)

"""Frames into region tokens, each picture once."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
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


class Encodings:
    """Encodes a frame where it is not kept, and where it is not that of a camera that rests.

    static_threshold: grey levels, see regions/likeness.py; a frame that differs by less from the
    one encoded last for its camera has that one's regions. 0: never. For one thread only.
    """

    def __init__(self, kept: KeptFrames, static_threshold: float = 0.0) -> None:
        self.kept = kept
        self.count = 0
        self._static_threshold = static_threshold
        self._last: dict[str, tuple[np.ndarray, EncodedFrame]] = {}

    def of(self, model: Any, frame: Frame) -> Encoded:
        """Return the regions of the frame. Raises BadImage."""
        if kept := self.kept.get(frame.key):
            return Encoded(kept)
        looks = None
        if self._static_threshold and frame.camera is not None:
            looks = blocks(frame.rgb)
            if resting := self._resting(frame, looks):
                return Encoded(resting, reused=True)
        start = time.perf_counter()
        regions = model.encode(frame.rgb)
        ms = 1e3 * (time.perf_counter() - start)
        self.count += 1
        self.kept.put(frame.key, regions)
        if looks is not None:
            self._last[frame.camera] = (looks, regions)
        return Encoded(regions, ms)

    def _resting(self, frame: Frame, looks: np.ndarray) -> EncodedFrame | None:
        """Compare with the frame that was encoded, not with the last one: drift adds up."""
        before, regions = self._last.get(frame.camera, (None, None))
        if before is None or regions.image_size != frame.rgb.shape[:2]:
            return None
        return regions if difference(before, looks) < self._static_threshold else None

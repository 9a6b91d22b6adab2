"""Frames to scenes: each picture is encoded once, and the last few are kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.node.frames import Source
from textregion_ros.node.jobs import Model
from textregion_ros.node.likeness import blocks, difference


class KeptFrames:
    """The encoded frames used last, bounded in number and in bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Keep at most so many frames of at most so many bytes in all, the GPU's included."""
        self._most = most
        self._most_bytes = most_bytes
        self._frames: OrderedDict[bytes, EncodedFrame] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        """Bytes that the frames hold in the machine's memory."""
        return sum(frame.nbytes for frame in list(self._frames.values()))

    @property
    def device_nbytes(self) -> int:
        """Bytes that the frames hold on the GPU."""
        return sum(frame.device_nbytes for frame in list(self._frames.values()))

    def get(self, key: bytes) -> EncodedFrame | None:
        """Return the frame kept under the key, which makes it the one used last."""
        if key in self._frames:
            self._frames.move_to_end(key)
        return self._frames.get(key)

    def put(self, key: bytes, frame: EncodedFrame) -> None:
        """Keep a frame, and let go of those used least recently."""
        self._frames[key] = frame
        while len(self._frames) > self._most or self._total() > self._most_bytes:
            self._frames.popitem(last=False)

    def _total(self) -> int:
        return self.nbytes + self.device_nbytes


@dataclass(frozen=True, eq=False)
class Found:
    """The scene of a frame, and how it was come by.

    Attributes:
        scene: The scene.
        ms: Time spent on its regions, ms; 0 where they were known.
        reused: Whether the regions are those of an earlier frame that looks the same.
        fault: Why there is no depth though the camera has it; empty where nothing is wrong.
    """

    scene: Scene
    ms: float = 0.0
    reused: bool = False
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Seen:
    """A camera's frame that was encoded last: its blocks, and what it is kept under."""

    looks: np.ndarray
    key: bytes


class Scenes:
    """Makes the scenes of frames. For one thread only.

    Attributes:
        kept: The encoded frames.
        count: How many frames were encoded.
    """

    def __init__(self, kept: KeptFrames, static_threshold: float = 0.0) -> None:
        """Make scenes, with the regions of an earlier frame where a camera sees no change.

        Args:
            kept: Where encoded frames are kept.
            static_threshold: A frame that differs by less from the one of its camera encoded last
                has that one's regions, grey levels, see likeness.py; 0 for never.
        """
        self.kept = kept
        self.count = 0
        self._static_threshold = static_threshold
        self._last_seen: dict[str, Seen] = {}
        self._last: tuple[Source, Found] | None = None

    def of(self, model: Model, frame: Source) -> Found:
        """Return the scene of a frame with all its regions.

        Raises:
            BadImage: The frame's image cannot be used.
        """
        return self._find(model, frame, lambda: model.encode(frame.rgb))

    def about(
        self, model: Model, frame: Source, texts: Sequence[str], negatives: Sequence[str]
    ) -> Found:
        """Return a new frame's scene with the regions that the texts speak of.

        A frame that is known has all its regions.

        Raises:
            BadImage: The frame's image cannot be used.
            BadText: A text cannot be used.
        """
        return self._find(model, frame, lambda: model.encode_for(frame.rgb, texts, negatives))

    def _find(self, model: Model, frame: Source, encode: Callable[[], Scene]) -> Found:
        key, ms, reused = frame.key, 0.0, False
        looks = self._looks(frame)
        encoded = self.kept.get(key)
        if encoded is None and looks is not None and (resting := self._resting(frame, looks)):
            key, reused = resting, True
            encoded = self.kept.get(key)
        start = time.perf_counter()
        if encoded is None:
            encoded = encode().encoded
            self.count += 1
            if looks is not None:
                self._last_seen[frame.header.camera] = Seen(looks, key)
            ms = 1e3 * (time.perf_counter() - start)
        elif not encoded.complete:
            encoded = model.complete(Scene(Observation(frame.rgb), encoded)).encoded
            ms = 1e3 * (time.perf_counter() - start)
        self.kept.put(key, encoded)
        return self._found(frame, encoded, ms, reused)

    def _found(self, frame: Source, encoded: EncodedFrame, ms: float, reused: bool) -> Found:
        """Return the scene of a frame, the same one where it was asked about last too."""
        if self._last is not None and self._last[0] is frame:
            last = self._last[1]
            # Depth that was missed may have come since.
            if last.scene.encoded is encoded and not last.fault:
                return Found(last.scene, ms, reused, last.fault)
        observation, space, fault = frame.observe()
        found = Found(Scene(observation, encoded, space), ms, reused, fault)
        self._last = (frame, found)
        return found

    def trim(self, most_bytes: int) -> None:
        """Forget the masks and shapes made last where they take more than this."""
        if self._last is not None and self._last[1].scene.made_nbytes > most_bytes:
            self._last = None

    def _looks(self, frame: Source) -> np.ndarray | None:
        if not self._static_threshold or not frame.is_live:
            return None
        return blocks(frame.rgb)

    def _resting(self, frame: Source, looks: np.ndarray) -> bytes | None:
        """Return the key of the camera's last encoded frame, where this one looks the same.

        The comparison is with the frame that was encoded, not with the last one: drift adds up.
        """
        seen = self._last_seen.get(frame.header.camera)
        if seen is None or (encoded := self.kept.get(seen.key)) is None:
            return None
        if encoded.image_size != frame.rgb.shape[:2]:
            return None
        return seen.key if difference(seen.looks, looks) < self._static_threshold else None

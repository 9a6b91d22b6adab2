"""The bundled recording: frames of an RGB-D camera, and the truth about what they show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.image import message_to_cvimage
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from textregion_ros.core.boxes import Box

TRUTH_TOPIC = "/object_masks"
_STORE = get_typestore(Stores.ROS2_HUMBLE)


@dataclass(frozen=True)
class RecordedObject:
    """An object in one frame.

    Attributes:
        id: Its pixels are those of the frame's `masks` that equal it.
        category: Such as "mug".
        colour: Such as "blue".
        box: x y w h, px.
    """

    id: int
    category: str
    colour: str
    box: Box

    @property
    def name(self) -> str:
        """Colour and category, such as "blue mug"."""
        return f"{self.colour} {self.category}"


@dataclass(frozen=True, eq=False)
class RecordedFrame:
    """One frame.

    Attributes:
        stamp: Of every header, ns.
        messages: CDR bytes by topic.
        objects: What is in the view.
    """

    stamp: int
    messages: dict[str, bytes]
    objects: tuple[RecordedObject, ...]

    @cached_property
    def rgb(self) -> np.ndarray:
        """The colour image, uint8 H×W×3."""
        return self._image("/image", "rgb8")

    @cached_property
    def masks(self) -> np.ndarray:
        """The id of the object seen at each pixel, uint8 H×W, 0 for the room."""
        return self._image(TRUTH_TOPIC, "mono8")

    def _image(self, topic: str, encoding: str) -> np.ndarray:
        message: Any = _STORE.deserialize_cdr(self.messages[topic], "sensor_msgs/msg/Image")
        return message_to_cvimage(message, encoding)


@dataclass(frozen=True, eq=False)
class Recording:
    """Frames of a camera.

    Attributes:
        frames: In order.
        topics: The message type of every topic, such as sensor_msgs/msg/Image.
    """

    frames: tuple[RecordedFrame, ...]
    topics: dict[str, str]

    def at(self, stamp: int) -> RecordedFrame | None:
        """Return the frame of that stamp, ns; None where there is none."""
        return next((frame for frame in self.frames if frame.stamp == stamp), None)


def load_recording(folder: Path | None = None) -> Recording:
    """Read the bundled recording, or one that `python -m training.recording` wrote."""
    folder = folder or Path(str(files("textregion_ros.app.tabletop")))
    messages: dict[int, dict[str, bytes]] = {}
    with Reader(folder) as bag:
        topics = {connection.topic: connection.msgtype for connection in bag.connections}
        for connection, stamp, data in bag.messages():
            messages.setdefault(stamp, {})[connection.topic] = bytes(data)
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    frames = tuple(
        RecordedFrame(entry["stamp"], messages[entry["stamp"]], _objects(entry))
        for entry in truth["frames"]
    )
    return Recording(frames, topics)


def _objects(entry: dict) -> tuple[RecordedObject, ...]:
    return tuple(
        RecordedObject(item["id"], item["category"], item["colour"], tuple(item["box"]))
        for item in entry["objects"]
    )

"""The demo's recording: one tabletop seen by a moving RGB-D camera, as an MCAP bag.

    python -m training.recording --seed 42 --out textregion_ros/app/tabletop

writes `tabletop.mcap` (/image rgb8, /depth 16UC1 in millimetres, /camera_info, and
/object_masks mono8 with the ids of the objects), its `metadata.yaml`, and `truth.json`, which
lists for every stamp the camera and the objects with their boxes. The same seed always gives
the same recording.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from training.scenes import (
    SIZE,
    Scene,
    describe,
    draw_free_spot,
    draw_light,
    draw_room,
    make_world,
    paint,
)
from training.world import Camera, World, look_at

# One held-out pair (blue mug), and both a colour and a category that two objects share.
CAST = (
    ("blue", "mug"),
    ("red", "mug"),
    ("red", "plate"),
    ("yellow", "ring"),
    ("green", "book"),
    ("orange", "bowl"),
)
SECONDS, RATE = 3.5, 4
START = 1_760_000_000
FRAME_ID = "camera_color_optical_frame"
TOPICS = {
    "/image": "sensor_msgs/msg/Image",
    "/depth": "sensor_msgs/msg/Image",
    "/camera_info": "sensor_msgs/msg/CameraInfo",
    "/object_masks": "sensor_msgs/msg/Image",
}
MARGIN = 12
LEAST_VISIBLE = 0.97
ATTEMPTS = 200

Placed = dict[int, tuple[np.ndarray, float]]


def camera_path(count: int) -> list[Camera]:
    """Cameras that swing round the table, rise and come nearer, slow at both ends."""
    focal = SIZE[1] / 2 / np.tan(np.radians(45) / 2)
    target = np.array([0.0, 0.0, 0.03])
    cameras = []
    for share in (1 - np.cos(np.linspace(0, np.pi, count))) / 2:
        azimuth = np.radians(-28 + 56 * share)
        elevation = np.radians(40 + 8 * np.sin(np.pi * share))
        away = [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)]
        eye = target + (0.82 - 0.08 * share) * np.array([*away, np.sin(elevation)])
        cameras.append(look_at(eye, target, focal, SIZE))
    return cameras


def set_table(world: World, cameras: list[Camera], rng: Generator) -> tuple[Placed, dict[int, str]]:
    """Draw light, room and places until each camera sees every object of CAST whole.

    Returns where the slots stand and their colours. Raises RuntimeError after ATTEMPTS draws.
    """
    draw_light(world, rng)
    draw_room(world, rng)
    pairs = _paint_cast(world, rng)
    for _ in range(ATTEMPTS):
        placed = _place_cast(world, cameras[len(cameras) // 2], list(pairs), rng)
        if placed and all(_sees_all(world, camera, placed) for camera in cameras):
            return placed, pairs
    raise RuntimeError(f"no arrangement in {ATTEMPTS} has every object in view: try another seed")


def _paint_cast(world: World, rng: Generator) -> dict[int, str]:
    pairs: dict[int, str] = {}
    for colour, category in CAST:
        slots = [i for i, s in enumerate(world.slots) if s.category == category and i not in pairs]
        index = int(rng.choice(slots))
        paint(world, world.slots[index], colour, rng)
        pairs[index] = colour
    return pairs


def _place_cast(world: World, camera: Camera, indices: list[int], rng: Generator) -> Placed | None:
    placed: Placed = {}
    for index in indices:
        spot = draw_free_spot(world, camera, placed, index, rng)
        if spot is None:
            return None
        placed[index] = spot
    return placed


def _sees_all(world: World, camera: Camera, placed: Placed) -> bool:
    world.arrange(placed)
    together = world.slot_image(camera)
    inner = together[MARGIN:-MARGIN, MARGIN:-MARGIN]
    for index in placed:
        pixels = (together == index).sum()
        if pixels != (inner == index).sum():
            return False
        world.show([index])
        if pixels < LEAST_VISIBLE * (world.slot_image(camera) == index).sum():
            return False
    return True


def film(seed: int) -> Iterator[Scene]:
    """The recording's frames, in order; only the camera moves."""
    world, rng = make_world(seed, 0), default_rng([seed, 3])
    cameras = camera_path(round(SECONDS * RATE))
    try:
        placed, pairs = set_table(world, cameras[:: RATE // 2] + cameras[-1:], rng)
        for camera in cameras:
            world.show(())
            table = world.table_image(camera)
            world.arrange(placed)
            colour, depth, slots = world.render(camera)
            objects, masks = describe(world, camera, placed, pairs, slots)
            yield Scene(colour, depth, masks, table, camera, objects)
    finally:
        world.close()


class BagWriter:
    """Writes frames as the messages of an RGB-D camera into a bag, in zstd chunks."""

    def __init__(self, folder: Path) -> None:
        """The folder must not exist; its name is the bag's."""
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._writer = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)

    def __enter__(self) -> BagWriter:
        self._writer.open()
        add = self._writer.add_connection
        self._connections = {
            topic: add(topic, kind, typestore=self._store) for topic, kind in TOPICS.items()
        }
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def write(self, stamp: int, scene: Scene) -> None:
        """Write one frame; stamp in nanoseconds."""
        depth = np.rint(scene.depth * 1000).astype("<u2")
        self._send("/image", stamp, self._image(stamp, "rgb8", scene.colour))
        self._send("/depth", stamp, self._image(stamp, "16UC1", depth))
        self._send("/camera_info", stamp, self._info(stamp, scene.camera))
        masks = scene.masks.astype(np.uint8)
        self._send("/object_masks", stamp, self._image(stamp, "mono8", masks))

    def _send(self, topic: str, stamp: int, message: object) -> None:
        data = self._store.serialize_cdr(message, TOPICS[topic])
        self._writer.write(self._connections[topic], stamp, data)

    def _make(self, kind: str, **fields: object) -> object:
        return self._store.types[kind](**fields)

    def _header(self, stamp: int) -> object:
        seconds, nanoseconds = divmod(stamp, 1_000_000_000)
        time = self._make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        return self._make("std_msgs/msg/Header", stamp=time, frame_id=FRAME_ID)

    def _image(self, stamp: int, encoding: str, pixels: np.ndarray) -> object:
        data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
        return self._make(
            "sensor_msgs/msg/Image",
            header=self._header(stamp),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=data.size // pixels.shape[0],
            data=data,
        )

    def _info(self, stamp: int, camera: Camera) -> object:
        whole = self._make(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        )
        return self._make(
            "sensor_msgs/msg/CameraInfo",
            header=self._header(stamp),
            height=camera.height,
            width=camera.width,
            distortion_model="plumb_bob",
            d=np.zeros(5),
            k=camera.matrix.ravel(),
            r=np.eye(3).ravel(),
            p=np.hstack([camera.matrix, np.zeros((3, 1))]).ravel(),
            binning_x=0,
            binning_y=0,
            roi=whole,
        )


def describe_frame(stamp: int, scene: Scene) -> dict:
    """The truth about one frame: boxes x y w h in pixels, poses in the camera's optical frame."""
    turn = Rotation.from_matrix(scene.camera.rotation).as_quat()
    return {
        "stamp": stamp,
        "camera": {
            "position": scene.camera.position.round(6).tolist(),
            "quaternion": turn.round(6).tolist(),
        },
        "objects": [
            {**asdict(item), "box": _box(scene.masks == item.id)} for item in scene.objects
        ],
    }


def _box(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]


def record(seed: int, out: Path) -> None:
    """Write the recording into a folder, which is made if need be; the bag gets its name."""
    frames = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / out.name
        with BagWriter(folder) as bag:
            scenes = tqdm(film(seed), "frames", total=round(SECONDS * RATE))
            for number, scene in enumerate(scenes):
                stamp = START * 1_000_000_000 + number * 1_000_000_000 // RATE
                bag.write(stamp, scene)
                frames.append(describe_frame(stamp, scene))
        truth = {"seed": seed, "frames": frames}
        (folder / "truth.json").write_text(json.dumps(truth, separators=(",", ":")) + "\n")
        out.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            shutil.move(path, out / path.name)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder, made if need be")
    args = parser.parse_args()
    record(args.seed, args.out.resolve())


if __name__ == "__main__":
    main()

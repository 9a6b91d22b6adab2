"""Rendered scenes packed into two arrays that training reads at random."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

ROOM, TABLE, FIRST_OBJECT = 0, 1, 2


@dataclass(frozen=True)
class PackedScenes:
    """All scenes of a folder in two memory maps.

    `colour` is N×H×W×3 uint8 RGB. `regions` is N×H×W uint8: 0 the room, 1 the table,
    i + 1 the object with id i. `objects[n]` is scene n's list from scenes.json.
    """

    colour: np.ndarray
    regions: np.ndarray
    objects: list[list[dict]]

    def __len__(self) -> int:
        return len(self.objects)


def load(folder: Path) -> PackedScenes:
    """Read a folder made by training.scenes; the first time, pack it."""
    scenes = json.loads((folder / "scenes.json").read_text())
    count, size = len(scenes["scenes"]), (scenes["height"], scenes["width"])
    if not (folder / "regions.npy").exists():
        _pack(folder, scenes["scenes"], size)
    colour = np.load(folder / "colour.npy", mmap_mode="r")
    regions = np.load(folder / "regions.npy", mmap_mode="r")
    if len(regions) != count:
        raise ValueError(f"{folder} was packed with {len(regions)} scenes and now has {count}")
    return PackedScenes(colour, regions, [scene["objects"] for scene in scenes["scenes"]])


def _pack(folder: Path, scenes: list[dict], size: tuple[int, int]) -> None:
    create = np.lib.format.open_memmap
    colour = create(folder / "colour.npy", "w+", np.uint8, (len(scenes), *size, 3))
    regions = create(folder / "regions.part.npy", "w+", np.uint8, (len(scenes), *size))
    for index, scene in enumerate(tqdm(scenes, "pack")):
        colour[index] = cv2.imread(str(folder / scene["colour"]))[..., ::-1]
        masks = cv2.imread(str(folder / scene["masks"]), cv2.IMREAD_UNCHANGED)
        table = cv2.imread(str(folder / scene["table"]), cv2.IMREAD_UNCHANGED) > 0
        regions[index] = np.where(masks > 0, masks + FIRST_OBJECT - 1, table)
    # Renamed last, so that a broken run leaves nothing that looks whole.
    (folder / "regions.part.npy").rename(folder / "regions.npy")

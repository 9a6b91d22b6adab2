"""Scenes of the second generator on disk."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from numpy.random import default_rng
from tqdm import trange

from training.second_world.stage import SIZE, make_scene


def write_scene(seed: int, number: int, out: Path) -> dict:
    """Render one scene, write its pictures, and return its entry in scenes.json."""
    colour, masks, objects = make_scene(default_rng([seed, number]))
    stem = f"{number:05d}"
    cv2.imwrite(str(out / f"{stem}_colour.png"), colour[..., ::-1])
    cv2.imwrite(str(out / f"{stem}_masks.png"), masks)
    return {
        "number": number,
        "colour": f"{stem}_colour.png",
        "masks": f"{stem}_masks.png",
        "objects": objects,
    }


def write_scenes(seed: int, count: int, out: Path) -> None:
    """Write `count` scenes and their scenes.json into a folder, which is made if need be."""
    out.mkdir(parents=True, exist_ok=True)
    entries = [write_scene(seed, number, out) for number in trange(count, desc="scenes")]
    index = {"seed": seed, "width": SIZE[0], "height": SIZE[1], "scenes": entries}
    (out / "scenes.json").write_text(json.dumps(index))

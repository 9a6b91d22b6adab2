"""Render tabletops of the second generator.

    python -m training.second_world --seed 5 --count 60 --out scenes/second

writes, for scene k, `k_colour.png`, `k_masks.png` (16-bit: i the object with id i, else 0) and one
`scenes.json`, as training.scenes does. The same seed gives the same scenes, whatever the count.
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write_scenes(args.seed, args.count, args.out)


if __name__ == "__main__":
    main()

"""Render tabletops of the second generator.

    python -m training.second_world --seed 5 --count 60 --out scenes/second

writes, for scene k, `k_colour.png`, `k_masks.png` (16-bit: i the object with id i, else 0) and one
`scenes.json`, as training.scenes does. The same seed gives the same scenes, whatever the count.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
from numpy.random import default_rng
from tqdm import tqdm

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


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # Spawned, since an OpenGL context does not survive a fork.
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(write_scene, args.seed, k, args.out) for k in range(args.count)]
        entries = [job.result() for job in tqdm(jobs, "scenes")]
    index = {"seed": args.seed, "width": SIZE[0], "height": SIZE[1], "scenes": entries}
    (args.out / "scenes.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()

"""Render tabletops of the second generator.

    python -m training.second_world --seed 5 --count 60 --out scenes/second

writes, for scene k, `k_colour.png`, `k_masks.png` (16-bit: i the object with id i, else 0) and one
`scenes.json`, as training.scenes does. The same seed gives the same scenes, whatever the count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.second_world.files import write_scenes


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

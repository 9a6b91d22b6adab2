"""Copy rendered scenes without depth and table, colour as JPEG: the accuracy test's data.

python -m training.scenes --seed 424242 --count 24 --out scenes/small
python -m training.shrink --scenes scenes/small --out test/data/scenes
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import cv2

QUALITY = 93


def shrink(scenes: Path, out: Path) -> None:
    """Write the small copy, with a scenes.json that training.evaluate reads."""
    out.mkdir(parents=True, exist_ok=True)
    index = json.loads((scenes / "scenes.json").read_text())
    for entry in index["scenes"]:
        picture = cv2.imread(str(scenes / entry["colour"]))
        del entry["depth"], entry["table"]
        entry["colour"] = f"{entry['number']:02d}_colour.jpg"
        cv2.imwrite(str(out / entry["colour"]), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        masks = f"{entry['number']:02d}_masks.png"
        shutil.copyfile(scenes / entry["masks"], out / masks)
        entry["masks"] = masks
    (out / "scenes.json").write_text(json.dumps(index, indent=1))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    shrink(args.scenes, args.out)


if __name__ == "__main__":
    main()

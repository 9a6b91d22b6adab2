"""Measure the demo profile on fresh scenes and write training/REPORT.md.

python -m training.scenes --seed 20261122 --count 200 --out scenes/test
python -m training.report --scenes scenes/test
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from textregion_ros.regions import TextRegion
from training.evaluate import VISIBLE, Answer, Evaluation, evaluate, read_scenes

HERE = Path(__file__).parent
WORST = 10


def write_report(result: Evaluation, profile: str) -> str:
    """The report as Markdown."""
    seen = [a for a in result.answers if not a.held_out]
    held_out = [a for a in result.answers if a.held_out]
    lines = [
        "# What the demo models can do",
        "",
        "Made by `python -m training.report`; do not edit. One query for every object that is "
        f"unique in its scene and at least {VISIBLE:.0%} visible, such as “a red mug”, through "
        "the whole pipeline. An answer is right when its mask has IoU ≥ 0.5 with the object's "
        "visible mask. Nothing of these scenes was trained on, and the held-out pairs of colour "
        "and category never were.",
        "",
        f"Profile `{profile}`, {len({a.scene for a in result.answers})} scenes.",
        "",
        "| measure | objects | figure | aim |",
        "|---|---|---|---|",
        _row("right, all pairs", len(result.answers), result.accuracy(), "≥ 85 %"),
        _row("right, trained pairs", len(seen), result.accuracy(seen), ""),
        _row("right, held-out pairs", len(held_out), result.accuracy(held_out), "≥ 65 %"),
        _row("some region fits (proposals)", len(result.answers), result.recall(), ""),
        f"| AUROC, present against absent pairs | {len(result.present)} / {len(result.absent)} "
        f"| {result.auroc():.3f} | ≥ 0.90 |",
        f"| median encoding time, s | | {np.median(result.encode_s):.2f} | |",
        "",
        *_breakdown(result, "category"),
        *_breakdown(result, "colour"),
        f"## The {WORST} worst",
        "",
        "Wrong answers about the objects best seen: green is the object asked for, red the answer.",
        "",
    ]
    for number, answer in enumerate(worst(result), 1):
        lines += [
            f"{number}. “a {answer.colour} {answer.category}”, scene {answer.scene}: "
            f"IoU {answer.iou:.2f}, best region {answer.best_iou:.2f}, "
            f"score {answer.score:.2f}",
            "",
            f"   ![](report/worst_{number:02d}.jpg)",
            "",
        ]
    return "\n".join(lines)


def worst(result: Evaluation) -> list[Answer]:
    """The wrong answers about the objects that are best seen."""
    wrong = [a for a in result.answers if not a.right]
    return sorted(wrong, key=lambda a: (-a.visible, a.iou))[:WORST]


def _row(name: str, count: int, share: float, aim: str) -> str:
    return f"| {name} | {count} | {share:.1%} | {aim} |"


def _breakdown(result: Evaluation, field: str) -> list[str]:
    rows = [
        f"| {name} | {len(group)} | {result.accuracy(group):.0%} "
        f"| {np.mean([a.best_iou >= 0.5 for a in group]):.0%} |"
        for name, group in result.by(field).items()
    ]
    header = [f"## By {field}", "", f"| {field} | objects | right | some region fits |"]
    return [*header, "|---|---|---|---|", *rows, ""]


def draw_worst(result: Evaluation, scenes: Path, folder: Path) -> None:
    """Pictures of the worst answers."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("worst_*.jpg"):
        old.unlink()
    wanted = dict(enumerate(worst(result), 1))
    numbers = {answer.scene for answer in wanted.values()}
    pictures = {s.number: s for s in read_scenes(scenes) if s.number in numbers}
    for number, answer in wanted.items():
        scene = pictures[answer.scene]
        picture = np.ascontiguousarray(scene.rgb[..., ::-1])
        truth = (scene.masks == answer.object_id).astype(np.uint8)
        outline, _ = cv2.findContours(truth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outline, -1, (0, 255, 0), 2)
        if answer.box:
            x, y, w, h = answer.box
            cv2.rectangle(picture, (x, y), (x + w, y + h), (0, 0, 255), 2)
        path = folder / f"worst_{number:02d}.jpg"
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--profile", default="demo", help="a bundled profile or a profile file")
    parser.add_argument("--out", type=Path, default=HERE / "REPORT.md")
    args = parser.parse_args()
    model = TextRegion.from_profile(args.profile, device="cpu")
    result = evaluate(model, tqdm(read_scenes(args.scenes), "scenes"))
    draw_worst(result, args.scenes, args.out.parent / "report")
    args.out.write_text(write_report(result, args.profile))
    print("\n".join(line for line in args.out.read_text().splitlines() if line.startswith("|")))


if __name__ == "__main__":
    main()

"""Measure the demo profile and write training/REPORT.md, with pictures of its failures.

    python -m training.report --own scenes/test --second scenes/second
        --photographs training/photographs/test.json --pictures photographs

Own scenes are made by training.scenes with a seed of their own; the second generator's share no
code with them (training/second_world). The photographs are named in the .json with where they are
from, and have to be put into one folder.
"""

from __future__ import annotations

import argparse
import math
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from textregion_ros.evaluation.questions import Observation, observe, read_questions
from textregion_ros.regions import TextRegion
from training.evaluate import read_scenes
from training.judge import REWORDED, Verdict, judge, scene_observations

HERE = Path(__file__).parent
WORST = 6
UNKNOWN_WORDS = ("unicorn", "giraffe", "astronaut", "quokka", "samovar", "sousaphone")
"""Words that were never taught, asked with and without a colour."""
ROWS = (
    ("present phrases asked", "present", ""),
    ("some region fits", "fits", "%"),
    ("right: the best region is the right one", "right", "%"),
    ("right, held-out pairs", "held_out", "%"),
    ("right, in other words (“cup”, “crimson mug”, “mug that is red”)", "reworded", "%"),
    ("found rightly, at the threshold", "found", "%"),
    ("found elsewhere", "elsewhere", "%"),
    ("missed", "missed", "%"),
    ("absent phrases asked", "absent", ""),
    ("AUROC, present against absent", "auroc", ".3f"),
    ("expected calibration error", "error", ".3f"),
)
FALSE_ROWS = (
    ("false finds among absent phrases", "all"),
    ("… of a kind that is there, in another colour or form", "near"),
    ("… of kinds that are not there", "far"),
    ("… of things of ImageNet, on a table", "thing"),
)

PHOTOGRAPHS = "photographs"


def measure(model: TextRegion, args: argparse.Namespace) -> dict[str, list[Observation]]:
    """All answers, by set."""
    sets = {}
    for name, folder in (("own generator", args.own), ("second generator", args.second)):
        if folder:
            scenes = islice(read_scenes(folder), args.count)
            sets[name] = list(scene_observations(model, scenes, folder))
    if args.photographs:
        sets[PHOTOGRAPHS] = list(observe(model, read_questions(args.photographs, args.pictures)))
    return sets


def unknown_share(model: TextRegion) -> float:
    """The share of texts with a word that was never taught of which that word is told."""
    texts = [f"{colour}{word}" for word in UNKNOWN_WORDS for colour in ("", "red ", "the blue ")]
    return float(np.mean([bool(model.encoder.text.unknown(text)) for text in texts]))


def write_report(sets: dict[str, list[Observation]], model: TextRegion, profile: str) -> str:
    """The report as Markdown."""
    threshold = model.profile.threshold
    verdicts = {name: judge(seen, threshold) for name, seen in sets.items()}
    head = " | ".join(verdicts)
    lines = [
        "# What the demo models can do",
        "",
        "Made by `python -m training.report`; do not edit. Every phrase goes through the whole "
        "pipeline. An answer is right when its region has IoU ≥ 0.5 with what was asked for: its "
        "mask with the visible mask in rendered scenes, its box with the box in photographs. "
        "Nothing of these scenes and photographs was trained, tuned or chosen on.",
        "",
        f"Profile `{profile}`, threshold {threshold:g}. Of texts with a word that was never taught,"
        f" {unknown_share(model):.0%} are told apart by their words; such a text is not found.",
        "",
        f"| | {head} |",
        "|---" * (len(verdicts) + 1) + "|",
        *(
            f"| {title} | {' | '.join(cell(getattr(v, name), form) for v in verdicts.values())} |"
            for title, name, form in ROWS
        ),
        *(
            f"| {title} | "
            + " | ".join(cell(v.false_finds.get(kind, math.nan), "%") for v in verdicts.values())
            + " |"
            for title, kind in FALSE_ROWS
        ),
        "",
    ]
    for name, seen in sets.items():
        lines += breakdown(seen, name, verdicts[name])
    lines += ["## Failures", "", "Green is what was asked for, red the answer.", ""]
    for name, seen in sets.items():
        if name == PHOTOGRAPHS:  # they are others', and not shown here
            continue
        for number, one in enumerate(worst(seen), 1):
            what = f"“{one.question.text}”, {name}, score {one.score:.2f}"
            lines += [f"{what}{'' if one.fits else ', no region fits'}", ""]
            lines += [f"![](report/{slug(name)}_{number}.jpg)", ""]
    return "\n".join(lines)


def cell(value: float, form: str) -> str:
    """A figure as it stands in a table."""
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if form == "%":
        return f"{value:.1%}"
    return format(value, form) if form else str(value)


def breakdown(seen: list[Observation], name: str, verdict: Verdict) -> list[str]:
    """How often each noun is right, of scenes; nothing of photographs, where each is asked once."""
    if name == PHOTOGRAPHS:
        wrong = [one.question.text for one in seen if one.question.present and not one.right]
        return [f"Photographs, wrong: {', '.join(wrong)}.", ""]
    rows: dict[str, list[Observation]] = {}
    for one in seen:
        if one.question.present and one.question.kind != REWORDED:
            rows.setdefault(one.question.text.split()[-1], []).append(one)
    return [
        f"## {name.capitalize()}, by category",
        "",
        "| category | asked | right | some region fits |",
        "|---|---|---|---|",
        *(
            f"| {noun} | {len(some)} | {np.mean([o.right for o in some]):.0%} "
            f"| {np.mean([o.fits for o in some]):.0%} |"
            for noun, some in sorted(rows.items())
        ),
        "",
    ]


def slug(name: str) -> str:
    """A set's name in file names."""
    return name.replace(" ", "_")


def worst(seen: list[Observation]) -> list[Observation]:
    """The wrong answers of the highest scores, about things that are there."""
    asked = [one for one in seen if one.question.present and one.question.kind != REWORDED]
    wrong = [one for one in asked if not one.right]
    return sorted(wrong, key=lambda one: -one.score)[:WORST]


def draw_failures(sets: dict[str, list[Observation]], folder: Path) -> None:
    """Pictures of the worst answers."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    for name, seen in sets.items():
        if name == PHOTOGRAPHS:
            continue
        for number, one in enumerate(worst(seen), 1):
            path = one.picture
            if not path.suffix:
                path = path.with_name(f"{path.name}_colour.png")
            picture = cv2.imread(str(path))
            line = max(2, picture.shape[1] // 320)
            for boxes, colour in ((one.question.boxes, (0, 255, 0)), ([one.box], (0, 0, 255))):
                for x, y, w, h in filter(None, boxes):
                    cv2.rectangle(picture, (x, y), (x + w, y + h), colour, line)
            scale = 480 / picture.shape[1]
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            file = folder / f"{slug(name)}_{number}.jpg"
            cv2.imwrite(str(file), small, [cv2.IMWRITE_JPEG_QUALITY, 85])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--own", type=Path, help="a folder of training.scenes")
    parser.add_argument("--second", type=Path, help="a folder of training.second_world")
    parser.add_argument("--photographs", type=Path, default=HERE / "photographs" / "test.json")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="scenes of a folder, at most")
    parser.add_argument("--profile", default="demo", help="a bundled profile or a profile file")
    parser.add_argument("--out", type=Path, default=HERE / "REPORT.md")
    args = parser.parse_args()
    model = TextRegion.from_profile(args.profile, device="cpu")
    sets = measure(model, args)
    draw_failures(sets, args.out.parent / "report")
    args.out.write_text(write_report(sets, model, args.profile))
    print("\n".join(line for line in args.out.read_text().splitlines() if line.startswith("|")))


if __name__ == "__main__":
    main()

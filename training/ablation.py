"""What region tokens buy: accuracy and time against other ways to use the same frozen encoder.

    python -m training.scenes --seed 20261122 --count 200 --out scenes/test
    python -m training.ablation --scenes scenes/test --out docs/ablation

Writes a table (README.md, ablation.csv) and a plot (ablation.svg) into the folder.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from textregion_ros.core.results import Grounding
from textregion_ros.core.scene import Scene
from textregion_ros.regions import TextRegion
from training.evaluate import (
    FOUND_IOU,
    PAIRS,
    VISIBLE,
    Evaluation,
    LabelledScene,
    evaluate,
    read_scenes,
)
from training.variants import GRIDS, MARGIN, make_variants

RESAMPLES = 2000
EXPLAINED = {
    "region tokens": "the profile as it is",
    "tokens with global-patch removal": "the published patch filter, which the profile leaves out",
    "tokens without global-patch removal": "without the published patch filter",
    "tokens of the whole view only": "no multi-resolution: the encoder sees the picture once, "
    "and its values are enlarged to the same grid",
    "tokens of the windows only": "no multi-resolution: the encoder sees windows only",
    "crops": f"each region's box, {MARGIN:g} times as wide and high, encoded as a picture",
    "crops on grey": "the same with the encoder's mean colour around the region's mask",
    "dense, against the negatives": "no regions: the part around the best pixel where the text "
    "beats every negative",
    "dense, best of all names": "no regions: the largest part of the pixels whose best text this "
    "is of all 112 and the negatives; it alone knows all names",
    **{f"tokens, {side}×{side} points": f"SAM2 prompted at {side * side} points" for side in GRIDS},
}


@dataclass(frozen=True)
class Row:
    """One variant's figures; shares in 0..1, intervals 95 %, times in ms.

    `gain` is the share of right answers less that of the first variant. `fits` is the share of
    objects that some region fits, nan without regions. `frame_ms` is the median per picture, of
    which `sam2_ms` in SAM2; `sentence_ms` that of one of 112 sentences whose text is known.
    """

    variant: str
    right: float
    right_low: float
    right_high: float
    held_out: float
    gain: float
    gain_low: float
    gain_high: float
    fits: float
    auroc: float
    frame_ms: float
    sam2_ms: float
    sentence_ms: float


class Clocked:
    """A variant that is asked as ever, and notes what it takes, ms."""

    def __init__(self, variant: TextRegion) -> None:
        self._variant = variant
        self.stage_ms: list[dict[str, float]] = []
        self.sentence_ms: list[float] = []

    def encode(self, rgb: np.ndarray) -> Scene:
        """As TextRegion.encode."""
        scene = self._variant.encode(rgb)
        self.stage_ms.append(scene.encoded.stage_ms)
        return scene

    def ground(self, scene: Scene, texts: list[str], **options: float) -> list[Grounding]:
        """As TextRegion.ground."""
        start = time.perf_counter()
        answers = self._variant.ground(scene, texts, **options)
        self.sentence_ms.append(1e3 * (time.perf_counter() - start) / len(texts))
        return answers


def run(model: TextRegion, scenes: Iterable[LabelledScene]) -> tuple[list[Row], int]:
    """The figures of every variant on the same scenes, and the number of objects asked for."""
    clocked = {name: Clocked(variant) for name, variant in make_variants(model).items()}
    results = {name: Evaluation([], [], [], []) for name in clocked}
    model.encoder.text([f"a {colour} {category}" for colour, category in PAIRS])
    for scene in scenes:
        for name, variant in clocked.items():
            part = evaluate(variant, [scene])
            for field in ("answers", "present", "absent"):
                getattr(results[name], field).extend(getattr(part, field))
    first = next(iter(results.values()))
    rows = [summarise(name, results[name], first, clocked[name]) for name in results]
    return rows, len(first.answers)


def summarise(name: str, result: Evaluation, first: Evaluation, clock: Clocked) -> Row:
    """One row of the table."""
    right, base = ([a.right for a in r.answers] for r in (result, first))
    groups = [a.scene for a in first.answers]
    total = [sum(stages.values()) for stages in clock.stage_ms]
    sam2 = [sum(v for k, v in s.items() if k.startswith("sam_")) for s in clock.stage_ms]
    return Row(
        name,
        result.accuracy(),
        *interval(right, groups),
        result.accuracy([a for a in result.answers if a.held_out]),
        result.accuracy() - first.accuracy(),
        *interval(np.subtract(right, base, dtype=float), groups),
        result.recall() if any(a.best_iou for a in result.answers) else float("nan"),
        result.auroc(),
        float(np.median(total)),
        float(np.median(sam2)),
        float(np.median(clock.sentence_ms)),
    )


def interval(values: Iterable[float], groups: Iterable[int]) -> tuple[float, float]:
    """95 % interval of the mean, by drawing whole groups (scenes) again with replacement."""
    _, index = np.unique(list(groups), return_inverse=True)
    sums, counts = np.bincount(index, list(values)), np.bincount(index)
    draws = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def tabulate(rows: list[Row], profile: str, scenes: int, objects: int) -> str:
    """The page: what was measured, the table, what the variants are."""
    lines = [
        "# What region tokens buy",
        "",
        "Made by `python -m training.ablation`; do not edit. The same frozen models on the same "
        f"pictures, read in other ways: profile `{profile}`, {scenes} rendered scenes, one query "
        f"for each of the {objects} objects that are unique in their scene and at least "
        f"{VISIBLE:.0%} visible. An answer is right when its mask has IoU ≥ {FOUND_IOU:g} with the "
        "object's visible mask.",
        "",
        f"{describe_machine()}. Times are medians; every variant pays for SAM2 in full, though "
        "it was run once for those that share its masks. Intervals are 95 %, over scenes.",
        "",
        "| variant | right, % | held-out pairs, % | against the first, points "
        "| some region fits, % | AUROC | ms a picture | of it SAM2 | ms a sentence |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [format_row(row) for row in rows]
    lines += ["", "![accuracy against time](ablation.svg)", ""]
    return "\n".join([*lines, *(f"- **{r.variant}**: {EXPLAINED[r.variant]}." for r in rows), ""])


def format_row(row: Row) -> str:
    """One row in Markdown."""
    fits = "–" if np.isnan(row.fits) else f"{100 * row.fits:.1f}"
    gain = f"{100 * row.gain:+.1f} ({100 * row.gain_low:+.1f} … {100 * row.gain_high:+.1f})"
    cells = (
        row.variant,
        f"{100 * row.right:.1f} ({100 * row.right_low:.1f} … {100 * row.right_high:.1f})",
        f"{100 * row.held_out:.1f}",
        gain if row.gain_low or row.gain_high else "–",
        fits,
        f"{row.auroc:.3f}",
        f"{row.frame_ms:.0f}",
        f"{row.sam2_ms:.0f}",
        f"{row.sentence_ms:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def describe_machine() -> str:
    """CPU, cores and threads, in a few words."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"


def plot(rows: list[Row], path: Path) -> None:
    """Accuracy against time, each variant a point with its interval."""
    mpl.rcParams.update({"svg.hashsalt": "ablation", "svg.fonttype": "none"})
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="ms a picture", ylabel="right answers, %")
    for number, row in enumerate(rows, 1):
        error = [[100 * (row.right - row.right_low)], [100 * (row.right_high - row.right)]]
        label = f"{number} {row.variant}"
        marker = "D" if number == 1 else "o"
        axes.errorbar(row.frame_ms, 100 * row.right, error, fmt=marker, capsize=2, label=label)
        where = (row.frame_ms, 100 * row.right)
        axes.annotate(str(number), where, textcoords="offset points", xytext=(5, 4), fontsize=8)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=7, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def write(rows: list[Row], page: str, folder: Path) -> None:
    """README.md, ablation.csv and ablation.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(page, encoding="utf-8")
    with (folder / "ablation.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            figures = {k: f"{v:.4f}" for k, v in asdict(row).items() if isinstance(v, float)}
            writer.writerow({"variant": row.variant, **figures})
    plot(rows, folder / "ablation.svg")


def main() -> None:
    """Run every variant and write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=Path, required=True, help="folder with a scenes.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for table and plot")
    parser.add_argument("--count", type=int, help="only that many scenes, evenly spread")
    parser.add_argument("--profile", default="demo")
    options = parser.parse_args()
    if options.count is not None and options.count < 1:
        parser.error("--count must be at least 1")
    scenes = list(read_scenes(options.scenes))
    if options.count is not None and options.count < len(scenes):
        spread = np.linspace(0, len(scenes) - 1, options.count).round().astype(int)
        scenes = [scenes[index] for index in spread]
    model = TextRegion.from_profile(options.profile, device="cpu")
    rows, objects = run(model, tqdm(scenes, unit="scene"))
    page = tabulate(rows, model.profile.name, len(scenes), objects)
    write(rows, page, options.out)
    print(page)


if __name__ == "__main__":
    main()

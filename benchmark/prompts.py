"""Measure how many points SAM2 has to be asked at, and what fewer cost in right answers.

    python -m benchmark.prompts --scenes DIR

DIR holds scenes made by training.scenes. One table, as CSV and Markdown, in benchmark/results:
for `grid`, `adaptive` and `guided`, the share of right answers, how well present pairs are told
from absent ones (so many of them in every scene), the decoder's rows (one per prompt, for a frame
or, guided, for one sentence) and the time until the first sentence can be answered.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path

import numpy as np

from textregion_ros.core.results import Grounding
from textregion_ros.core.scene import Scene
from textregion_ros.regions import TextRegion, load_profile
from training.evaluate import PAIRS, Evaluation, evaluate, read_scenes

RESULTS = Path(__file__).with_name("results")
SENTENCE = "a {} {}".format(*PAIRS[0])
ABSENT = 12  # pairs asked for in every scene that are not there: guided, each costs a look


@dataclass(frozen=True)
class Row:
    """One setting. Shares and AUROC in %, times in ms, rows of the mask decoder."""

    prompts: str
    scenes: int
    right: float
    right_held_out: float
    auroc: float
    rows_mean: float
    rows_most: int
    rows_share: float
    first_answer_median: float
    first_answer_q1: float
    first_answer_q3: float


class Whole:
    """A model whose decoder rows are counted, for each frame."""

    def __init__(self, model: TextRegion) -> None:
        self.model = model
        self.rows: list[int] = []

    def encode(self, rgb: np.ndarray) -> Scene:
        """As TextRegion.encode."""
        scene = self.model.encode(rgb)
        self.rows.append(scene.encoded.prompts)
        return scene

    def ground(self, scene: Scene, texts: Sequence[str], **options: float) -> list[Grounding]:
        """As TextRegion.ground."""
        return self.model.ground(scene, texts, **options)


class Guided(Whole):
    """A model asked each sentence as if it were the first about the frame, rows for each."""

    def encode(self, rgb: np.ndarray) -> Scene:
        """Get ready for one sentence."""
        return self.model.encode_for(rgb, [SENTENCE])

    def ground(self, scene: Scene, texts: Sequence[str], **options: float) -> list[Grounding]:
        """As TextRegion.ground, each text looked for by itself."""
        answers = []
        for text in texts:
            looked = self.model.look_for(scene, [text])
            self.rows.append(looked.encoded.prompts)
            answers += self.model.ground(looked, [text], **options)
        return answers


def tabulate(name: str, result: Evaluation, rows: list[int], grid_rows: int) -> Row:
    """One row of the table."""
    low, median, high = 1e3 * np.percentile(result.encode_s, (25, 50, 75))
    held_out = [answer for answer in result.answers if answer.held_out]
    return Row(
        prompts=name,
        scenes=len(result.encode_s),
        right=round(100 * result.accuracy(), 1),
        right_held_out=round(100 * result.accuracy(held_out), 1),
        auroc=round(100 * result.auroc(), 2),
        rows_mean=round(float(np.mean(rows)), 1),
        rows_most=max(rows),
        rows_share=round(100 * float(np.mean(rows)) / grid_rows, 1),
        first_answer_median=round(float(median), 1),
        first_answer_q1=round(float(low), 1),
        first_answer_q3=round(float(high), 1),
    )


def measure(profile: str, device: str, scenes: Path, limit: int | None) -> list[Row]:
    """The three settings, one after another, on the same scenes."""
    chosen = load_profile(profile)
    grid_rows = chosen.proposals.points_per_side**2
    table = []
    for name in ("grid", "adaptive", "guided"):
        prompts = "grid" if name == "guided" else name
        proposals = replace(chosen.proposals, prompts=prompts)
        model = TextRegion.from_profile(replace(chosen, proposals=proposals), device)
        model.encode(next(read_scenes(scenes)).rgb)  # the first is slow
        model.ground(model.encode(next(read_scenes(scenes)).rgb), [SENTENCE])
        asked = Guided(model) if name == "guided" else Whole(model)
        result = evaluate(asked, islice(read_scenes(scenes), limit), ABSENT)
        table.append(tabulate(name, result, asked.rows, grid_rows))
    return table


def markdown(table: list[Row]) -> str:
    """The table for people."""
    names = [field.name for field in fields(Row)]
    lines = [names, ["---", *["--:"] * (len(names) - 1)]]
    lines += [[str(value) for value in asdict(row).values()] for row in table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(table: list[Row], stem: Path) -> None:
    """The table as CSV and as Markdown."""
    with stem.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in table)
    stem.with_suffix(".md").write_text(markdown(table), encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="so many scenes; all if left out")
    parser.add_argument("--out", type=Path, default=RESULTS / "prompts", help="without suffix")
    args = parser.parse_args()
    if not (args.scenes / "scenes.json").is_file():
        parser.error(f"{args.scenes} holds no scenes.json")
    table = measure(args.profile, args.device, args.scenes, args.limit)
    write(table, args.out)
    print(markdown(table), end="")


if __name__ == "__main__":
    main()

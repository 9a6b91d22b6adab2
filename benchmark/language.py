"""Measure what a sentence costs to read and to resolve, and write the figures to a file.

    python -m benchmark.language

Reading is without its memory of sentences. Resolving is on a scene of 100 regions with depth, of
which twelve count as found for each noun phrase, whose scores are at hand: it is what a relation
costs beyond the noun phrases. The layout is made once a scene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import typer
from rich.console import Console

from benchmark.__main__ import show
from benchmark.machine import default_name, describe_machine
from benchmark.measure import measure
from benchmark.table import RESULTS, Row, write, write_machine
from textregion_ros.language import parse
from textregion_ros.language.resolving import resolve
from textregion_ros.space.placement import Layout, Placement

REGIONS, FOUND, POINTS = 100, 12, 1500
HEIGHT, WIDTH, FOCAL = 480, 640, 600.0
THRESHOLD = 0.75
SENTENCES = {
    "noun phrase": "the red mug",
    "relation": "the mug left of the red ball",
    "between": "the black bowl between the plate and the ramekin",
    "nested anchors": "the cup next to the bowl on the plate",
    "ordinal": "the second cup from the right",
    "closest to": "the mug closest to the red ball",
    "all but": "all the mugs except the one on the plate",
    "three anchors": "the mug behind the bottle next to the can in front of the box",
    "no phrase": "put the mug on the plate and pour the water into the glass",
}


def make_layout() -> tuple[list[Placement], np.ndarray]:
    """Regions strewn over a picture, with points in space, and the direction up."""
    rng = np.random.default_rng(0)
    placements = []
    for u, v, w, h in rng.integers((0, 0, 20, 20), (540, 380, 100, 100), (REGIONS, 4)).tolist():
        depth = rng.uniform(0.5, 1.5)
        middle = np.array([u + w / 2 - WIDTH / 2, v + h / 2 - HEIGHT / 2, FOCAL]) * depth / FOCAL
        points = (middle + rng.normal(0, 0.03, (POINTS, 3))).astype(np.float32)
        mask = rng.random((h, w)) < 0.7
        placements.append(Placement((u, v, w, h), mask, middle, middle, np.ptp(points, 0), points))
    return placements, np.array([0.0, -0.8, -0.6])


def make_scores() -> Callable[[str], np.ndarray]:
    """Scores of any noun phrase, the same ones whenever it is asked for."""
    known: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)

    def scores(noun: str) -> np.ndarray:
        if noun not in known:
            known[noun] = rng.uniform(0.0, 0.6, REGIONS)
            known[noun][rng.permutation(REGIONS)[:FOUND]] = rng.uniform(0.8, 1.0, FOUND)
        return known[noun]

    return scores


def rows(repeats: int) -> Iterator[Row]:
    """Reading and resolving each sentence, then what a scene costs once."""
    placements, up = make_layout()
    layout, scores = Layout.of(placements, up), make_scores()
    overlaps = layout.overlaps
    for kind, sentence in SENTENCES.items():
        reading = parse(sentence)
        calls = {"read": partial(parse, sentence)}
        calls["resolve"] = partial(resolve, reading, scores, layout, THRESHOLD, overlaps=overlaps)
        for step, call in calls.items():
            row = Row(part="language", profile="", stage=f"{step}: {kind}", texts=1)
            regions = REGIONS if step == "resolve" else 0
            yield replace(row, regions=regions).of(measure(call, repeats))
    once = Row(part="language", profile="", stage="layout of a scene", regions=REGIONS)
    yield once.of(measure(partial(Layout.of, placements, up), max(1, repeats // 10)))


def main(
    repeats: int = typer.Option(300, min=1, help="Timed calls of each figure"),
    name: str = typer.Option("", help="Of the machine; made from its processor if left out"),
) -> None:
    """Measure reading and resolving, and write the figures to benchmark/results/MACHINE/."""
    machine = describe_machine("cpu")
    folder = RESULTS / (name or default_name(machine))
    table: Iterable[Row] = [replace(row, machine=folder.name) for row in rows(repeats)]
    write(folder / "language.csv", table)
    if not (folder / "machine.json").exists():
        write_machine(folder, machine)
    console = Console(width=140)
    console.print(show("language", table))
    console.print(f"written: {folder}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)

"""Measure speed and memory, and write the figures to benchmark/results/MACHINE/.

    python -m benchmark                          all parts; minutes on two cores
    python -m benchmark --device cuda            the same on a GPU
    python -m benchmark --part stages --sizes 640x480 --profiles pe --sam2 large

Every figure is the median of the repeats, with the quartiles as its spread. Parts: `stages` (the
bundled profile at several image sizes), `families` (the large profiles, with random weights where
the released ones are absent), `tokens` and `masks` (beside the formulas as published), `sweeps`
(sentences and regions).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import typer
from rich.console import Console
from rich.table import Table

from benchmark import masks, sweeps, tokens
from benchmark.machine import default_name, describe_machine
from benchmark.models import load
from benchmark.stages import measure_stages
from benchmark.table import RESULTS, Row, write, write_machine
from textregion_ros.core.errors import TextRegionError
from textregion_ros.regions.devices import choose_device

SIZES = "320x240,640x480,1280x720,1920x1080"
FAMILIES = "clip,siglip2,pe"


@dataclass(frozen=True)
class Options:
    """What to measure. sizes: of the camera image, (width, height) px."""

    device: str
    repeats: int
    sizes: list[tuple[int, int]]
    families: list[str]
    sam2: list[str]


def stages(options: Options) -> Iterable[Row]:
    """The bundled profile at every image size."""
    model, _ = load("demo", None, options.device)
    return measure_stages(model, options.sizes, options.repeats)


def families(options: Options) -> Iterable[Row]:
    """The large profiles on a 640×480 image."""
    for name in options.families:
        for sam2 in options.sam2:
            model, _ = load(name, sam2, options.device)
            few = max(1, options.repeats // 10) if options.device == "cpu" else options.repeats
            yield from measure_stages(model, [(640, 480)], few)
            del model  # before the next is built


def token_rows(options: Options) -> Iterable[Row]:
    """The token stage beside its naive form, and over regions × patches."""
    yield from tokens.compare_with_naive(options.repeats, options.device)
    yield from tokens.sweep(options.repeats, options.device)


def mask_rows(options: Options) -> Iterable[Row]:
    """The mask stage of the bundled SAM2 and of SAM2.1, and beside its naive form."""
    yield from masks.measure_masks("demo", "demo", options.repeats, options.device)
    for sam2 in options.sam2:
        yield from masks.measure_masks("siglip2", sam2, options.repeats, options.device)
    yield from masks.compare_with_naive(options.repeats, options.device)


def sweep_rows(options: Options) -> Iterable[Row]:
    """Asking, over sentences and regions."""
    model, _ = load("demo", None, options.device)
    return sweeps.measure_sweeps(model, options.repeats)


PARTS: dict[str, Callable[[Options], Iterable[Row]]] = {
    "stages": stages,
    "tokens": token_rows,
    "masks": mask_rows,
    "sweeps": sweep_rows,
    "families": families,
}


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """Read "640x480,1280x720"; raises typer.BadParameter."""
    try:
        sizes = [tuple(int(side) for side in size.split("x")) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or any(len(size) != 2 or min(size) < 1 for size in sizes):
        raise typer.BadParameter(f"{text!r}: give sizes such as 640x480,1280x720")
    return sizes


def console() -> Console:
    """Wide enough for a table, also where it is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140)


def show(part: str, rows: list[Row]) -> Table:
    """The rows of a part as a table."""
    table = Table(title=part)
    for name in ("profile", "stage", "form", "size", "regions", "tokens", "texts"):
        table.add_column(name)
    for name in ("ms", "q1", "q3", "peak MiB", "value"):
        table.add_column(name, justify="right")
    for row in rows:
        counts = (str(count or "") for count in (row.regions, row.tokens, row.texts))
        figures = (row.median_ms, row.q1_ms, row.q3_ms, row.peak_mib, row.value)
        size = f"{row.width}×{row.height}" if row.width else ""
        table.add_row(
            f"{row.profile} {row.sam2}".strip(),
            row.stage,
            row.form,
            size,
            *counts,
            *("" if value is None else f"{value:.4g}" for value in figures),
        )
    return table


def main(
    part: str = typer.Option(",".join(PARTS), help="Which parts, with commas between them"),
    device: str = typer.Option("cpu", help="auto, cpu, cuda, cuda:1…"),
    repeats: int = typer.Option(10, min=1, help="Timed calls of each figure"),
    sizes: str = typer.Option(SIZES, help="Camera images of `stages`, WIDTHxHEIGHT"),
    profiles: str = typer.Option(FAMILIES, help="Profiles of `families`"),
    sam2: str = typer.Option("tiny", help="Sizes of SAM2.1: tiny,small,base_plus,large"),
    name: str = typer.Option("", help="Of the machine; made from its processor if left out"),
) -> None:
    """Measure speed and memory, and write the figures to benchmark/results/MACHINE/."""
    chosen = part.split(",")
    if unknown := set(chosen) - set(PARTS):
        raise typer.BadParameter(f"no part {', '.join(unknown)}: give some of {', '.join(PARTS)}")
    try:
        place = str(choose_device(device))
    except TextRegionError as error:
        raise typer.BadParameter(str(error)) from error
    options = Options(place, repeats, parse_sizes(sizes), profiles.split(","), sam2.split(","))
    machine = describe_machine(place)
    folder = RESULTS / (name or default_name(machine))
    printer = console()
    for one in chosen:
        rows = [replace(row, part=one, machine=folder.name) for row in PARTS[one](options)]
        write(folder / f"{one}.csv", rows)
        printer.print(show(one, rows))
    write_machine(folder, machine)
    printer.print(f"written: {folder}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)

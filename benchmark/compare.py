"""Print the ratios of two result files, or of two machines' folders.

    python -m benchmark.compare benchmark/results/BEFORE benchmark/results/AFTER

A ratio above 1 says that the second is slower, or takes more memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmark.table import Row, read

# Regions and tokens count only where they were chosen: what an image gives may change.
NAMES = ("part", "profile", "sam2", "stage", "form", "width", "height", "texts")
CHOSEN = ("tokens", "sweeps")


def pairs(before: list[Row], after: list[Row], devices: bool) -> list[tuple[Row, Row]]:
    """Rows of the same work, in the order of the first; across devices unless these must agree."""

    def key(row: Row) -> tuple:
        same = [getattr(row, name) for name in NAMES]
        counts = (row.regions, row.tokens) if row.part in CHOSEN else ()
        return (*same, *counts, row.device if devices else "")

    found = {key(row): row for row in after}
    return [(row, found[key(row)]) for row in before if key(row) in found]


def tabulate(matched: list[tuple[Row, Row]]) -> Table:
    """Times, memory and their ratios."""
    table = Table()
    for name in ("part", "profile", "stage", "form", "size", "regions", "texts"):
        table.add_column(name)
    for name in ("ms", "ms", "ratio", "MiB", "MiB", "ratio"):
        table.add_column(name, justify="right")
    for one, other in matched:
        table.add_row(
            one.part,
            f"{one.profile} {one.sam2}".strip(),
            one.stage,
            one.form,
            f"{one.width}×{one.height}" if one.width else "",
            *(str(count or "") for count in (one.regions, one.texts)),
            *_ratio(one.median_ms, other.median_ms),
            *_ratio(one.peak_mib, other.peak_mib),
        )
    return table


def _ratio(one: float | None, other: float | None) -> tuple[str, str, str]:
    texts = ["" if value is None else f"{value:.4g}" for value in (one, other)]
    return texts[0], texts[1], f"{other / one:.2f}" if one and other is not None else ""


Results = Annotated[Path, typer.Argument(exists=True)]


def main(
    before: Results,
    after: Results,
    same_device: Annotated[bool, typer.Option(help="Leave out what has another device")] = False,
) -> None:
    """Print the ratios of two result files, or of two machines' folders."""
    try:
        rows = read(before), read(after)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    matched = pairs(*rows, same_device)
    if not matched:
        raise typer.BadParameter("the two have no figure of the same work")
    Console().print(tabulate(matched))
    left = len(rows[0]) + len(rows[1]) - 2 * len(matched)
    print(f"{len(matched)} figures of the same work; {left} in one of the two only")


if __name__ == "__main__":
    typer.run(main)

"""Draw the plot of a machine's results, and fill the tables of docs/performance.md from them.

    python -m benchmark.page benchmark/results/MACHINE

Everything between `<!-- NAME -->` and `<!-- end -->` in the page is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmark.plot import draw
from benchmark.table import Row, read, read_machine

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
NOT_MEASURED = "Not measured yet."
STAGES = ("preprocess", "sam_encoder", "views", "sam_decoder", "filter", "fuse", "tokens", "boxes",
          "encode", "text", "score", "mask")  # fmt: skip


def number(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def grid(heads: list[str], lines: list[list[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    if not lines:
        return NOT_MEASURED
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))


def pick(rows: list[Row], part: str, **wanted: object) -> list[Row]:
    """The rows of a part with these values."""
    found = (row for row in rows if row.part == part)
    return [row for row in found if all(getattr(row, k) == v for k, v in wanted.items())]


def crossed(rows: list[Row], head: Callable[[Row], str], figure: Callable[[Row], str]) -> str:
    """Stages down, `head` of the rows across."""
    heads = list(dict.fromkeys(map(head, rows)))
    cells = {(row.stage, head(row)): figure(row) for row in rows}
    stages = [stage for stage in STAGES if any((stage, head) in cells for head in heads)]
    lines = [[stage, *(cells.get((stage, head), "") for head in heads)] for stage in stages]
    return grid(["", *heads], lines)


def spread_text(row: Row) -> str:
    """The median with its quartiles."""
    return f"{number(row.median_ms)} ({number(row.q1_ms)}–{number(row.q3_ms)})"


def machine_table(rows: list[Row], folder: Path) -> str:
    """What was measured on what."""
    facts = read_machine(folder)
    shown = ("cpu", "cores", "threads", "gpu", "load_before", "python", "torch", "date")
    lines = [[name.replace("_", " "), str(facts[name])] for name in shown if facts.get(name)]
    return grid(["", "machine"], lines)


def size(row: Row) -> str:
    """Width × height."""
    return f"{row.width}×{row.height}"


def token_table(rows: list[Row], folder: Path) -> str:
    """Fast and naive token stages."""
    lines = []
    for fast in pick(rows, "tokens", stage="tokens", form="fast"):
        (slow,) = pick(rows, "tokens", stage="tokens", form="naive", profile=fast.profile)
        values = {r.stage: r.value for r in pick(rows, "tokens", profile=fast.profile) if r.value}
        inputs = values.get("input MiB")
        lines.append([
            fast.profile, str(fast.regions), str(fast.tokens), spread_text(fast),
            number(slow.median_ms), f"{slow.median_ms / fast.median_ms:.0f}×",
            f"{values.get('difference', 0.0):.1e}", number(inputs), number(fast.peak_mib),
            number(slow.peak_mib),
        ])  # fmt: skip
    heads = ["", "regions", "patches", "ms", "naive, ms", "ratio", "difference",
             "inputs, MiB", "peak, MiB", "naive peak, MiB"]  # fmt: skip
    return grid(heads, lines)


def mask_table(rows: list[Row], folder: Path) -> str:
    """Filter and fusion beside the decoder."""
    lines = []
    for decoder in pick(rows, "masks", stage="sam_decoder"):
        same = pick(rows, "masks", profile=decoder.profile, sam2=decoder.sam2)
        by = {row.stage: row for row in same}
        encoder, kept, fused = (by[stage] for stage in ("sam_encoder", "filter", "fuse"))
        share = (kept.median_ms + fused.median_ms) / decoder.median_ms
        figures = (row.median_ms for row in (encoder, decoder, kept, fused))
        lines.append([f"{decoder.sam2}", *map(number, figures), f"{100 * share:.1f} %",
                      str(fused.tokens), str(fused.regions)])  # fmt: skip
    heads = ["SAM 2", "encoder, ms", "decoder, ms", "filter, ms", "fuse, ms",
             "of the decoder", "candidates", "regions"]  # fmt: skip
    return grid(heads, lines)


def naive_mask_table(rows: list[Row], folder: Path) -> str:
    """Fusion and sampling beside full-resolution stacks."""
    lines = []
    for name in ("fuse", "sample"):
        found = {row.form: row for row in pick(rows, "masks", stage=f"{name} only")}
        apart = pick(rows, "masks", stage=f"{name} difference")
        if found and apart:
            fast, slow = found["fast"], found["naive"]
            figures = (fast.median_ms, slow.median_ms, fast.peak_mib, slow.peak_mib)
            ratio = f"{slow.median_ms / fast.median_ms:.0f}×"
            lines.append([name, *map(number, figures), ratio, f"{apart[0].value:.1e}"])
    heads = ["", "ms", "naive, ms", "peak, MiB", "naive peak, MiB", "ratio", "difference"]
    return grid(heads, lines)


def score_table(rows: list[Row], folder: Path) -> str:
    """Scores over regions and sentences."""
    found = pick(rows, "sweeps", stage="score")
    texts = sorted({row.texts for row in found})
    cells = {(row.regions, row.texts): number(row.median_ms) for row in found}
    lines = [[str(regions), *(cells.get((regions, count), "") for count in texts)]
             for regions in sorted({row.regions for row in found})]  # fmt: skip
    return grid(["regions", *(f"{count} sentences" for count in texts)], lines)


def rest_table(rows: list[Row], folder: Path) -> str:
    """What else was swept."""
    found = [row for row in pick(rows, "sweeps") if row.stage != "score"]
    lines = [[row.stage, size(row), str(row.regions or ""), spread_text(row), number(row.peak_mib)]
             for row in found]  # fmt: skip
    return grid(["", "image", "regions", "ms", "peak, MiB"], lines)


def service_table(rows: list[Row], folder: Path) -> str:
    """Round trips over DDS."""
    lines = [[row.stage, str(row.texts), spread_text(row) if row.value is None else "",
              number(row.value) if row.value is not None else ""]
             for row in pick(rows, "service")]  # fmt: skip
    return grid(["", "sentences", "ms", "percentile, ms"], lines)


def stage_table(part: str, head: Callable[[Row], str], figure: Callable[[Row], str]) -> Callable:
    """A table of the stages of a part."""
    return lambda rows, _folder: crossed(pick(rows, part), head, figure)


TABLES: dict[str, Callable[[list[Row], Path], str]] = {
    "machine": machine_table,
    "stages": stage_table("stages", size, spread_text),
    "stage memory": stage_table("stages", size, lambda row: number(row.peak_mib)),
    "families": stage_table("families", lambda row: f"{row.profile}, {row.sam2}", spread_text),
    "family memory": stage_table(
        "families", lambda row: f"{row.profile}, {row.sam2}", lambda row: number(row.peak_mib)
    ),
    "tokens": token_table,
    "masks": mask_table,
    "naive masks": naive_mask_table,
    "scores": score_table,
    "rest": rest_table,
    "service": service_table,
}


def fill(page: str, rows: list[Row], folder: Path) -> str:
    """The page with its tables made from the rows."""
    for name, make in TABLES.items():
        block = f"<!-- {name} -->\n{make(rows, folder)}\n<!-- end -->"
        page, count = re.subn(
            rf"<!-- {name} -->.*?<!-- end -->", lambda _match, b=block: b, page, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"{PAGE}: has {count} places for the table {name!r}")
    return page


def main(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)]) -> None:
    """Draw the plot of a machine's results, and fill the tables of docs/performance.md."""
    rows = read(folder)
    draw(rows, folder / "speed.png")
    page = fill(PAGE.read_text(encoding="utf-8"), rows, folder)
    picture = f"../benchmark/results/{folder.resolve().name}/speed.png"
    page = re.sub(r"\.\./benchmark/results/[^)]*speed\.png", picture, page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)

"""One picture of a machine's results: what dominates, and how cost grows."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmark.table import Row

ENCODING = (
    "preprocess", "sam_encoder", "views", "sam_decoder", "filter", "fuse", "tokens", "boxes",
)  # fmt: skip


def draw(rows: list[Row], path: Path) -> None:
    """Write the picture as PNG; a panel without figures stays empty."""
    figure, panels = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    _stages(panels[0, 0], [row for row in rows if row.part == "stages"])
    _tokens(panels[0, 1], [row for row in rows if row.part == "tokens" and row.stage == "sweep"])
    _scores(panels[1, 0], [row for row in rows if row.part == "sweeps" and row.stage == "score"])
    _masks(panels[1, 1], [row for row in rows if row.stage == "masks at full resolution"])
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


def _stages(axes: Axes, rows: list[Row]) -> None:
    axes.set(title="encoding a frame, profile demo", ylabel="ms")
    below: dict[str, float] = {}
    for stage in ENCODING:
        found = [row for row in rows if row.stage == stage]
        sizes = [f"{row.width}×{row.height}" for row in found]
        times = [row.median_ms for row in found]
        axes.bar(sizes, times, 0.6, [below.get(size, 0.0) for size in sizes], label=stage)
        below |= {size: below.get(size, 0.0) + t for size, t in zip(sizes, times, strict=True)}
    axes.legend(fontsize="small")


def _tokens(axes: Axes, rows: list[Row]) -> None:
    axes.set(title="token stage, D = 1024", xlabel="regions × patches", ylabel="ms")
    for patches in sorted({row.tokens for row in rows}):
        line = sorted((r.regions * patches, r.median_ms) for r in rows if r.tokens == patches)
        axes.loglog(*zip(*line, strict=True), "o-", label=f"{patches} patches")
    if rows:
        most = max(rows, key=lambda row: row.regions * row.tokens)
        end = most.regions * most.tokens
        axes.loglog([end / 100, end], [most.median_ms / 100, most.median_ms], "k--", label="linear")
        axes.legend(fontsize="small")


def _scores(axes: Axes, rows: list[Row]) -> None:
    axes.set(title="asking about a kept frame", xlabel="sentences, known", ylabel="ms")
    for regions in sorted({row.regions for row in rows}):
        line = sorted((row.texts, row.median_ms) for row in rows if row.regions == regions)
        axes.loglog(*zip(*line, strict=True), "o-", label=f"{regions} regions")
    if rows:
        axes.legend(fontsize="small")


def _masks(axes: Axes, rows: list[Row]) -> None:
    axes.set(title="100 masks at the camera's size", xlabel="pixels, millions", ylabel="ms")
    line = sorted((row.width * row.height / 1e6, row.median_ms) for row in rows)
    if line:
        axes.plot(*zip(*line, strict=True), "o-")
    axes.set_ylim(bottom=0)

"""The stages of encoding a frame and of asking about it, with the models of a profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from benchmark.measure import Meter, measure, returning_memory, spread
from benchmark.table import Row
from benchmark.workload import picture, scene_of, sentences
from textregion_ros.core.scene import EncodedFrame
from textregion_ros.regions import TextRegion
from textregion_ros.regions.stopwatch import Stopwatch

Size = tuple[int, int]


def measure_stages(model: TextRegion, sizes: list[Size], repeats: int) -> list[Row]:
    """Rows of every stage of `encode` at each camera size (width, height), and of the queries."""
    rows = []
    for size in sizes:
        frame, times = _encode(model, size, repeats)
        rows += times
    return rows + list(_query_rows(model, frame, repeats))


def _row(model: TextRegion, stage: str, size: Size, **more: object) -> Row:
    profile = model.profile
    return Row(
        "stages",
        profile.name,
        stage,
        str(model.device),
        sam2=profile.sam2.use,
        width=size[0],
        height=size[1],
        **more,
    )


def _encode(model: TextRegion, size: Size, repeats: int) -> tuple[EncodedFrame, list[Row]]:
    rgb, device = picture(*size), str(model.device)
    with stage_memory(device) as peaks:  # this is the warm-up, too
        frame = model.encode(rgb).encoded
    times, rows = defaultdict(list), []
    for _ in range(repeats):
        laps = model.encode(rgb).encoded.stage_ms
        for stage, lap in {"encode": sum(laps.values()), **laps}.items():
            times[stage].append(lap)
    for stage, samples in times.items():
        peak = max(peaks.values()) if stage == "encode" else peaks[stage]
        row = _row(model, stage, size, regions=len(frame))
        rows.append(row.of(spread(samples, peak)))
    return frame, rows


@contextmanager
def stage_memory(device: str) -> Iterator[dict[str, float]]:
    """Within, every lap of an encoding notes the peak of its stage beyond its start, MiB."""
    meter, peaks, lap = Meter(device), {}, Stopwatch.lap

    def noting(watch: Stopwatch, stage: str) -> None:
        lap(watch, stage)
        peaks[stage] = meter.peak()
        meter.restart()

    with returning_memory(device), mock.patch.object(Stopwatch, "lap", noting):
        meter.restart()
        yield peaks


def _query_rows(model: TextRegion, frame: EncodedFrame, repeats: int) -> Iterator[Row]:
    device, regions = str(model.device), len(frame)
    size = frame.image_size[::-1]
    fresh = iter(range(1 << 30))
    queries = {
        "text": lambda: model.encoder.text([f"red mug {next(fresh)}"]),
        "score": lambda: model.ground(scene_of(frame), sentences(1)),
    }
    if regions:
        queries["mask"] = lambda: scene_of(frame).mask(0)
    for stage, query in queries.items():
        row = _row(model, stage, size, regions=regions, texts=1)
        yield row.of(measure(query, repeats, device))

"""How the cost of asking grows with regions and sentences, on made-up frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmark.measure import measure
from benchmark.table import Row
from benchmark.workload import frame, scene_of, sentences
from textregion_ros.core.boxes import Box
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.scene import EncodedFrame
from textregion_ros.regions import TextRegion
from textregion_ros.space.shapes import region_shape
from textregion_ros.space.table import find_table

REGIONS, TEXTS, SIZE = (10, 30, 100, 300, 1000), (1, 10, 100, 1000), (640, 480)
SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))


def measure_sweeps(model: TextRegion, repeats: int) -> Iterator[Row]:
    """Scores over sentences and regions, full-resolution masks over image sizes, and 3D."""
    yield from _scores(model, repeats)
    yield from _masks(repeats)
    yield from _shapes(repeats)


def _scores(model: TextRegion, repeats: int) -> Iterator[Row]:
    dimension = model.profile.encoder.embed_dim
    model.encoder.text(sentences(max(TEXTS)))  # once, so that only scores are timed
    for regions in REGIONS:
        made = replace(frame(regions, *SIZE, dimension), encoder=model.identity)
        for texts in TEXTS:
            asked = sentences(texts)

            # The best region is always returned with its mask, as it is where all are found.
            def ask(made: EncodedFrame = made, asked: list[str] = asked) -> None:
                model.ground(scene_of(made), asked, (), 0.0)

            row = Row("sweeps", model.profile.name, "score", regions=regions, texts=texts)
            few = max(1, repeats // 3) if texts * regions >= 100_000 else repeats
            yield replace(row, width=SIZE[0], height=SIZE[1]).of(measure(ask, few))


def _masks(repeats: int) -> Iterator[Row]:
    for width, height in SIZES:
        made = frame(100, width, height, 8)

        def all_masks(made: EncodedFrame = made) -> None:
            scene = scene_of(made)
            for region in range(len(scene)):
                scene.mask(region)

        row = Row("sweeps", "", "masks at full resolution", width=width, height=height, regions=100)
        yield row.of(measure(all_masks, repeats))


def _shapes(repeats: int) -> Iterator[Row]:
    width, height = SIZE
    camera = Intrinsics(600.0, 600.0, width / 2, height / 2, width, height)
    draw = np.random.default_rng(0)
    depth = 0.8 + 0.001 * draw.standard_normal((height, width)).astype(np.float32)
    row = Row("sweeps", "", "table in depth", width=width, height=height)
    yield row.of(measure(lambda: find_table(depth, camera), repeats))
    for regions in REGIONS[:3]:
        scene = scene_of(frame(regions, width, height, 8))
        parts = [(scene.crop(region), scene.box(region)) for region in range(regions)]

        def shapes(parts: list[tuple[np.ndarray, Box]] = parts) -> None:
            for crop, box in parts:
                region_shape(crop, box, depth, camera, None)

        row = Row("sweeps", "", "shapes in 3D", width=width, height=height, regions=regions)
        yield row.of(measure(shapes, repeats))

"""How far from the truth the node's centroids are, on fresh scenes with a camera's depth noise.

    python -m training.poses --seed 20261123 --count 100
    python -m training.poses --scenes scenes/poses

renders scenes, or takes those that are there, asks for every object that is unique in its scene and
at least 60 % visible by its name, and writes training/POSES.md. The truth is the mean of the points
of the object's visible pixels in the rendered depth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from textregion_ros.core.boxes import mask_box
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.depth import depth_metres
from textregion_ros.core.masks import mask_iou
from textregion_ros.core.results import Grounding, RegionShape
from textregion_ros.regions import TextRegion
from textregion_ros.space import Space, space_of
from training import sensor
from training.evaluate import FOUND_IOU, VISIBLE

HERE = Path(__file__).parent
MEDIAN_BAR, TAIL_BAR = 5.0, 20.0  # mm


@dataclass(frozen=True)
class Scene:
    """Colour H×W×3 uint8 RGB, rendered depth H×W float32 m, object ids H×W, camera and objects.

    up: the table's normal in the optical frame.
    """

    number: int
    rgb: np.ndarray
    depth: np.ndarray
    masks: np.ndarray
    camera: Intrinsics
    up: np.ndarray
    objects: list[dict]


@dataclass(frozen=True)
class Judged:
    """One object asked for. Errors in mm, None where there is no shape.

    outcome: "right", "wrong" (another region) or "not found". error: of the answer's centroid,
    where it is right; masked_error and height_error: of the centroid and of the box's height from
    the object's true mask in the same depth.
    """

    category: str
    outcome: str
    error: float | None
    masked_error: float | None
    height_error: float | None


@dataclass(frozen=True)
class Measured:
    """All objects, and for each scene by how many degrees the table's normal is off."""

    objects: list[Judged]
    tilts: list[float]


def read(folder: Path) -> Iterator[Scene]:
    """The scenes of a folder made by training.scenes."""
    index = json.loads((folder / "scenes.json").read_text())
    for entry in index["scenes"]:
        (fx, _, cx), (_, fy, cy), _ = entry["camera"]["matrix"]
        depth = cv2.imread(str(folder / entry["depth"]), cv2.IMREAD_UNCHANGED)
        yield Scene(
            number=entry["number"],
            rgb=cv2.imread(str(folder / entry["colour"]))[..., ::-1].copy(),
            depth=depth_metres(depth),
            masks=cv2.imread(str(folder / entry["masks"]), cv2.IMREAD_UNCHANGED),
            camera=Intrinsics(fx, fy, cx, cy, index["width"], index["height"]),
            up=np.array(entry["camera"]["rotation"])[2],
            objects=entry["objects"],
        )


def measure(model: TextRegion, scenes: Iterator[Scene]) -> Measured:
    """Ask for every object of the scenes that can be asked for, at the profile's threshold."""
    result = Measured([], [])
    for scene in scenes:
        names = Counter((item["colour"], item["category"]) for item in scene.objects)
        asked = [
            item
            for item in scene.objects
            if names[item["colour"], item["category"]] == 1 and item["visible"] >= VISIBLE
        ]
        rng = np.random.default_rng([scene.number, 3])
        depth = sensor.measure(scene.depth, scene.camera.fx, rng)
        space = space_of(depth, scene.camera, scene.depth.shape)
        cosine = space.table.normal @ scene.up if space.table else -1.0
        result.tilts.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
        if asked:
            texts = [f"{item['colour']} {item['category']}" for item in asked]
            answers = model.ground(model.encode(scene.rgb), texts, top_k=1)
            for item, answer in zip(asked, answers, strict=True):
                result.objects.append(_judge(scene, space, item, answer))
    return result


def _judge(scene: Scene, space: Space, item: dict, answer: Grounding) -> Judged:
    true = scene.masks == item["id"]
    v, u = np.nonzero(true)
    centroid = scene.camera.points(u, v, scene.depth[true]).mean(0, dtype=np.float64)
    outcome, error = "not found", None
    if answer.found:
        region = answer.regions[0]
        outcome = "right" if mask_iou(region.mask, true) >= FOUND_IOU else "wrong"
        if outcome == "right":
            error = _error(space.shape(region.crop, region.box), centroid)
    x, y, w, h = mask_box(true)
    shape = space.shape(true[y : y + h, x : x + w], (x, y, w, h))
    height = 1e3 * abs(float(shape.pose.size[2]) - item["size"][2]) if shape else None
    return Judged(item["category"], outcome, error, _error(shape, centroid), height)


def _error(shape: RegionShape | None, centroid: np.ndarray) -> float | None:
    return 1e3 * float(np.linalg.norm(shape.pose.centroid - centroid)) if shape else None


def write_table(result: Measured, profile: str, source: str) -> str:
    """The report as Markdown."""
    objects = result.objects
    right = [o for o in objects if o.outcome == "right"]
    counts = Counter(o.outcome for o in objects)
    groups = {name: [o for o in objects if o.category == name] for name in _names(objects)}
    rows = [_row(name, group) for name, group in groups.items()]
    heights = _known(o.height_error for o in objects)
    aim = f"≤ {MEDIAN_BAR:.0f}, ≤ {TAIL_BAR:.0f}"
    return "\n".join(
        [
            f"# 3D accuracy, profile `{profile}`",
            "",
            f"Scenes: {source}. Objects at least {VISIBLE:.0%} visible, alone of their name in",
            "the scene, asked for by name. An answer is right where its mask's IoU with the",
            f"object's is at least {FOUND_IOU}; only right answers are judged. Depth is the one",
            "rendered, with the noise of a structured-light camera, see `training/sensor.py`.",
            "Errors are distances of the centroid of the visible surface from the true one, mm.",
            "",
            f"Asked: {len(objects)}. Right: {counts['right']}. Another region: {counts['wrong']}. "
            f"Not found: {counts['not found']}. Right, but without a shape: "
            f"{sum(o.error is None for o in right)}.",
            "",
            "| | objects | median | 95th percentile | largest | aim |",
            "|---|---|---|---|---|---|",
            _summary("whole pipeline", [o.error for o in right], aim),
            _summary("the same objects, true masks", [o.masked_error for o in right], ""),
            _summary("all objects, true masks", [o.masked_error for o in objects], ""),
            _summary("box height, true masks", heights, ""),
            "",
            f"The table's normal is off by {np.median(result.tilts):.2f}° in the median and by "
            f"{max(result.tilts):.2f}° at most.",
            "",
            "| category | asked | right | median | 95th percentile | true masks: median "
            "| 95th percentile |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _names(objects: Sequence[Judged]) -> list[str]:
    return sorted({o.category for o in objects})


def _known(errors: Iterable[float | None]) -> list[float]:
    return [error for error in errors if error is not None]


def _percentiles(errors: Sequence[float | None]) -> tuple[str, str]:
    known = _known(errors)
    if not known:
        return "–", "–"
    return f"{np.median(known):.1f}", f"{np.percentile(known, 95):.1f}"


def _summary(name: str, errors: Sequence[float | None], aim: str) -> str:
    known = _known(errors)
    largest = f"{max(known):.1f}" if known else "–"
    median, tail = _percentiles(known)
    return f"| {name} | {len(known)} | {median} | {tail} | {largest} | {aim} |"


def _row(name: str, group: Sequence[Judged]) -> str:
    right = [o.error for o in group if o.outcome == "right"]
    median, tail = _percentiles(right)
    masked = " | ".join(_percentiles([o.masked_error for o in group]))
    return f"| {name} | {len(group)} | {len(right)} | {median} | {tail} | {masked} |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=20261123, help="of the scenes to render")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--scenes", type=Path, help="a folder of scenes, in place of rendering")
    parser.add_argument("--profile", default="demo", help="a bundled profile or a profile file")
    parser.add_argument("--out", type=Path, default=HERE / "POSES.md")
    args = parser.parse_args()
    model = TextRegion.from_profile(args.profile, device="cpu")
    with tempfile.TemporaryDirectory() as made:
        folder = args.scenes or Path(made)
        if args.scenes is None:
            # Here and not above: only rendering needs a renderer.
            from training.scenes import write_scenes

            write_scenes(args.seed, args.count, folder)
        index = json.loads((folder / "scenes.json").read_text())
        source = f"{len(index['scenes'])} with seed {index['seed']}"
        result = measure(model, tqdm(read(folder), "scenes", total=len(index["scenes"])))
    args.out.write_text(write_table(result, args.profile, source), encoding="utf-8")
    print(args.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

"""How well a profile finds what is asked for, on scenes made by training.scenes."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import mannwhitneyu

from textregion_ros.core.boxes import Box
from textregion_ros.core.masks import mask_iou
from textregion_ros.core.results import Grounding
from textregion_ros.core.scene import Scene
from textregion_ros.regions import TextRegion
from training.vocabulary import CATEGORIES, COLOURS, HELD_OUT

VISIBLE, FOUND_IOU = 0.6, 0.5
PAIRS = [(colour, category) for colour in COLOURS for category in CATEGORIES]


@dataclass(frozen=True)
class LabelledScene:
    """A picture H×W×3 uint8 RGB, its masks H×W of object ids (0: none), and its objects."""

    number: int
    rgb: np.ndarray
    masks: np.ndarray
    objects: list[dict]


@dataclass(frozen=True)
class Answer:
    """What one query about one object came to.

    `iou` is that of the answered mask, `best_iou` that of the best region there was, both with
    the object's visible mask; `box` is the answer's, (x, y, w, h) pixels, None without one.
    """

    scene: int
    colour: str
    category: str
    object_id: int
    visible: float
    iou: float
    best_iou: float
    score: float
    box: Box | None

    @property
    def right(self) -> bool:
        """Whether the mask is that of the object asked for."""
        return self.iou >= FOUND_IOU

    @property
    def held_out(self) -> bool:
        """Whether the pair of colour and category was never trained on."""
        return (self.colour, self.category) in HELD_OUT


@dataclass(frozen=True)
class Evaluation:
    """All answers, the scores of present and of absent pairs, and seconds per encoded frame."""

    answers: list[Answer]
    present: list[float]
    absent: list[float]
    encode_s: list[float]

    def accuracy(self, answers: Iterable[Answer] | None = None) -> float:
        """The share of answers that are right; nan where there is none."""
        right = [a.right for a in (self.answers if answers is None else answers)]
        return float(np.mean(right)) if right else float("nan")

    def recall(self) -> float:
        """The share of asked objects that any region fits, IoU ≥ 0.5."""
        return float(np.mean([a.best_iou >= FOUND_IOU for a in self.answers]))

    def auroc(self) -> float:
        """The chance that a present pair scores higher than an absent one."""
        u = mannwhitneyu(self.present, self.absent).statistic
        return float(u / len(self.present) / len(self.absent))

    def by(self, field: str) -> dict[str, list[Answer]]:
        """The answers grouped by "category" or "colour"."""
        groups = defaultdict(list)
        for answer in self.answers:
            groups[getattr(answer, field)].append(answer)
        return dict(sorted(groups.items()))


def read_scenes(folder: Path) -> Iterator[LabelledScene]:
    """The scenes of a folder with a scenes.json, one after another."""
    for entry in json.loads((folder / "scenes.json").read_text())["scenes"]:
        picture = cv2.imread(str(folder / entry["colour"]))
        masks = cv2.imread(str(folder / entry["masks"]), cv2.IMREAD_UNCHANGED)
        yield LabelledScene(entry["number"], picture[..., ::-1].copy(), masks, entry["objects"])


def evaluate(
    model: TextRegion, scenes: Iterable[LabelledScene], absent: int | None = None
) -> Evaluation:
    """Ask for every object that is unique in its scene and at least 60 % visible.

    Every pair of the demo world is scored in every scene, for telling present from absent, or
    with `absent` every pair that is there and so many drawn from the others. Pairs of which less
    than 60 % is visible count as neither.
    """
    result = Evaluation([], [], [], [])
    for scene in scenes:
        start = time.perf_counter()
        encoded = model.encode(scene.rgb)
        result.encode_s.append(time.perf_counter() - start)
        pairs = PAIRS if absent is None else _some_pairs(scene, absent)
        answers = model.ground(encoded, [f"a {c} {k}" for c, k in pairs], threshold=0.0, top_k=1)
        _score(result, scene, encoded, dict(zip(pairs, answers, strict=True)))
    return result


def _some_pairs(scene: LabelledScene, absent: int) -> list[tuple[str, str]]:
    """The pairs that are in the scene and so many that are not, the same ones every time."""
    there = {(item["colour"], item["category"]) for item in scene.objects}
    others = [pair for pair in PAIRS if pair not in there]
    drawn = np.random.default_rng(scene.number).permutation(len(others))[:absent]
    return sorted(there) + [others[index] for index in drawn]


def _score(
    result: Evaluation,
    scene: LabelledScene,
    encoded: Scene,
    answers: dict[tuple[str, str], Grounding],
) -> None:
    members = defaultdict(list)
    for item in scene.objects:
        members[item["colour"], item["category"]].append(item)
    masks = region_masks(encoded)
    for pair, answer in answers.items():
        visible = [item for item in members[pair] if item["visible"] >= VISIBLE]
        if not members[pair]:
            result.absent.append(answer.score)
        elif visible:
            result.present.append(answer.score)
        if len(members[pair]) == 1 and visible:
            result.answers.append(_compare(scene, visible[0], answer, masks))


def region_masks(encoded: Scene) -> np.ndarray:
    """Every region of a scene at the camera's size, bool R×H×W."""
    masks = [encoded.mask(region) for region in range(len(encoded))]
    return np.array(masks, bool).reshape(-1, *encoded.image_size)


def _compare(scene: LabelledScene, item: dict, answer: Grounding, masks: np.ndarray) -> Answer:
    truth = scene.masks == item["id"]
    region = answer.regions[0] if answer.regions else None
    return Answer(
        scene=scene.number,
        colour=item["colour"],
        category=item["category"],
        object_id=item["id"],
        visible=item["visible"],
        iou=mask_iou(region.mask, truth) if region else 0.0,
        best_iou=max((mask_iou(mask, truth) for mask in masks), default=0.0),
        score=answer.score,
        box=tuple(region.box) if region else None,
    )

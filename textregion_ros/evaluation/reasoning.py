"""Reasoning segmentation on ReasonSeg: gIoU and cIoU (TextRegion, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.pictures import read_json, read_rgb
from textregion_ros.evaluation.protocol import load_protocol
from textregion_ros.evaluation.run import Record
from textregion_ros.evaluation.tables import percent, table
from textregion_ros.regions import Profile, TextRegion
from textregion_ros.regions.encoders.views import rescaled_size

IGNORED = 255
ENCODINGS = ("utf-8", "cp1252")  # the data set's files are in either


def adapt(profile: Profile) -> Profile:
    """The profile as the published evaluation has it. Raises BadProfile."""
    return load_protocol("reasoning").apply(profile)


@dataclass(frozen=True)
class Sample:
    """A question about a picture.

    target: bool H×W or 255 where not counted, as uint8. text: the question, or what is looked for.
    long: whether it is a sentence.
    """

    rgb: np.ndarray
    target: np.ndarray
    text: str
    long: bool


@dataclass(frozen=True)
class Reasoning:
    """The questions of a split, and how one is measured.

    folder, samples: of the split, as `list_questions` gives them. answers: a folder of x.json with
    a language model's answers to the questions, which are then looked for; None for the questions.
    """

    model: TextRegion
    title: str
    folder: Path
    samples: list[str]
    answers: Path | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result besides the profile."""
        return {
            "task": "reasoning",
            "dataset": self.title,
            "interpreted": self.answers is not None,
        }

    def measure(self, index: int) -> Record:
        """Pixels of intersection and union of the target. Raises BadData."""
        sample = self._sample(self.samples[index])
        counted = sample.target != IGNORED
        predicted, target = self._predict(sample)[counted], (sample.target == 1)[counted]
        return {
            "long": sample.long,
            "intersection": int((predicted & target).sum()),
            "union": int((predicted | target).sum()),
        }

    def _predict(self, sample: Sample) -> np.ndarray:
        """Mask H×W: every region nearer to the text than to its negation."""
        scene = self.model.encode(sample.rgb)
        size = rescaled_size(*scene.image_size, self.model.profile.encoder.rescale)
        negation = self._negation(sample.text)
        for text in (sample.text, negation):  # encoded alone, cut if need be, and kept
            self.model.encoder.text([text], truncate=True)
        labels = self.model.label(scene, [sample.text], [negation], size=size)
        whole = F.interpolate(
            torch.from_numpy(labels)[None, None].float(), scene.image_size, mode="nearest"
        )
        return whole[0, 0].numpy() > 0

    def _negation(self, text: str) -> str:
        if self.answers is None:
            return "background, any other thing"
        return f"background, anything but {text}"

    def _sample(self, name: str) -> Sample:
        rgb = read_rgb(self.folder / f"{name}.jpg")
        path = self.folder / f"{name}.json"
        data = read_json(path, ENCODINGS)
        try:
            text, long = data["text"][0].strip(), bool(data["is_sentence"])
            target = draw_target(data["shapes"], (rgb.shape[0], rgb.shape[1]))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, cv2.error) as error:
            raise BadData(f"{path} is not of ReasonSeg's form: {error!r}") from error
        if self.answers is not None:
            answer = self._answer(self.answers / f"{name}.json")
            text = answer if long else f"{answer}, {text}"
        return Sample(rgb, target, text.lower(), long)

    def _answer(self, path: Path) -> str:
        data = read_json(path, ENCODINGS)
        try:
            return data["answers"][0].strip()
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise BadData(f'{path} has no list "answers" of texts: {error!r}') from error


def list_questions(root: Path, split: str) -> tuple[Path, list[str]]:
    """The folder of a split, and the names x of its x.jpg and x.json. Raises BadData."""
    places = [root / place / split for place in (".", "ReasonSeg", "reason_seg/ReasonSeg")]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise BadData(f"there is no folder {split} in {root} or in ReasonSeg below it")
    samples = sorted(path.stem for path in folder.glob("*.jpg"))
    if not samples:
        raise BadData(f"there is no .jpg in {folder}")
    return folder, samples


def draw_target(shapes: list[dict[str, Any]], size: tuple[int, int]) -> np.ndarray:
    """uint8 H×W from polygons: 1 in the target, 255 where not counted, else 0.

    Drawn from the largest to the smallest; labels with "ignore" are not counted, "flag" is not
    drawn.
    """
    drawn = [shape for shape in shapes if shape["label"].lower() != "flag"]
    masks = [_polygon(shape["points"], size) for shape in drawn]
    target = np.zeros(size, np.uint8)
    for index in np.argsort([mask.sum() for mask in masks])[::-1]:
        target[masks[index]] = IGNORED if "ignore" in drawn[index]["label"].lower() else 1
    return target


def _polygon(points: list[list[float]], size: tuple[int, int]) -> np.ndarray:
    """Mask H×W: the polygon with its outline."""
    corners, mask = np.array(points).astype(np.int32), np.zeros(size, np.uint8)
    if corners.ndim != 2 or corners.shape[1] != 2:
        raise ValueError("a shape has no points x y")
    cv2.polylines(mask, [corners], True, (1,), 1)
    cv2.fillPoly(mask, [corners], (1,))
    return mask.astype(bool)


def summarise(settings: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    """Both IoUs of the short questions, the long ones, and all."""
    groups = {
        "short": [record for record in records if not record["long"]],
        "long": [record for record in records if record["long"]],
        "overall": records,
    }
    return {name: _ious(group) for name, group in groups.items()}


def _ious(records: list[Record]) -> dict[str, Any]:
    """Mean over questions (1 where there is nothing to find nor found), and IoU of all pixels."""
    pairs = [(record["intersection"], record["union"]) for record in records]
    each = [shared / (union + 1e-5) if union else 1.0 for shared, union in pairs]
    shared, union = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0, 0)
    return {
        "questions": len(pairs),
        "giou": sum(each) / len(each) if each else None,
        "ciou": shared / (union + 1e-10) if each else None,
    }


def markdown(settings: dict[str, Any], summary: dict[str, Any]) -> str:
    """The summary as a table."""
    rows = [
        [name, str(group["questions"]), percent(group["giou"]), percent(group["ciou"])]
        for name, group in summary.items()
    ]
    return table(["questions", "count", "gIoU", "cIoU"], rows)

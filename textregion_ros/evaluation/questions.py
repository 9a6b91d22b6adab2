"""Pictures with phrases about them, and boxes or masks of what each phrase is about.

A folder holds pictures and one file, `phrases.json` or `phrases.csv`:

    {"pictures": [{"picture": "a.jpg", "phrases": [
        {"text": "red mug", "boxes": [[210, 140, 64, 80]]},
        {"text": "blue mug", "boxes": []}]}]}

    picture,text,x,y,w,h,mask
    a.jpg,red mug,210,140,64,80,
    a.jpg,spoon,,,,,a_spoon.png
    a.jpg,blue mug,,,,,

Boxes are in pixels; a mask is a picture file, not 0 where the thing is. Several boxes of one phrase
are several things, of which any one is right. Without box and mask the thing is absent.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textregion_ros.core.boxes import Box, box_iou
from textregion_ros.core.errors import TextRegionError
from textregion_ros.core.masks import mask_iou
from textregion_ros.core.scene import Scene
from textregion_ros.evaluation.pictures import read_rgb
from textregion_ros.regions import TextRegion
from textregion_ros.regions.calibration import leads

FITS = 0.5
"""IoU from which an answer is right."""
NO_LOGIT = -50.0
"""Stands for the best region's logit where there is no region."""


@dataclass(frozen=True)
class Question:
    """A phrase about a picture, and what it is about.

    Attributes:
        text: The phrase.
        boxes: Of the things that it is about, x y w h, px.
        masks: Mask files of such things.
        kind: A name of the sort of question, for tables; may be blank.
    """

    text: str
    boxes: tuple[Box, ...] = ()
    masks: tuple[Path, ...] = ()
    kind: str = ""

    @property
    def present(self) -> bool:
        """Whether what is asked for is in the picture."""
        return bool(self.boxes or self.masks)


@dataclass(frozen=True)
class QuestionedPicture:
    """A picture file and the questions about it."""

    path: Path
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Observation:
    """What came of one question.

    Attributes:
        picture: The picture's file.
        question: What was asked.
        logit: The best region's.
        lead: How far it lies above the runner-up's.
        score: The best region's.
        right: Whether the best region fits what was asked for.
        fits: Whether any region does.
        box: The best region's; None without regions.
    """

    picture: Path
    question: Question
    logit: float
    lead: float
    score: float
    right: bool
    fits: bool
    box: Box | None = None


def read_questions(data: Path, pictures: Path | None = None) -> list[QuestionedPicture]:
    """Read the questions of a folder.

    Args:
        data: The folder of a phrases.json or phrases.csv, or such a file.
        pictures: Where the pictures are; None for beside the file.

    Raises:
        TextRegionError: The file cannot be read, or asks nothing.
    """
    found = [data] if data.is_file() else sorted(data.glob("phrases.*"))
    if len(found) != 1 or found[0].suffix not in (".json", ".csv"):
        raise TextRegionError(f"{data}: one phrases.json or phrases.csv is wanted there")
    folder = pictures or found[0].parent
    read = _read_json if found[0].suffix == ".json" else _read_csv
    try:
        result = read(found[0], folder)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise TextRegionError(f"{found[0]} cannot be read: {error!r}") from error
    if not result:
        raise TextRegionError(f"{found[0]} asks nothing")
    return result


def _read_json(path: Path, folder: Path) -> list[QuestionedPicture]:
    return [
        QuestionedPicture(
            folder / entry["picture"],
            tuple(
                Question(
                    phrase["text"],
                    tuple((int(x), int(y), int(w), int(h)) for x, y, w, h in phrase["boxes"]),
                    tuple(folder / mask for mask in phrase.get("masks", ())),
                    phrase.get("kind", ""),
                )
                for phrase in entry["phrases"]
            ),
        )
        for entry in json.loads(path.read_text(encoding="utf-8"))["pictures"]
    ]


def _read_csv(path: Path, folder: Path) -> list[QuestionedPicture]:
    rows: dict[str, dict[str, tuple[list[Box], list[Path]]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            boxes, masks = rows.setdefault(row["picture"], {}).setdefault(row["text"], ([], []))
            if row["x"]:
                x, y, w, h = (int(row[name]) for name in "xywh")
                boxes.append((x, y, w, h))
            if row.get("mask"):
                masks.append(folder / row["mask"])
    return [
        QuestionedPicture(
            folder / name,
            tuple(Question(text, tuple(b), tuple(m)) for text, (b, m) in texts.items()),
        )
        for name, texts in rows.items()
    ]


def observe(model: TextRegion, pictures: Iterable[QuestionedPicture]) -> Iterator[Observation]:
    """Ask a model every question, each as it stands; the model's threshold plays no part."""
    for picture in pictures:
        scene = model.encode(read_rgb(picture.path))
        logits = model.logits(scene, [question.text for question in picture.questions])
        scores = model.scores(scene, logits)
        for question, row, score in zip(picture.questions, logits, scores, strict=True):
            fitting = _fitting(question, scene)
            yield observation(picture.path, question, scene, row, score, fitting)


def observation(
    picture: Path,
    question: Question,
    scene: Scene,
    logits: np.ndarray,
    scores: np.ndarray,
    fitting: np.ndarray,
) -> Observation:
    """Return what came of a question.

    Args:
        picture: The picture's file.
        question: What was asked.
        scene: The picture's regions.
        logits: [R], the regions' for the question.
        scores: [R], likewise.
        fitting: bool [R], whether each region fits what was asked for.
    """
    if not len(logits):
        return Observation(picture, question, NO_LOGIT, 0.0, 0.0, right=False, fits=False)
    best = int(logits.argmax())
    return Observation(
        picture,
        question,
        float(logits[best]),
        float(leads(logits, scene.encoded.overlaps)[best]),
        float(scores[best]),
        right=bool(fitting[best]),
        fits=bool(fitting.any()),
        box=scene.box(best),
    )


def _fitting(question: Question, scene: Scene) -> np.ndarray:
    """Return whether each region fits one of the boxes or masks, bool [R]."""
    masks = [read_rgb(mask).max(2) > 0 for mask in question.masks]
    fits = [
        any(box_iou(scene.box(index), box) >= FITS for box in question.boxes)
        or any(mask_iou(scene.mask(index), mask) >= FITS for mask in masks)
        for index in range(len(scene))
    ]
    return np.array(fits, bool)

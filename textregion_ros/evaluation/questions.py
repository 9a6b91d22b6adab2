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

from textregion_ros.evaluation.pictures import read_rgb
from textregion_ros.regions import EncodedFrame, TextRegion, TextRegionError
from textregion_ros.regions.calibration import leads
from textregion_ros.regions.grounding import make_region

FITS = 0.5
"""IoU from which an answer is right."""
NO_REGION = -50.0
"""The logit where there is nothing to answer with."""
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Question:
    """A phrase about a picture, and what it is about: boxes x y w h in pixels, or mask files.

    kind: a name of the sort of question, for tables; may be blank.
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
    """What came of one question: the best region's logit, lead and score, and whether it is right.

    fits: whether any region fits what was asked for. box: the best region's, None without regions.
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
    """Read a folder's phrases.json or phrases.csv, or such a file; pictures may lie elsewhere.

    Raises TextRegionError for what cannot be read.
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
    """Ask a model every question; nothing of its own threshold matters."""
    for picture in pictures:
        scene = model.encode(read_rgb(picture.path))
        logits = model.logits(scene, [question.text for question in picture.questions])
        scores = model.scores(scene, logits)
        for question, row, score in zip(picture.questions, logits, scores, strict=True):
            yield _observe_one(picture.path, question, scene, row, score)


def _observe_one(
    path: Path, question: Question, scene: EncodedFrame, logits: np.ndarray, scores: np.ndarray
) -> Observation:
    if not len(logits):
        return Observation(path, question, NO_REGION, 0.0, 0.0, False, False)
    best = int(logits.argmax())
    boxes = [_box(row) for row in scene.boxes]
    fitting = np.array([any(box_iou(b, truth) >= FITS for truth in question.boxes) for b in boxes])
    for mask in question.masks:
        fitting |= _fits_mask(scene, read_rgb(mask).any(axis=2))
    return Observation(
        path,
        question,
        float(logits[best]),
        float(leads(logits, scene.overlaps)[best]),
        float(scores[best]),
        bool(fitting[best]),
        bool(fitting.any()),
        boxes[best],
    )


def _box(row: np.ndarray) -> Box:
    x, y, w, h = (int(value) for value in row)
    return x, y, w, h


def _fits_mask(scene: EncodedFrame, truth: np.ndarray) -> np.ndarray:
    """Bool [R]: which regions fit a mask H×W."""
    found = (make_region(scene, index, 0.0, 0.0).mask for index in range(len(scene.boxes)))
    return np.array([(m & truth).sum() >= FITS * max((m | truth).sum(), 1) for m in found], bool)


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of boxes x y w h."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared / max(a[2] * a[3] + b[2] * b[3] - shared, 1)

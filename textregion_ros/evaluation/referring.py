"""Referring expressions: one box for a sentence, right above IoU 0.5 (TextRegion, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from textregion_ros.core.boxes import box_iou
from textregion_ros.core.scene import EncodedFrame
from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.expressions import FloatBox, Picture
from textregion_ros.evaluation.pictures import read_rgb
from textregion_ros.evaluation.protocol import load_protocol
from textregion_ros.evaluation.run import Record
from textregion_ros.evaluation.tables import percent, table
from textregion_ros.regions import Profile, TextRegion
from textregion_ros.regions.bilinear import make_taps, sample
from textregion_ros.regions.encoders.views import rescaled_size
from textregion_ros.regions.tokens import MASK_CEILING

RIGHT_IOU = 0.5


def adapt(profile: Profile) -> Profile:
    """The profile as the published evaluation has it. Raises BadProfile."""
    return load_protocol("referring").apply(profile)


@dataclass(frozen=True)
class Referring:
    """The pictures of a split with their expressions, and how one picture is measured.

    title: of the data set and split. detected: whether boxes of a detector are known.
    """

    model: TextRegion
    title: str
    pictures: list[Picture]
    detected: bool

    @property
    def samples(self) -> list[str]:
        """A picture is a sample."""
        return [picture.path.name for picture in self.pictures]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result besides the profile."""
        return {"task": "referring", "dataset": self.title, "detected": self.detected}

    def measure(self, index: int) -> Record:
        """Every expression's box and the one it snaps to, and whether they are right."""
        picture = self.pictures[index]
        rgb = read_rgb(picture.path)
        if picture.size not in (None, rgb.shape[:2]):
            said, found = picture.size, rgb.shape
            raise BadData(
                f"{picture.path} is {found[1]}×{found[0]} px, but its annotations are of "
                f"{said[1]}×{said[0]} px"
            )
        frame = self.model.encode(rgb).encoded
        answers = []
        for expression in picture.expressions:
            box = self._box(frame, expression.text)
            answer: dict[str, Any] = {
                "text": expression.text,
                "box": box,
                "right": is_right(box, expression.gold),
            }
            if self.detected:
                snapped = snap(box, picture.detections)
                answer |= {"snapped": snapped, "snapped_right": is_right(snapped, expression.gold)}
            answers.append(answer)
        return {"answers": answers}

    def _box(self, frame: EncodedFrame, text: str) -> FloatBox | None:
        """The box of the largest piece of the region whose token is nearest to the text."""
        if not len(frame.tokens):
            return None
        (vector,) = self.model.encoder.text([text], truncate=True)
        best = int((frame.tokens @ vector).argmax())
        between = rescaled_size(*frame.image_size, self.model.profile.encoder.rescale)
        return box_of(largest_piece(published_mask(frame.masks[best], between, frame.image_size)))


def published_mask(
    logits: np.ndarray, between: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Mask H×W from mask logits L×L, as the published evaluation has it.

    Cut off below 0 before they are resized, to `between` and then to `size`, so that the mask
    reaches up to one sample beyond the logits' own border.
    """
    soft = torch.from_numpy(logits).float().clamp(0.0, MASK_CEILING)
    for target in (between, size):
        taps = (make_taps(side, wanted) for side, wanted in zip(soft.shape, target, strict=True))
        soft = sample(soft, *taps)
    return (soft > 0).numpy()


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """Mask H×W: the largest 8-connected piece of a mask, the first where several are."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()


def box_of(mask: np.ndarray) -> FloatBox | None:
    """Box x y w h of a mask, the last column and row not counted; None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left, int(rows[-1]) - top]


def snap(box: FloatBox | None, detections: list[FloatBox]) -> FloatBox | None:
    """The detection of the highest IoU, the box itself where none overlaps it."""
    if box is None or not detections:
        return box
    overlaps = [box_iou(detection, box) for detection in detections]
    return detections[int(np.argmax(overlaps))] if max(overlaps) > 0 else box


def is_right(box: FloatBox | None, gold: list[FloatBox]) -> bool:
    """Whether a box lies above IoU 0.5 with one of the gold boxes."""
    return box is not None and any(box_iou(box, other) > RIGHT_IOU for other in gold)


def summarise(settings: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    """Accuracy over all expressions, with and without snapping (None without detections)."""
    answers = [answer for record in records for answer in record["answers"]]
    count = len(answers)
    right = sum(answer["right"] for answer in answers)
    snapped = sum(answer.get("snapped_right", False) for answer in answers)
    return {
        "expressions": count,
        "right": right,
        "accuracy": right / count if count else None,
        "snapped_right": snapped if settings["detected"] else None,
        "snapped_accuracy": snapped / count if count and settings["detected"] else None,
    }


def markdown(settings: dict[str, Any], summary: dict[str, Any]) -> str:
    """The summary as a table."""
    return table(
        ["", "expressions", "accuracy", "snapped to detections"],
        [
            [
                settings["dataset"],
                str(summary["expressions"]),
                percent(summary["accuracy"]),
                percent(summary["snapped_accuracy"]),
            ]
        ],
    )

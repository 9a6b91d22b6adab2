"""Whole-pipeline answers on rendered scenes and photographs, in one form, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

from textregion_ros.evaluation.questions import NO_REGION, Observation, Question
from textregion_ros.regions import EncodedFrame, TextRegion
from textregion_ros.regions.calibration import balance, expected_calibration_error, leads
from training.evaluate import FOUND_IOU, PAIRS, VISIBLE, LabelledScene, region_masks
from training.vocabulary import HELD_OUT

FAR_THINGS = (
    "dog",
    "laptop",
    "zebra",
    "airplane",
    "umbrella",
    "piano",
    "pizza",
    "backpack",
    "sunglasses",
    "teddy bear",
)
"""Things of ImageNet that lie on none of the rendered tables."""
OTHER_NOUNS = {
    "ball": "sphere",
    "cube": "block",
    "cone": "traffic cone",
    "ring": "hoop",
    "can": "tin",
    "bottle": "flask",
    "mug": "cup",
    "bowl": "basin",
    "plate": "dish",
    "book": "textbook",
    "hammer": "mallet",
    "spoon": "teaspoon",
}
OTHER_COLOURS = {
    "red": "crimson",
    "green": "emerald",
    "blue": "azure",
    "yellow": "golden",
    "purple": "violet",
    "white": "ivory",
    "black": "ebony",
}
HELD, NEAR, FAR, THING, REWORDED = "held-out", "near", "far", "thing", "reworded"


def scene_observations(
    model: TextRegion, scenes: Iterable[LabelledScene], folder: Path
) -> Iterator[Observation]:
    """Every pair of colour and category, and things that are never there, asked of every scene.

    Present: pairs, each in plain and in other words, that are unique in their scene and at least
    60 % visible. Absent: pairs that are not in it, near where their category is, far where it is
    not; things of ImageNet. Other pairs are not asked.
    """
    for scene in scenes:
        encoded = model.encode(scene.rgb)
        asked = list(_questions(scene))
        logits = model.logits(encoded, [question.text for question, _ in asked])
        scores = model.scores(encoded, logits)
        masks = region_masks(encoded)
        for (question, number), row, score in zip(asked, logits, scores, strict=True):
            truth = scene.masks == number if number else None
            picture = folder / f"{scene.number:05d}"
            yield _observe(picture, question, truth, masks, encoded, row, score)


def _questions(scene: LabelledScene) -> Iterator[tuple[Question, int]]:
    """Questions, and the id of the object that each is about, 0 for none."""
    kinds = {item["category"] for item in scene.objects}
    for colour, category in PAIRS:
        text = f"a {colour} {category}"
        members = [i for i in scene.objects if (i["colour"], i["category"]) == (colour, category)]
        if not members:
            yield Question(text, kind=NEAR if category in kinds else FAR), 0
        elif len(members) == 1 and members[0]["visible"] >= VISIBLE:
            x, y, w, h = _box(scene.masks == members[0]["id"])
            kind = HELD if (colour, category) in HELD_OUT else ""
            yield Question(text, ((x, y, w, h),), kind=kind), members[0]["id"]
            other = reword(colour, category)
            yield Question(other, ((x, y, w, h),), kind=REWORDED), members[0]["id"]
    for thing in FAR_THINGS:
        yield Question(thing, kind=THING), 0


def reword(colour: str, category: str) -> str:
    """The same in other words: another colour word, another noun, another order, by turns."""
    noun, hue = OTHER_NOUNS.get(category, category), OTHER_COLOURS.get(colour, colour)
    turn = (len(colour) + len(category)) % 3
    return (f"{hue} {category}", f"the {colour} {noun}", f"{noun} that is {colour}")[turn]


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def _observe(
    picture: Path,
    question: Question,
    truth: np.ndarray | None,
    masks: np.ndarray,
    encoded: EncodedFrame,
    logits: np.ndarray,
    scores: np.ndarray,
) -> Observation:
    """One answer; truth H×W bool is the object's mask, masks R×H×W those of the regions."""
    if not len(logits):
        return Observation(picture, question, NO_REGION, 0.0, 0.0, False, False)
    best = int(logits.argmax())
    overlaps = np.zeros(len(logits))
    if truth is not None:
        shared = (masks & truth).sum((1, 2))
        overlaps = shared / np.maximum((masks | truth).sum((1, 2)), 1)
    x, y, w, h = (int(value) for value in encoded.boxes[best])
    return Observation(
        picture,
        question,
        float(logits[best]),
        float(leads(logits, encoded.overlaps)[best]),
        float(scores[best]),
        bool(overlaps[best] >= FOUND_IOU),
        bool((overlaps >= FOUND_IOU).any()),
        (x, y, w, h),
    )


@dataclass(frozen=True)
class Verdict:
    """What answers come to at a threshold; shares, nan where nothing was asked.

    right: of the present things, the best region is the right one, found or not. fits: some region
    fits. reworded: right where the phrase is a synonym, of which nothing else here takes account.
    found, elsewhere, missed: answered rightly, wrongly, not at all. false_finds: of the
    absent things by kind, those that are found. auroc: a present thing scores above an absent one.
    error: expected calibration error, half of the weight on absent things.
    """

    present: int
    absent: int
    right: float
    held_out: float
    reworded: float
    fits: float
    found: float
    elsewhere: float
    missed: float
    false_finds: dict[str, float]
    auroc: float
    error: float


def judge(observations: list[Observation], threshold: float) -> Verdict:
    """Sum up observations by their own scores."""
    reworded = [seen for seen in observations if seen.question.kind == REWORDED]
    observations = [seen for seen in observations if seen.question.kind != REWORDED]
    present = np.array([seen.question.present for seen in observations])
    right = np.array([seen.right for seen in observations])
    fits = np.array([seen.fits for seen in observations])
    scores = np.array([seen.score for seen in observations])
    kinds = np.array([seen.question.kind for seen in observations])
    answered = scores >= threshold
    absent = {kind: ~present & (kinds == kind) for kind in sorted(set(kinds[~present]))}
    return Verdict(
        present=int(present.sum()),
        absent=int((~present).sum()),
        right=_share(right, present),
        held_out=_share(right, present & (kinds == HELD)),
        reworded=float(np.mean([seen.right for seen in reworded])) if reworded else float("nan"),
        fits=_share(fits, present),
        found=_share(answered & right, present),
        elsewhere=_share(answered & ~right, present),
        missed=_share(~answered, present),
        false_finds={
            "all": _share(answered, ~present),
            **{kind: _share(answered, among) for kind, among in absent.items()},
        },
        auroc=auroc(scores[present], scores[~present]),
        error=expected_calibration_error(scores, right, balance(present)),
    )


def auroc(present: np.ndarray, absent: np.ndarray) -> float:
    """The chance that a present thing scores above an absent one."""
    if not (len(present) and len(absent)):
        return float("nan")
    return float(mannwhitneyu(present, absent).statistic / len(present) / len(absent))


def _share(picked: np.ndarray, among: np.ndarray) -> float:
    return float(picked[among].mean()) if among.any() else float("nan")

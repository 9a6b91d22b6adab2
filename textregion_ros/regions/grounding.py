"""Region tokens × text vectors -> scores, and the regions that answer each text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from textregion_ros.core.boxes import union_box
from textregion_ros.core.results import Grounding, Region
from textregion_ros.core.scene import Scene
from textregion_ros.regions.calibration import DUPLICATE_IOU, sigmoid
from textregion_ros.regions.encoders import Encoder


def relevancy(cosine: np.ndarray, rivals: np.ndarray, scale: float, bias: float) -> np.ndarray:
    """Return how much better a text describes each region than any negative does.

    It is the least, over the negatives, of the softmax over {text, negative}, as in LERF (arXiv
    2303.09553): sigmoid(scale · (cosine − rival)). Without negatives it is
    sigmoid(scale · cosine + bias).

    Args:
        cosine: [R], of each region's token with the text.
        rivals: R×N, of each region's token with each negative.
        scale: Of the encoder's score.
        bias: Of the encoder's score, where there are no negatives.

    Returns:
        float32 [R] in 0..1.
    """
    return sigmoid(logits(cosine, rivals, scale, bias))


def logits(cosine: np.ndarray, rivals: np.ndarray, scale: float, bias: float) -> np.ndarray:
    """Return what `relevancy` is the sigmoid of, [R]: above 0 where a text beats every negative.

    Args:
        cosine: As for `relevancy`.
        rivals: As for `relevancy`.
        scale: As for `relevancy`.
        bias: As for `relevancy`.
    """
    return scale * (cosine - rivals.max(1)) if rivals.shape[1] else scale * cosine + bias


def distinct(scores: np.ndarray, overlaps: np.ndarray, count: int) -> list[int]:
    """Return regions by falling score, without those that overlap a better one.

    Args:
        scores: [R].
        overlaps: R×R, IoU of every two masks.
        count: How many at most; 0 for all.
    """
    chosen: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if chosen and overlaps[index, chosen].max() > DUPLICATE_IOU:
            continue
        chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen


def answer(scene: Scene, text: str, scores: np.ndarray, threshold: float, top_k: int) -> Grounding:
    """Return the regions that answer a text, best first.

    Args:
        scene: The scene that was asked.
        text: What was looked for.
        scores: float32 [R], R ≥ 1, of the scene's regions.
        threshold: Least score that is found; 0 always gives the best region.
        top_k: Most regions; 0 for all.
    """
    ranked = distinct(scores, scene.encoded.overlaps, max(top_k, 2) if top_k else 0)
    best, second = (float(scores[index]) for index in (ranked[0], ranked[min(1, len(ranked) - 1)]))
    second *= len(ranked) > 1
    regions = tuple(
        region_of(
            scene, index, float(scores[index]), float(scores[index]) - (best if rank else second)
        )
        for rank, index in enumerate(ranked[:top_k] if top_k else ranked)
        if scores[index] >= threshold
    )
    return Grounding(
        text=text,
        found=bool(regions),
        score=best,
        regions=regions,
        box=union_box([region.box for region in regions]),
        image=scene.observation.header,
    )


def region_of(scene: Scene, index: int, score: float, margin: float) -> Region:
    """Return a region of a scene as an answer, with its pose where there is depth."""
    shape = scene.shape(index)
    return Region(
        id=index,
        box=scene.box(index),
        crop=scene.crop(index),
        image_size=scene.image_size,
        score=score,
        margin=margin,
        pose=None if shape is None else shape.pose,
    )


def no_answer(scene: Scene, text: str, unknown: tuple[str, ...] = ()) -> Grounding:
    """Return that a text was not found: no region is there, or words of it are not known."""
    return Grounding(text, False, 0.0, unknown=unknown, image=scene.observation.header)


def patch_scores(
    encoder: Encoder,
    values: Tensor,
    texts: Sequence[str],
    against: Sequence[str],
    normalise_values: bool,
) -> Tensor:
    """Return how much more like each text every patch is than like its negatives.

    Each patch is taken for a region of its own; the order is that of `relevancy`.

    Args:
        encoder: Made the values.
        values: Ph×Pw×D.
        texts: Q texts.
        against: Texts that each text must beat.
        normalise_values: Whether each patch's value gets unit length.

    Returns:
        float32 Q×Ph×Pw, differences of cosines; cosines without negatives.
    """
    if normalise_values:
        values = F.normalize(values, dim=-1)
    patches = F.normalize(encoder.project(values.flatten(0, 1)), dim=-1).float()
    vectors = torch.from_numpy(encoder.text([*texts, *against])).to(patches.device)
    scores, rivals = (vectors @ patches.T).split([len(texts), len(against)])
    for text, score in zip(texts, scores, strict=True):
        rival = others(text, against)
        if rival.any():
            score -= rivals[torch.from_numpy(rival).to(patches.device)].amax(0)
    return scores.unflatten(1, values.shape[:2])


def others(text: str, against: Sequence[str]) -> np.ndarray:
    """Return which of the negatives are not the text itself: bool [N]."""
    return np.array([other.casefold() != text.casefold() for other in against], bool)


def mask_overlaps(logits: Tensor) -> Tensor:
    """Return the IoU of every two masks: float32 R×R of mask logits R×L×L."""
    inside = (logits > 0).flatten(1).float()
    shared = inside @ inside.T
    area = inside.sum(1)
    return shared / (area[:, None] + area[None] - shared).clamp(min=1.0)

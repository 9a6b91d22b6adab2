"""Groundings drawn over the picture they were found in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import supervision as sv

from textregion_ros.core.results import Grounding


def draw(rgb: np.ndarray, groundings: Sequence[Grounding]) -> np.ndarray:
    """Draw masks, boxes, texts and scores over a picture.

    rgb: uint8 H×W×3. The n-th text has the n-th colour, whatever was found. Returns a new array of
    the same shape and type.
    """
    picture = np.ascontiguousarray(rgb[..., ::-1])  # supervision draws in BGR
    found = [(i, g.text, region) for i, g in enumerate(groundings) for region in g.regions]
    if found:
        height = rgb.shape[0]
        detections = sv.Detections(
            xyxy=np.array([_corners(region.box) for _, _, region in found], dtype=float),
            mask=np.array([region.mask for _, _, region in found]),
            class_id=np.array([index for index, _, _ in found]),
        )
        labels = [f"{text} {region.score:.2f}" for _, text, region in found]
        thickness = max(1, round(height / 240))
        scale = max(0.35, height / 960)
        picture = sv.MaskAnnotator(opacity=0.4).annotate(picture, detections)
        picture = sv.BoxAnnotator(thickness=thickness).annotate(picture, detections)
        annotator = sv.LabelAnnotator(
            text_scale=scale, text_padding=max(2, round(8 * scale)), smart_position=True
        )
        picture = annotator.annotate(picture, detections, labels)
    return np.ascontiguousarray(picture[..., ::-1])


def _corners(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x, y, width, height = box
    return x, y, x + width, y + height

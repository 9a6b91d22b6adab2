"""Region tokens × class names -> a label for every pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from textregion_ros.regions.bilinear import make_taps, sample
from textregion_ros.regions.results import EncodedFrame
from textregion_ros.regions.tokens import MASK_CEILING

LOGIT_SCALE = 50.0  # of the summed region logits, before the softmax over classes
BAND_VALUES = 16_000_000  # largest number of float32 held for one band of image rows


def paint(
    mask_rows: Callable[[int, int], Tensor], height: int, logits: Tensor, scale: float = LOGIT_SCALE
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum every region's class logits over its soft mask and take the best class.

    `mask_rows(start, stop)`: masks R×rows×w of those image rows; `logits`: R×Q, Q ≥ 1.
    Returns labels int16 h×w (0..Q−1), confidence float32 h×w, covered bool h×w: only covered
    pixels mean anything. Works in bands of rows, so that no R×h×w or Q×h×w tensor is needed.
    """
    parts, start = [], 0
    width = mask_rows(0, 1).shape[2]
    band = max(1, BAND_VALUES // (width * max(1, sum(logits.shape))))
    while start < height:
        masks = mask_rows(start, min(start + band, height)).float().clamp(0.0, 1.0)
        summed = scale * torch.einsum("rq,rhw->qhw", logits, masks)
        best = summed.max(0)
        confidence = (best.values - summed.logsumexp(0)).exp()
        parts.append((best.indices.to(torch.int16), confidence, (masks > 0).any(0)))
        start += band
    labels, confidence, covered = (torch.cat(part) for part in zip(*parts, strict=True))
    return labels, confidence, covered


def label_map(frame: EncodedFrame, logits: np.ndarray) -> np.ndarray:
    """int16 H×W at the camera's size: 0 where no region lies, k for the k-th class.

    `logits`: float32 R×Q, one row per region of `frame`.
    """
    height, width = frame.image_size
    if len(frame.tokens) == 0:
        return np.zeros((height, width), np.int16)
    soft = torch.from_numpy(frame.masks).float().clamp(0.0, MASK_CEILING)
    rows, columns = make_taps(soft.shape[1], height), make_taps(soft.shape[2], width)
    labels, _, covered = paint(
        lambda start, stop: sample(soft, rows.at(slice(start, stop)), columns),
        height,
        torch.from_numpy(logits),
    )
    return torch.where(covered, labels + 1, 0).to(torch.int16).numpy()

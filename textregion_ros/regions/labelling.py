"""Region tokens × class names -> a label for every pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textregion_ros.core.errors import BadText
from textregion_ros.core.scene import EncodedFrame
from textregion_ros.regions.bilinear import make_taps, sample
from textregion_ros.regions.tokens import MASK_CEILING

LOGIT_SCALE = 50.0  # of the summed region logits, before the softmax over classes
BAND_VALUES = 16_000_000  # largest number of float32 held for one band of image rows
MAX_CLASSES = np.iinfo(np.int16).max

Rows = Callable[[int, int], Tensor]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What pixels are labelled with.

    Attributes:
        texts: Q texts.
        labels: int16 [Q], the label of each; several may share one. 0 for background, k for the
            k-th name.
    """

    texts: tuple[str, ...]
    labels: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str | Sequence[str]], background: Sequence[str] = ()) -> Vocabulary:
        """Return the vocabulary of some names.

        Args:
            names: Each a text, or several phrasings of it.
            background: Texts of the background.

        Raises:
            BadText: There is no name, a name has no phrasing, or a label map cannot hold as many.
        """
        if isinstance(names, str) or isinstance(background, str):
            raise BadText("names and background must be lists of strings, not one string")
        if not len(names):
            raise BadText("no text was given")
        classes = [tuple(background), *((n,) if isinstance(n, str) else tuple(n) for n in names)]
        if not all(classes[1:]):
            raise BadText("a name has no phrasing")
        texts = tuple(text for phrasings in classes for text in phrasings)
        if len(texts) > MAX_CLASSES:
            raise BadText(f"{len(texts)} texts are more than a label map can hold ({MAX_CLASSES})")
        labels = np.repeat(np.arange(len(classes)), [len(phrasings) for phrasings in classes])
        return cls(texts, labels.astype(np.int16))


def paint(
    mask_rows: Rows,
    height: int,
    logits: Tensor,
    scale: float = LOGIT_SCALE,
    uncovered_rows: Rows | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum every region's class logits over its soft mask, and take the best class.

    Works in bands of rows, so that no R×h×w or Q×h×w tensor is needed.

    Args:
        mask_rows: Gives the masks R×rows×w of image rows start … stop − 1.
        height: Rows of the image.
        logits: R×Q, Q ≥ 1.
        scale: Of the summed logits, before the softmax over classes.
        uncovered_rows: Gives logits Q×rows×w of the pixels that no mask covers; None for 0.

    Returns:
        Labels int16 h×w in 0..Q−1; confidence float32 h×w, the softmax of the best class; and
        where a mask covers the pixel, bool h×w.
    """
    parts, start = [], 0
    width = mask_rows(0, 1).shape[2]
    band = max(1, BAND_VALUES // (width * max(1, sum(logits.shape))))
    while start < height:
        stop = min(start + band, height)
        masks = mask_rows(start, stop).float().clamp(0.0, 1.0)
        summed, covered = torch.einsum("rq,rhw->qhw", logits, masks), (masks > 0).any(0)
        if uncovered_rows is not None:
            summed = torch.where(covered, summed, uncovered_rows(start, stop))
        summed = scale * summed
        best = summed.max(0)
        confidence = (best.values - summed.logsumexp(0)).exp()
        parts.append((best.indices.to(torch.int16), confidence, covered))
        start = stop
    labels, confidence, covered = (torch.cat(part) for part in zip(*parts, strict=True))
    return labels, confidence, covered


def label_map(
    frame: EncodedFrame,
    vocabulary: Vocabulary,
    logits: Tensor,
    dense_logits: Tensor | None = None,
    threshold: float = 0.0,
    unknown_uncovered: bool = True,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return the label of each pixel's best text.

    Args:
        frame: The regions.
        vocabulary: The texts.
        logits: float32 R×Q, a row for each region, on the device to work on.
        dense_logits: Ph×Pw×Q, for pixels that no region covers.
        threshold: Least confidence; below it the label is 0.
        unknown_uncovered: Whether uncovered pixels are 0 whatever their logits.
        size: (H, W) of the labels; None for the camera image's.

    Returns:
        int16 H×W.
    """
    height, width = size or frame.image_size
    soft = torch.from_numpy(frame.masks).to(logits.device).float().clamp(0.0, MASK_CEILING)
    best, confidence, covered = paint(
        stretched(soft, (height, width)),
        height,
        logits,
        uncovered_rows=None
        if dense_logits is None
        else stretched(dense_logits.permute(2, 0, 1), (height, width)),
    )
    known = confidence >= threshold
    if unknown_uncovered:
        known &= covered
    labels = torch.from_numpy(vocabulary.labels).to(best.device)[best.long()]
    return torch.where(known, labels, 0).to(torch.int16).cpu().numpy()


def stretched(maps: Tensor, size: tuple[int, int]) -> Rows:
    """Return what gives maps N×h×w resized to (H, W), a band of rows at a time."""
    rows, columns = (
        make_taps(source, target, maps.device)
        for source, target in zip(maps.shape[1:], size, strict=True)
    )
    return lambda start, stop: sample(maps, rows.at(slice(start, stop)), columns)

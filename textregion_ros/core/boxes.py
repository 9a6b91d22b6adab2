"""Boxes x y w h, in whole pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Box = tuple[int, int, int, int]
"""Left and top pixel, width and height, px."""


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two boxes x y w h; 0 where both are empty."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = a[2] * a[3] + b[2] * b[3] - shared
    return shared / union if union > 0 else 0.0


def union_box(boxes: Sequence[Box]) -> Box | None:
    """Return the smallest box around all boxes; None for none."""
    if not boxes:
        return None
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes])
    left, top = corners[:, :2].min(0)
    right, bottom = corners[:, 2:].max(0)
    return int(left), int(top), int(right - left), int(bottom - top)


def mask_box(mask: np.ndarray) -> Box:
    """Return the smallest box around the True pixels of a mask H×W; all 0 where there is none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1

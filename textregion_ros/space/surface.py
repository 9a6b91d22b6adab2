"""Which pixels of a mask show the surface of its object, by their depth."""

from __future__ import annotations

import cv2
import numpy as np

from textregion_ros.core.camera import Intrinsics

# Neighbours are on one surface where their depth differs by no more than this share of it, for its
# noise, and by what a slope of this tangent, 76°, makes of one pixel.
SAME_SURFACE = 0.005
STEEPEST = 4.0
# A pixel with fewer than this many neighbours, of eight, on its surface hangs in the air.
SUPPORT = 3
# A part that is apart in depth is left out if it has less than this share of the pixels and fewer
# than this many. On the scenes of training/POSES.md flying pixels that meet by chance made parts of
# up to 8 pixels and 0.4 %; what an occluder cuts off an object is larger.
MIN_PART, MIN_PART_PIXELS = 0.05, 10
# An object reaches no farther in depth than this many times the diagonal of its mask's box.
MAX_DEPTH = 1.5
# Minimum share of mask pixels with valid depth, and their minimum number.
MIN_COVERAGE = 0.3
MIN_POINTS = 30


def find_surface(
    inside: np.ndarray, depth: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray | None:
    """Return the pixels of a mask that show the surface of one object.

    Left out are pixels at an edge of depth, where a sensor mixes near and far.

    Args:
        inside: bool h×w, the mask.
        depth: float32 h×w, m, NaN where missing.
        intrinsics: The camera; only its focal lengths are used.

    Returns:
        bool h×w; None where too few pixels are left.
    """
    share = _tolerance(intrinsics)
    kept = _support(np.where(inside, depth, np.float32(np.nan)), share) >= SUPPORT
    if kept.any():
        kept &= _within_reach(depth, np.median(depth[kept]), intrinsics)
    return kept if kept.sum() >= max(MIN_COVERAGE * inside.sum(), MIN_POINTS) else None


def large_parts(
    depth: np.ndarray, kept: np.ndarray, intrinsics: Intrinsics
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out small parts apart from the rest in depth, as flying pixels make.

    Args:
        depth: float32 h×w, m.
        kept: bool h×w, pixels of an object's surface.
        intrinsics: The camera; only its focal lengths are used.

    Returns:
        Those of the pixels that are in a part with enough of them, bool h×w, and the depth filled
        from them, as `filled_depth` does.
    """
    # Filled, so that holes and what stands before an object do not tear it apart.
    filled = filled_depth(depth, kept)
    parts = _parts(filled, _tolerance(intrinsics))
    sizes = np.bincount(parts[kept], minlength=parts.max() + 1)
    small = kept & (sizes < min(MIN_PART * kept.sum(), MIN_PART_PIXELS))[parts]
    if not small.any():
        return kept, filled
    kept = kept & ~small
    return kept, filled_depth(depth, kept)


def filled_depth(depth: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the depth where it is kept, elsewhere that of the nearest pixel that is: h×w, m."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~kept).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Kept pixels are numbered from 1 in the order of rows.
    order = np.concatenate([[np.float32(0)], depth[kept]])
    return order[nearest]


def _tolerance(intrinsics: Intrinsics) -> float:
    """Share of its depth by which a neighbour on the same surface may differ."""
    return min(1.0, SAME_SURFACE + STEEPEST / min(intrinsics.fx, intrinsics.fy))


def _support(depth: np.ndarray, share: float) -> np.ndarray:
    """How many of each pixel's eight neighbours are on its surface; 0 where it has no depth."""
    height, width = depth.shape
    padded = np.pad(depth, 1, constant_values=np.nan)
    tolerance = np.float32(share) * depth
    count = np.zeros(depth.shape, np.uint8)
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)):
        neighbour = padded[row : row + height, column : column + width]
        count += np.abs(neighbour - depth) <= tolerance
    return count


def _within_reach(depth: np.ndarray, middle: float, intrinsics: Intrinsics) -> np.ndarray:
    """Which pixels lie no farther from the middle depth than an object of this size can reach."""
    height, width = depth.shape
    reach = MAX_DEPTH * middle * np.hypot(width / intrinsics.fx, height / intrinsics.fy)
    return np.abs(np.nan_to_num(depth, nan=np.inf) - middle) <= reach


def _parts(depth: np.ndarray, share: float) -> np.ndarray:
    """Number the parts of a depth image whose neighbours are all on one surface: int32 h×w."""
    height, width = depth.shape
    # A grid with a pixel for each pixel, and one between each two that is set where they join.
    grid = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    grid[::2, ::2] = 1
    grid[::2, 1::2] = _join(depth[:, 1:], depth[:, :-1], share)
    grid[1::2, ::2] = _join(depth[1:], depth[:-1], share)
    return cv2.connectedComponents(grid, connectivity=4)[1][::2, ::2]


def _join(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    return np.abs(a - b) <= np.float32(share) * np.minimum(a, b)

"""Depth images as metres."""

from __future__ import annotations

import numpy as np

from textregion_ros.core.errors import BadImage

# Nothing is measured nearer or farther than this, m: such a value comes from a wrong unit, from a
# wrong camera matrix or from a simulator's sky.
NEAREST, FARTHEST = 0.001, 1000.0


def depth_metres(depth: np.ndarray) -> np.ndarray:
    """Return depth as float32 H×W, m, NaN where it is missing.

    Missing is 0, negative, NaN, infinite, nearer than 1 mm or farther than 1 km.

    Args:
        depth: H×W; uint16 in mm, or floating point in m.

    Raises:
        BadImage: The array has another shape or type.
    """
    if depth.ndim != 2:
        raise BadImage(f"depth has the shape {depth.shape} and must be H×W")
    if depth.dtype == np.uint16:
        metres = depth.astype(np.float32) / np.float32(1000)
    elif np.issubdtype(depth.dtype, np.floating):
        with np.errstate(over="ignore"):
            metres = depth.astype(np.float32)
    else:
        raise BadImage(f"depth is {depth.dtype} and must be uint16 (mm) or floating point (m)")
    metres[~((metres >= NEAREST) & (metres <= FARTHEST))] = np.nan
    return metres

"""Depth images: one unit, one way to say that a pixel has none, and points from it."""

from __future__ import annotations

import numpy as np

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.errors import BadImage

# Nothing is measured nearer or farther than this, m: such a value comes from a wrong unit, from a
# wrong camera matrix or from a simulator's sky.
NEAREST, FARTHEST = 0.001, 1000.0


def depth_metres(depth: np.ndarray) -> np.ndarray:
    """Return a depth image in metres, with NaN for missing.

    Missing is 0, negative, NaN, infinite, nearer than 1 mm or farther than 1 km.

    Args:
        depth: H×W, uint16 in mm or floating in m.

    Returns:
        float32 H×W, m.

    Raises:
        BadImage: The array has another shape or type.
    """
    if depth.ndim != 2:
        raise BadImage(f"depth is H×W, not {depth.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        if depth.dtype == np.uint16:
            metres = depth.astype(np.float32) / np.float32(1000)
        elif np.issubdtype(depth.dtype, np.floating):
            metres = depth.astype(np.float32)
        else:
            raise BadImage(f"depth is uint16 (mm) or floating (m), not {depth.dtype}")
        metres[~((metres >= NEAREST) & (metres <= FARTHEST))] = np.nan
    return metres


def points_at(
    u: np.ndarray, v: np.ndarray, depth: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray:
    """Return the points seen in columns u and rows v at depth N, m.

    Returns:
        float32 N×3, m; infinite where the camera matrix is absurd.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return intrinsics.points(u, v, depth)


def measurable(points: np.ndarray) -> np.ndarray:
    """Return which points N×3, m, a depth camera can have measured: bool N."""
    return (np.abs(points) <= FARTHEST).all(1)


def check_size(image_size: tuple[int, ...], intrinsics: Intrinsics) -> None:
    """Check that an image (H, W) has the size of its camera.

    Raises:
        BadImage: It has another one.
    """
    if tuple(image_size) != (intrinsics.height, intrinsics.width):
        height, width = image_size
        raise BadImage(
            f"{width}×{height} px, but the camera has {intrinsics.width}×{intrinsics.height}"
        )

"""Points from depth, and whether they can be real."""

from __future__ import annotations

import numpy as np

from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.depth import FARTHEST
from textregion_ros.core.errors import BadImage


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

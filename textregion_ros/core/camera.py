"""A pinhole camera: where a pixel's ray goes, and where a point is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion. The centre of pixel (0, 0) is at (0, 0).

    Attributes:
        fx, fy: Focal lengths, px.
        cx, cy: Principal point, px.
        width, height: Size of the image, px.

    Raises:
        ValueError: A focal length or the size is not positive, or a value is not finite.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        positive = np.array([self.fx, self.fy, self.width, self.height])
        known = np.isfinite([*positive, self.cx, self.cy]).all()
        if not known or (positive <= 0).any():
            raise ValueError(f"no camera is like this: {self}")

    def points(self, u: np.ndarray, v: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
        """Return the points seen at columns u and rows v, px: float32 N×3, m."""
        z = np.asarray(depth_m, np.float64)
        x, y = (u - self.cx) * z / self.fx, (v - self.cy) * z / self.fy
        return np.stack([x, y, z], axis=-1).astype(np.float32)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return where points N×3 in front of the camera are seen: float64 N×2, u v px."""
        x, y, z = np.asarray(points, np.float64).T
        return np.stack([x * self.fx / z + self.cx, y * self.fy / z + self.cy], axis=-1)

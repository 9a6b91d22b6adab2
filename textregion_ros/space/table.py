"""The table: the plane that objects stand on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textregion_ros.core.camera import Intrinsics
from textregion_ros.space.oriented_boxes import along
from textregion_ros.space.points import check_size, measurable, points_at

TABLE_POINTS = 3000
TABLE_DRAWS = 256
# A plane is the table only if at least this share of the points lies on it.
MIN_TABLE = 0.15
# Three points span a plane if their parallelogram has at least this area, m².
MIN_AREA = 1e-6
# A plane nearer to the camera than this is seen edge-on and is no table, m.
MIN_OFFSET = 0.01


@dataclass(frozen=True, eq=False)
class Plane:
    """The points p with normal · p + offset = 0.

    Attributes:
        normal: float64 3, unit length, out of the plane towards the camera.
        offset: Height of the camera above the plane, m.
        noise: Standard deviation of the measured points about the plane, m.
    """

    normal: np.ndarray
    offset: float
    noise: float

    def heights(self, points: np.ndarray) -> np.ndarray:
        """Return how far points N×3 lie above the plane, on the camera's side: N, m."""
        return along(points, self.normal) + self.offset

    def __repr__(self) -> str:
        normal = np.round(self.normal, 3).tolist()
        return f"Plane(normal={normal}, offset={self.offset:.3f}, noise={self.noise:.4f})"


def find_table(depth: np.ndarray, intrinsics: Intrinsics) -> Plane | None:
    """Return the plane that objects stand on.

    Of several large planes it is the one that faces up in the image, since cameras are seldom
    mounted upside down. The same depth gives the same plane.

    Args:
        depth: float32 H×W, m, NaN where missing.
        intrinsics: The depth image's camera.

    Returns:
        The table; None where no plane holds enough of the points.

    Raises:
        BadImage: The sizes differ.
    """
    check_size(depth.shape, intrinsics)
    points = _sample(depth, intrinsics)
    if len(points) < TABLE_POINTS / 30:
        return None
    # Depth noise grows with the square of the distance.
    tolerance = 0.005 + 0.005 * points[:, 2] ** 2
    normals, offsets = _draw_planes(points)
    if not len(normals):
        return None
    near = np.abs(along(points, normals.T) + offsets) < tolerance[:, None]
    best, best_score = None, 0.0
    for _ in range(3):
        counts = near.sum(0)
        index = int(counts.argmax())
        on = near[:, index]
        if counts[index] < MIN_TABLE * len(points):
            break
        plane = _fit_plane(points, on, tolerance)
        score = counts[index] * max(-plane.normal[1], 0.25)
        if score > best_score:
            best, best_score = plane, score
        near = near & ~on[:, None]
    return best


def _sample(depth: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Points on a grid over the image, float32 N×3."""
    step = max(1, int(np.sqrt(depth.size / TABLE_POINTS)))
    height, width = depth.shape
    v, u = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    seen = np.isfinite(depth[v, u])
    v, u = v[seen], u[seen]
    points = points_at(u, v, depth[v, u], intrinsics)
    return points[measurable(points)]


def _draw_planes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Planes through three points each: unit normals K×3 towards the camera, offsets K."""
    rng = np.random.default_rng(0)
    a, b, c = points[rng.integers(0, len(points), (3, TABLE_DRAWS))]
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1)
    spanned = areas > MIN_AREA
    normals = normals[spanned] / areas[spanned, None]
    offsets = -np.einsum("ij,ij->i", normals, a[spanned])
    side = np.where(offsets < 0, -1, 1).astype(np.float32)
    faced = np.abs(offsets) > MIN_OFFSET
    return (normals * side[:, None])[faced], (offsets * side)[faced]


def _fit_plane(points: np.ndarray, on: np.ndarray, tolerance: np.ndarray) -> Plane:
    """The least-squares plane of the points that lie on it, found again twice."""
    points = points.astype(np.float64)
    for _ in range(3):
        weights = on / tolerance**2
        weights = weights / weights.sum()
        centre = np.einsum("n,ni->i", weights, points)
        apart = points - centre
        normal = np.linalg.eigh(np.einsum("n,ni,nj->ij", weights, apart, apart))[1][:, 0]
        normal = -normal if normal @ centre > 0 else normal
        distances = along(apart, normal)
        on = np.abs(distances) < tolerance
    # From the median: what stands on the table lies to one side.
    noise = 1.4826 * float(np.median(np.abs(distances[on])))
    return Plane(normal, float(-normal @ centre), noise)

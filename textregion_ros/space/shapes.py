"""Masks, depth and a camera to the shapes of objects in space. Imports no ROS.

Everything is in the camera's optical frame (x right, y down, z forward), in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from textregion_ros.boxes import along, principal_box, quaternion, upright_box

# Neighbours are on one surface where their depth differs by no more than this share of it, for its
# noise, and by what a slope of this tangent, 76°, makes of one pixel. A pixel with fewer than so
# many of them, of eight, hangs in the air.
SAME_SURFACE = 0.005
STEEPEST = 4.0
SUPPORT = 3
# Of a region's pixels, as many must have depth that is of use.
MIN_COVERAGE = 0.3
MIN_POINTS = 30
# An object reaches no farther in depth than so many times the diagonal of its mask's box.
MAX_DEPTH = 1.5
# As many of a region's points must rise above the table for the rest to be the table.
MIN_RAISED = 0.5
# Points less than so many standard deviations of the table's noise above it are the table's.
TABLE_NOISE = 2.0

TABLE_POINTS = 3000
TABLE_DRAWS = 256
# A plane is the table where as many of the points lie on it.
MIN_TABLE = 0.15


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion, px. Pixel (0, 0) has its centre at (0, 0).

    Raises ValueError where the focal lengths or the size are not positive and finite.
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


@dataclass(frozen=True)
class Plane:
    """The points p with normal · p + offset = 0.

    normal: unit float64 3, out of the plane towards the camera. offset: m, of the camera above it.
    noise: standard deviation of the measured points about the plane, m.
    """

    normal: np.ndarray
    offset: float
    noise: float

    def heights(self, points: np.ndarray) -> np.ndarray:
        """Return how far points N×3 lie above the plane, on the camera's side: N, m."""
        return along(points, self.normal) + self.offset


@dataclass(frozen=True)
class RegionShape:
    """What depth says of one region.

    points: float32 N×3 on its visible surface, outliers left out. pixels: int32 N, where each is
    in the image, row · width + column. centroid: float64 3, mean of the points. position:
    float64 3, centre of the oriented box; orientation: float64 x y z w, unit, from the box's axes
    to the optical frame; size: float64 3, m, the box's extents along its axes.
    With a table the box's z is the vertical, its x the longer of the other two; without, the axes
    are those of the points' spread, widest first.
    """

    points: np.ndarray
    pixels: np.ndarray
    centroid: np.ndarray
    position: np.ndarray
    orientation: np.ndarray
    size: np.ndarray


def depth_metres(depth: np.ndarray) -> np.ndarray:
    """Return depth H×W as float32 m, NaN where it is missing: 0, negative, NaN or infinite.

    depth: uint16 mm, or floating m. Raises ValueError for anything else.
    """
    if depth.ndim != 2:
        raise ValueError(f"depth is H×W, not {depth.shape}")
    if depth.dtype == np.uint16:
        metres = depth.astype(np.float32) / np.float32(1000)
    elif np.issubdtype(depth.dtype, np.floating):
        metres = depth.astype(np.float32)
    else:
        raise ValueError(f"depth is uint16 (mm) or floating (m), not {depth.dtype}")
    metres[~(np.isfinite(metres) & (metres > 0))] = np.nan
    return metres


def find_table(depth_m: np.ndarray, camera: Camera) -> Plane | None:
    """Return the plane that objects stand on, or None where no plane holds enough of the points.

    depth_m: float32 H×W, m, NaN where missing. Of several large planes it is the one that faces
    up in the image, since cameras are seldom mounted upside down. The same depth gives the same
    plane. Raises ValueError where the sizes differ.
    """
    _check_size(depth_m, camera)
    points = _sample(depth_m, camera)
    if len(points) < TABLE_POINTS / 30:
        return None
    depth = points[:, 2]
    # Depth noise grows with the square of the distance.
    tolerance = 0.005 + 0.005 * depth**2
    normals, offsets = _draw_planes(points)
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


def _sample(depth_m: np.ndarray, camera: Camera) -> np.ndarray:
    """Points on a grid over the image, float32 N×3."""
    step = max(1, int(np.sqrt(depth_m.size / TABLE_POINTS)))
    v, u = np.mgrid[step // 2 : camera.height : step, step // 2 : camera.width : step]
    depth = depth_m[v, u]
    seen = np.isfinite(depth)
    return camera.points(u[seen], v[seen], depth[seen])


def _draw_planes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Planes through three points each: unit normals K×3 towards the camera, offsets K."""
    rng = np.random.default_rng(0)
    a, b, c = points[rng.integers(0, len(points), (3, TABLE_DRAWS))]
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    good = lengths > 1e-6
    normals = normals[good] / lengths[good, None]
    offsets = -np.einsum("ij,ij->i", normals, a[good])
    side = np.where(offsets < 0, -1, 1).astype(np.float32)
    return normals * side[:, None], offsets * side


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


def region_shape(
    mask: np.ndarray, depth_m: np.ndarray, camera: Camera, table: Plane | None
) -> RegionShape | None:
    """Return the shape of a region, or None where its depth is missing or too sparse for one.

    mask: bool H×W; depth_m: float32 H×W, m, NaN where missing. Left out are pixels at an edge of
    depth, where a sensor mixes near and far, small parts apart from the rest, and the table where
    the mask runs over onto it. Raises ValueError where the sizes differ.
    """
    _check_size(depth_m, camera)
    _check_size(mask, camera)
    window = _window(mask)
    if window is None:
        return None
    inside, depth = mask[window], depth_m[window]
    kept = _surface(inside, depth, camera)
    if kept is None:
        return None
    rows, columns = np.nonzero(inside)
    v, u = rows + window[0].start, columns + window[1].start
    on, filled = kept[inside], _filled(depth, kept)
    rays = camera.points(u, v, np.ones(len(u)))
    if table is not None:
        raised = _raised(rays, cv2.medianBlur(filled, 5)[inside], on, table)
        rays, u, v, on = rays[raised], u[raised], v[raised], on[raised]
    points = rays * filled[v - window[0].start, u - window[1].start, None]
    centroid = points.mean(0, dtype=np.float64)
    points, pixels = points[on], (v * camera.width + u)[on].astype(np.int32)
    if table is None:
        axes, low, high = principal_box(points)
    else:
        axes, low, high = upright_box(points, table.normal, table.offset)
    return RegionShape(
        points=points,
        pixels=pixels,
        centroid=centroid,
        position=axes @ (low + high) / 2,
        orientation=quaternion(axes),
        size=high - low,
    )


def _raised(rays: np.ndarray, depth: np.ndarray, on: np.ndarray, table: Plane) -> np.ndarray:
    """Which pixels lie above the table, bool N; all of them where too few of those kept do.

    A flat object is lost in the table's noise, and then nothing tells it from the table.
    """
    raised = table.heights(rays * depth[:, None]) > TABLE_NOISE * table.noise
    enough = max(MIN_RAISED * on.sum(), MIN_POINTS)
    return raised if (raised & on).sum() >= enough else np.ones_like(raised)


def _filled(depth: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Depth where it is kept, elsewhere that of the nearest pixel that is."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~kept).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Kept pixels are numbered from 1 in the order of rows.
    order = np.concatenate([[np.float32(0)], depth[kept]])
    return order[nearest]


def _check_size(image: np.ndarray, camera: Camera) -> None:
    if image.shape != (camera.height, camera.width):
        height, width = image.shape[:2]
        raise ValueError(f"{width}×{height} px, but the camera has {camera.width}×{camera.height}")


def _window(mask: np.ndarray, margin: int = 2) -> tuple[slice, slice] | None:
    """The part of the image that holds the mask and some pixels around it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return tuple(slice(max(0, at[0] - margin), at[-1] + 1 + margin) for at in (rows, columns))


def _surface(inside: np.ndarray, depth: np.ndarray, camera: Camera) -> np.ndarray | None:
    """The pixels of a mask that show the surface of one object, bool; None for too few."""
    tolerance = SAME_SURFACE + STEEPEST / min(camera.fx, camera.fy)
    kept = _support(np.where(inside, depth, np.float32(np.nan)), tolerance) >= SUPPORT
    if kept.any():
        middle = np.median(depth[kept])
        height, width = inside.shape
        reach = MAX_DEPTH * middle * np.hypot(width / camera.fx, height / camera.fy)
        kept &= np.abs(np.nan_to_num(depth, nan=np.inf) - middle) <= reach
    return kept if kept.sum() >= max(MIN_COVERAGE * inside.sum(), MIN_POINTS) else None


def _support(depth: np.ndarray, share: float) -> np.ndarray:
    """How many of each pixel's eight neighbours have its depth but for a share of it.

    0 where it has none.
    """
    height, width = depth.shape
    padded = np.pad(depth, 1, constant_values=np.nan)
    tolerance = np.float32(share) * depth
    count = np.zeros(depth.shape, np.uint8)
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)):
        neighbour = padded[row : row + height, column : column + width]
        count += np.abs(neighbour - depth) <= tolerance
    return count

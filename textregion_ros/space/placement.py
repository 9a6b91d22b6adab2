"""Where regions are, in the picture and in space, as numbers that relations compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

# A region's extent in space leaves out so much of its points at either end: depth is noisy there.
OUTER = 0.02
# As many points of a region are enough to tell its extent.
POINTS = 400


@dataclass(frozen=True, eq=False)
class Placement:
    """Where one region is. What is None is not known.

    box: x y w h, px of the camera image. mask: bool h×w, cropped to the box. centroid: float64 3,
    mean of its visible points. position, size: float64 3, centre and extents of its upright box,
    the last extent the vertical one. points: N×3 on its visible surface. All in space is in the
    camera's optical frame (x right, y down, z forward), m.
    """

    box: tuple[int, int, int, int]
    mask: np.ndarray | None = None
    centroid: np.ndarray | None = None
    position: np.ndarray | None = None
    size: np.ndarray | None = None
    points: np.ndarray | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Layout:
    """The placements of R regions as arrays of one shape, float64 where nothing else is said.

    In the picture, px: left, top, right, bottom of the box; u, v, the mean of the mask's pixels;
    area, their number.
    In space, m: x, y, z, the centroid to the viewer's right, up, and away from the viewer along
    the ground; x0 … z1, the low and high end of the extent along each; distance from the camera;
    face, m², the largest side of the upright box. solid: bool, whether these are known. upright:
    bool, whether the vertical is known too; where it is not, up is the camera's.
    """

    left: np.ndarray
    top: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    u: np.ndarray
    v: np.ndarray
    area: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    x0: np.ndarray
    y0: np.ndarray
    z0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    z1: np.ndarray
    distance: np.ndarray
    face: np.ndarray
    solid: np.ndarray
    upright: np.ndarray

    @classmethod
    def of(cls, placements: Sequence[Placement], up: np.ndarray | None = None) -> Layout:
        """Return the layout of a scene; made once, it serves every sentence.

        Args:
            placements: one a region.
            up: 3, out of the table, in the optical frame; None where no plane is known.

        Raises:
            ValueError: up has no direction, or a mask is not of its box's size.
        """
        axes = _axes(up)
        flat = np.array([_flat(placement) for placement in placements]).reshape(-1, 7)
        space = np.array([_space(placement, axes) for placement in placements]).reshape(-1, 11)
        solid = np.isfinite(space).all(1)
        # What is not known is never looked at; zeros keep it from raising warnings.
        numbers = np.concatenate([flat, np.where(solid[:, None], space, 0.0)], axis=1)
        return cls(*[*numbers.T.copy(), solid, solid & (up is not None)])

    def __len__(self) -> int:
        return len(self.u)

    def take(self, regions: np.ndarray) -> Layout:
        """Return the layout of some regions, by their numbers."""
        return Layout(*(getattr(self, field.name)[regions] for field in fields(self)))

    def along(self, axis: int, axes: int) -> Layout:
        """Return it with its regions along one of several axes, for broadcasting."""
        shape = [1] * axes
        shape[axis] = -1
        return Layout(*(getattr(self, field.name).reshape(shape) for field in fields(self)))

    @cached_property
    def overlaps(self) -> np.ndarray:
        """The intersection over union of the boxes, float64 R×R."""
        one, other = self.along(0, 2), self.along(1, 2)
        width = np.minimum(one.right, other.right) - np.maximum(one.left, other.left)
        height = np.minimum(one.bottom, other.bottom) - np.maximum(one.top, other.top)
        shared = width.clip(0) * height.clip(0)
        area = (self.right - self.left) * (self.bottom - self.top)
        return shared / np.maximum(area[:, None] + area - shared, 1e-9)


def _axes(up: np.ndarray | None) -> np.ndarray:
    """To the right, up, and away from the viewer, unit vectors as columns of 3×3."""
    up = np.array([0.0, -1.0, 0.0]) if up is None else np.array(up, np.float64)
    length = np.linalg.norm(up)
    if up.shape != (3,) or not 0 < length < np.inf:
        raise ValueError(f"up is a direction in space, not {up}")
    up = up / length
    # Where the camera lies on its side, its right is no level direction.
    right = np.array([1.0, 0, 0]) if abs(up[0]) < 0.9 else np.array([0.0, 1, 0])
    right = right - up * (right @ up)
    right /= np.linalg.norm(right)
    return np.stack([right, up, np.cross(up, right)], axis=1)


def _flat(placement: Placement) -> tuple[float, ...]:
    x, y, w, h = (float(number) for number in placement.box)
    mask = placement.mask
    if mask is None or not mask.any():
        return x, y, x + w, y + h, x + w / 2, y + h / 2, w * h
    if mask.shape != (h, w):
        raise ValueError(f"a mask of {mask.shape} in a box {placement.box}: it is h×w of the box")
    rows, columns = mask.sum(1), mask.sum(0)
    area = float(rows.sum())
    u = x + 0.5 + float(columns @ np.arange(w)) / area
    v = y + 0.5 + float(rows @ np.arange(h)) / area
    return x, y, x + w, y + h, u, v, area


def _space(placement: Placement, axes: np.ndarray) -> np.ndarray:
    """Centroid, low end, high end, distance, face; NaN where it is not known."""
    unknown = np.full(11, np.nan)
    if placement.centroid is None:
        return unknown
    ends = _extent(placement, axes)
    if ends is None:
        return unknown
    centroid = np.asarray(placement.centroid, np.float64)
    size = ends[1] - ends[0] if placement.size is None else np.asarray(placement.size)
    tail = [np.linalg.norm(centroid), np.prod(np.sort(size)[1:])]
    return np.concatenate([_turned(centroid[None], axes)[0], *ends, tail])


def _extent(placement: Placement, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    points = placement.points
    if points is not None and len(points):
        step = max(1, len(points) // POINTS)
        ordered = np.sort(_turned(np.asarray(points[::step], np.float64), axes), axis=0)
        skip = int(OUTER * len(ordered))
        return ordered[skip], ordered[len(ordered) - 1 - skip]
    if placement.position is None or placement.size is None:
        return None
    middle = _turned(np.asarray(placement.position, np.float64)[None], axes)[0]
    length, width, height = (float(number) for number in placement.size)
    # Which way its longer side points is not known.
    level = np.sqrt(length * width) / 2
    half = np.array([level, height / 2, level])
    return middle - half, middle + half


def _turned(points: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Points N×3 along the axes. Not a matrix product: BLAS would share it among threads."""
    x, y, z = points.T
    return np.stack([x * axis[0] + y * axis[1] + z * axis[2] for axis in axes.T], axis=1)

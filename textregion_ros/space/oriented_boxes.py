"""Oriented boxes around points: axes, extents and rotations."""

from __future__ import annotations

import cv2
import numpy as np

# An object whose lowest point is nearer to the table than this stands on it, m.
FOOT = 0.02


def upright_box(
    points: np.ndarray, up: np.ndarray, offset: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the smallest box around points that stands upright on a table.

    The axes are right-handed: z is up, x the longer of the others and points to the image's right.
    A box whose lowest point is near the table reaches down to it.

    Args:
        points: N×3, m.
        up: The table's normal, unit length.
        offset: The table's offset, m: up · p + offset = 0.

    Returns:
        The axes as columns 3×3, and the low and the high end along each, m.
    """
    across = _level_axes(up)
    flat = along(points, across)
    hull = cv2.convexHull(flat.astype(np.float32))[:, 0].astype(np.float64)
    edges = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.mod(np.arctan2(edges[:, 1], edges[:, 0]), np.pi / 2))
    turns = np.stack([np.cos(angles), np.sin(angles)])
    length = np.ptp(hull @ turns, axis=0)
    width = np.ptp(hull @ np.stack([-turns[1], turns[0]]), axis=0)
    best = int(np.argmin(length * width))
    # From 0° to 180° of the image's right, and of its two directions the one to the right.
    angle = angles[best] + (np.pi / 2 if width[best] > length[best] else 0.0)
    angle = angle - np.pi if angle > np.pi / 2 else angle
    x = across @ [np.cos(angle), np.sin(angle)]
    axes = np.stack([x, np.cross(up, x), up], axis=1)
    low, high = _extent(points, axes)
    if low[2] + offset < FOOT:
        low[2] = -offset
    return axes, low, high


def _level_axes(up: np.ndarray) -> np.ndarray:
    """Two unit vectors in the plane, 3×2: the first points to the image's right."""
    right = np.array([1.0, 0, 0]) if abs(up[0]) < 0.9 else np.array([0.0, 1, 0])
    x = right - up * (right @ up)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x)], axis=1)


def principal_box(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the box around points along the axes of their spread, the widest first.

    Args:
        points: N×3, m.

    Returns:
        The right-handed axes as columns 3×3, and the low and the high end along each, m.
    """
    apart = points - points.mean(0, dtype=np.float64)
    axes = np.linalg.eigh(np.einsum("ni,nj->ij", apart, apart))[1][:, ::-1].copy()
    # An eigenvector's sign is arbitrary: its largest component is made positive.
    largest = np.abs(axes).argmax(0)
    axes *= np.where(axes[largest, range(3)] < 0, -1.0, 1.0)
    axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
    return axes, *_extent(points, axes)


def along(points: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return how far points N×3 lie along one axis (3) or several (3×K): N or N×K.

    Not a matrix product: BLAS would share this little work among threads, and where the cores are
    busy it then waits for them many times longer than the work takes.
    """
    x, y, z = points.T
    if axes.ndim == 1:
        return x * axes[0] + y * axes[1] + z * axes[2]
    return np.stack([along(points, axis) for axis in axes.T], axis=1)


def _extent(points: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = along(points, axes)
    return places.min(0), places.max(0)


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Return a rotation matrix as unit x y z w with w ≥ 0."""
    m = rotation
    trace = np.trace(m)
    outer = np.empty((4, 4))
    outer[:3, :3] = m + m.T - trace * np.eye(3)
    outer[:3, 3] = outer[3, :3] = [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]]
    outer[3, 3] = trace
    # Four times the outer product of the quaternion with itself, but for the identity.
    found = np.linalg.eigh(outer)[1][:, -1]
    return -found if found[3] < 0 else found

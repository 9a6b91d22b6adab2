"""A box on a table whose place is known by hand, as a depth camera sees it."""

import numpy as np

from textregion_ros.core.boxes import mask_box
from textregion_ros.core.camera import Intrinsics
from textregion_ros.space.shapes import region_shape
from textregion_ros.space.table import find_table

CAMERA = Intrinsics(300.0, 310.0, 80.0, 60.5, 160, 120)


def rotation(a, b, c):
    """A rotation by three angles, radians."""
    turns = []
    for axis, angle in ((0, a), (1, b), (2, c)):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        turns.append(turn)
    return turns[0] @ turns[1] @ turns[2]


def rays(camera=CAMERA):
    v, u = np.mgrid[: camera.height, : camera.width]
    return np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1
    )


class Tabletop:
    """A camera 0.5 m above a table, pitched down, and a box on it, seen without noise."""

    def __init__(self, pitch=50.0, yaw=0.3, size=(0.08, 0.05, 0.06), at=(0.01, 0.0), roll=0.0):
        # In the table's frame: x right, y away, z up, the origin in the middle of the view.
        self.size, self.yaw = np.array(size), yaw
        s, c = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
        level = np.array([[1.0, 0, 0], [0, -s, c], [0, -c, -s]])  # optical to table, as columns
        self.turn = level @ rotation(0, 0, roll)
        self.eye = -level[:, 2] * 0.5 / s
        self.up = self.turn.T @ [0, 0, 1.0]
        directions = rays() @ self.turn.T
        self.table = -self.eye[2] / np.minimum(directions[..., 2], -1e-9)
        foot = np.array([*at, 0.0])
        self.box_turn = rotation(0, 0, yaw)
        self.centre = self.turn.T @ (foot - self.eye) + size[2] / 2 * self.up
        self.box = self._hit(directions, foot)
        self.mask = self.box < self.table
        self.depth = np.minimum(self.box, self.table).astype(np.float32)
        points = rays()[self.mask] * self.depth[self.mask][:, None]
        self.centroid = points.mean(0)

    def _hit(self, directions, foot):
        """Depth at which each ray enters the box, inf where it misses."""
        low, high = np.array([-0.5, -0.5, 0]) * self.size, np.array([0.5, 0.5, 1]) * self.size
        start = self.box_turn.T @ (self.eye - foot)
        along = directions @ self.box_turn
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ends = np.stack([(low - start) / along, (high - start) / along])
        enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
        return np.where(enter < leave, enter, np.inf)

    def shape(self, depth=None, mask=None, table="found"):
        depth = self.depth if depth is None else depth
        plane = find_table(depth, CAMERA) if table == "found" else table
        return shape_of(self.mask if mask is None else mask, depth, plane)


def shape_of(mask, depth, table=None, camera=CAMERA):
    """The shape of a mask bool H×W."""
    x, y, w, h = mask_box(mask)
    return region_shape(mask[y : y + h, x : x + w], (x, y, w, h), depth, camera, table)


def noisy(depth, seed, sigma=0.001, lost=0.1):
    rng = np.random.default_rng(seed)
    depth = depth + rng.normal(0, sigma, depth.shape)
    return np.where(rng.random(depth.shape) < lost, np.nan, depth).astype(np.float32)

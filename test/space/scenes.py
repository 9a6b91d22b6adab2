"""Tabletops of boxes seen by a pinhole camera, whose geometry is known exactly.

The table's frame: x to the viewer's right, y away from the viewer, z up, m; its origin is the
middle of the table.
"""

from dataclasses import dataclass, field

import numpy as np

from textregion_ros.space.placement import Layout, Placement

WIDTH, HEIGHT, FOCAL = 200, 150, 170.0
KINDS = ("mug", "can", "bowl", "book")
WALL = 0.006


@dataclass
class Thing:
    """An upright box: its middle on the ground x y, its foot z, its size, its turn, radians."""

    kind: str
    at: np.ndarray
    foot: float
    size: np.ndarray
    yaw: float = 0.0
    hollow: bool = False
    visible: float = 1.0
    seen: tuple = field(default=(0.0, 0.0))

    @property
    def middle(self):
        return np.array([*self.at, self.foot + self.size[2] / 2])

    @property
    def radius(self):
        return float(np.hypot(*self.size[:2]) / 2)

    def slabs(self):
        """Centre and half size of the solid boxes it is made of, in its own frame."""
        half = self.size / 2
        if not self.hollow:
            return [(np.zeros(3), half)]
        floor = (np.array([0, 0, WALL / 2 - half[2]]), np.array([half[0], half[1], WALL / 2]))
        walls = [floor]
        for axis in (0, 1):
            for side in (-1, 1):
                centre, thick = np.zeros(3), half.copy()
                centre[axis], thick[axis] = side * (half[axis] - WALL / 2), WALL / 2
                walls.append((centre, thick))
        return walls


@dataclass
class Camera:
    """It looks at the middle of the table from `away` m, pitched down, degrees."""

    pitch: float
    away: float

    def __post_init__(self):
        s, c = np.sin(np.radians(self.pitch)), np.cos(np.radians(self.pitch))
        # The optical axes in the table's frame, as columns: right, down, ahead.
        self.turn = np.array([[1.0, 0, 0], [0, -s, c], [0, -c, -s]])
        self.eye = -self.turn[:, 2] * self.away
        self.up = self.turn.T @ [0, 0, 1.0]

    def rays(self):
        v, u = np.mgrid[:HEIGHT, :WIDTH]
        ahead = np.ones(u.shape)
        rays = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, ahead], -1)
        return rays.reshape(-1, 3)

    def project(self, point):
        x, y, z = self.turn.T @ (point - self.eye)
        return x / z * FOCAL + WIDTH / 2, y / z * FOCAL + HEIGHT / 2


def depth_of(thing, eye, rays):
    """Depth along the rays to a thing, inf where they miss; rays have a depth of 1."""
    c, s = np.cos(thing.yaw), np.sin(thing.yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    directions = rays @ turn
    directions = np.where(np.abs(directions) < 1e-9, 1e-9, directions)
    origin = (eye - thing.middle) @ turn
    depth = np.full(len(rays), np.inf)
    for centre, half in thing.slabs():
        one = (centre - half - origin) / directions
        other = (centre + half - origin) / directions
        enter = np.minimum(one, other).max(1)
        leave = np.maximum(one, other).min(1)
        depth = np.minimum(depth, np.where((enter <= leave) & (enter > 0), enter, np.inf))
    return depth


class Scene:
    """Things on a table, rendered: an image of depth and one that says which thing is seen."""

    def __init__(self, things, camera, rng):
        self.camera, self.rng = camera, rng
        rays = camera.rays()
        world = rays @ camera.turn.T
        depths = np.array([depth_of(thing, camera.eye, world) for thing in things])
        table = -camera.eye[2] / np.minimum(world[:, 2], -1e-9)
        nearest = depths.argmin(0)
        shown = np.where(depths.min(0) < table, nearest, -1)
        self.depth = np.minimum(depths.min(0), table)
        whole = np.isfinite(depths).sum(1).clip(1)
        counts = np.array([(shown == index).sum() for index in range(len(things))])
        for thing, share in zip(things, counts / whole, strict=True):
            thing.visible = float(share)
            thing.seen = camera.project(thing.middle)
        kept = [index for index, count in enumerate(counts) if count >= 12]
        self.things = [things[index] for index in kept]
        self.masks = [(shown == index).reshape(HEIGHT, WIDTH) for index in kept]
        self.rays = rays

    def layout(self, with_depth):
        return Layout.of(self.placements(with_depth), self.camera.up if with_depth else None)

    def placements(self, with_depth):
        noise = self.rng.normal(0, 0.002, self.depth.shape) * self.depth**2
        points = self.rays * (self.depth + noise)[:, None]
        return [placement(mask, points if with_depth else None) for mask in self.masks]


def placement(mask, points):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    w, h = int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
    cropped = mask[y : y + h, x : x + w]
    if points is None:
        return Placement((x, y, w, h), cropped)
    own = points[mask.reshape(-1)]
    return Placement((x, y, w, h), cropped, centroid=own.mean(0), points=own)


def make_scene(rng):
    """Four to eight things that stand apart, half of one kind, some with another on or in them."""
    camera = Camera(pitch=rng.uniform(30, 55), away=rng.uniform(0.8, 1.1))
    common = str(rng.choice(KINDS))
    things = []
    for _ in range(int(rng.integers(4, 9))):
        thing = stand(rng, common if rng.random() < 0.5 else str(rng.choice(KINDS)), things)
        if thing is not None:
            things.append(thing)
    for thing in list(things):
        if rng.random() < 0.2:
            things.append(put_on(rng, thing))
    return Scene(things, camera, rng)


def stand(rng, kind, things):
    scale = rng.choice([0.7, 1.0, 1.5])
    base = {"mug": (0.07, 0.07, 0.08), "can": (0.06, 0.06, 0.11)}
    base |= {"bowl": (0.12, 0.12, 0.05), "book": (0.15, 0.11, 0.03)}
    size = np.array(base[kind]) * scale
    for _ in range(20):
        at = rng.uniform((-0.35, -0.25), (0.35, 0.3))
        thing = Thing(kind, at, 0.0, size, rng.uniform(0, np.pi / 2), hollow=kind == "bowl")
        if all(np.hypot(*(at - o.at)) > thing.radius + o.radius + 0.01 for o in things):
            return thing
    return None


def put_on(rng, support):
    """A small thing in a bowl, or on anything else."""
    kind = str(rng.choice([kind for kind in ("mug", "can") if kind != support.kind]))
    across = 0.45 * float(support.size[:2].min())
    size = np.array([across, across, across * rng.uniform(0.9, 1.4)])
    foot = support.foot + (WALL if support.hollow else support.size[2])
    return Thing(kind, support.at.copy(), foot, size, support.yaw)

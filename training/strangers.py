"""Things that no word of the demo world names, for proposals to find all the same.

Built from the means of training.shapes, in metres, standing on z = 0 about the origin.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from training.shapes import Mesh, Part, box, lathe, sweep

SURFACES = ("paint", "paint", "metal", "paper")


def make(rng: Generator) -> tuple[Part, ...]:
    """Draw a thing: one solid, or up to four stuck together."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.25, 0.15, 0.1]))
    meshes = [_solid(rng) for _ in range(count)]
    size = np.exp(rng.uniform(np.log(0.025), np.log(0.2)))
    for k in range(1, count):
        offset = rng.uniform(-0.5, 0.5, 3) * np.ptp(meshes[0][0], axis=0)
        meshes[k] = (meshes[k][0] * rng.uniform(0.3, 0.9) + offset, meshes[k][1])
    turn = Rotation.from_euler("xyz", rng.choice([0, 90, 180], 3), True)
    if rng.random() < 0.3:
        turn = Rotation.random(rng=rng)
    meshes = [(turn.apply(v), f) for v, f in meshes]
    return _set_down(meshes, size, [str(s) for s in rng.choice(SURFACES, count)])


def arm(rng: Generator) -> tuple[Part, ...]:
    """A robot's arm that comes down from above: gripper, wrist and one or two links."""
    reach = rng.uniform(0.5, 0.9)
    height = rng.uniform(0.25, 0.6)
    path = np.array([[0, 0, 0.12], [0, 0, 0.2], [reach * 0.2, 0, height], [reach, 0, height + 0.1]])
    steps = np.linspace(0, 3, 40)
    path = np.stack([np.interp(steps, np.arange(4), axis) for axis in path.T], 1)
    thick = rng.uniform(0.02, 0.045) * np.interp(steps, [0, 1, 2, 3], rng.uniform(0.7, 1.4, 4))
    open_by, finger = rng.uniform(0.01, 0.045), rng.uniform(0.01, 0.02)
    fingers = [
        _moved(box((finger, finger, 0.08)), (0, side * (open_by + finger / 2), 0))
        for side in (-1, 1)
    ]
    palm = _moved(box((0.05, 2 * open_by + 2.5 * finger, 0.06)), (0, 0, 0.075))
    limb = sweep(path, np.stack([thick, thick], 1))
    return tuple(
        Part(*mesh, surface)
        for mesh, surface in zip(
            (limb, palm, *fingers), ("paint", "metal", "paper", "paper"), strict=True
        )
    )


def stretched(parts: tuple[Part, ...], rng: Generator) -> tuple[Part, ...]:
    """A thing of other proportions and size."""
    factor = np.exp(rng.normal(0, 0.2, 3)) * np.exp(rng.uniform(-0.7, 0.4))
    return tuple(Part(p.vertices * factor, p.faces, p.surface) for p in parts)


def _solid(rng: Generator) -> Mesh:
    kind = (_turned, _prism, _rounded, _tube, _crate)[rng.integers(5)]
    return kind(rng)


def _turned(rng: Generator) -> Mesh:
    """A vase: a random profile revolved, with few or many sides."""
    count = int(rng.integers(2, 7))
    radius = rng.uniform(0.15, 1, count)
    height = np.sort(rng.uniform(0, 1, count)) * rng.uniform(0.5, 4) + np.arange(count) * 0.01
    profile = [(0, height[0]), *zip(radius, height, strict=True), (0, height[-1])]
    return lathe(np.array(profile), int(rng.choice([4, 6, 8, 40])))


def _prism(rng: Generator) -> Mesh:
    """A star-shaped outline, cut out of a board."""
    count = int(rng.integers(3, 12))
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = rng.uniform(0.35, 1, count)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    thick = rng.uniform(0.05, 0.8)
    middle = np.zeros((1, 2))
    flat = np.concatenate([ring, middle])
    vertices = np.concatenate(
        [np.c_[flat, np.zeros(count + 1)], np.c_[flat, np.full(count + 1, thick)]]
    )
    a = np.arange(count)
    b, top = (a + 1) % count, count + 1
    lower = np.stack([b, a, np.full(count, count)], 1)
    upper = np.stack([a + top, b + top, np.full(count, count + top)], 1)
    walls = np.concatenate([np.stack([a, b, b + top], 1), np.stack([a, b + top, a + top], 1)])
    return vertices, np.concatenate([lower, upper, walls])


def _rounded(rng: Generator) -> Mesh:
    """A superellipsoid: from an egg over a soft cushion to nearly a box."""
    mesh = lathe(_meridian(), 40)
    power = rng.uniform(0.25, 1.3, 2)
    x, y, z = mesh[0].T
    around = np.arctan2(y, x)
    radius = np.hypot(x, y)
    soft = [np.sign(t) * np.abs(t) ** power[0] for t in (np.cos(around), np.sin(around))]
    up = np.sign(z) * np.abs(z) ** power[1]
    ring = radius ** power[1]
    scale = rng.uniform(0.3, 1, 3)
    return np.stack([ring * soft[0], ring * soft[1], up], 1) * scale, mesh[1]


def _meridian() -> np.ndarray:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 25)
    return np.stack([np.cos(angle).clip(0), np.sin(angle)], 1)


def _tube(rng: Generator) -> Mesh:
    """A bent rod, a cable or a bracket."""
    knots = rng.uniform(-1, 1, (int(rng.integers(2, 5)), 3)) * [1, 1, rng.choice([0, 0, 1])]
    along = np.linspace(0, len(knots) - 1, 30)
    path = np.stack([np.interp(along, np.arange(len(knots)), axis) for axis in knots.T], 1)
    path += np.linspace(0, 0.05, 30)[:, None]  # no point twice
    radius = rng.uniform(0.03, 0.25) * np.interp(
        along, np.arange(len(knots)), rng.uniform(0.5, 1.5, len(knots))
    )
    return sweep(
        path, np.stack([radius, radius * rng.uniform(0.4, 1)], 1), int(rng.choice([4, 6, 14]))
    )


def _crate(rng: Generator) -> Mesh:
    return box(tuple(rng.uniform(0.1, 1, 3)))


def _moved(mesh: Mesh, offset: tuple[float, float, float]) -> Mesh:
    return mesh[0] + np.asarray(offset), mesh[1]


def _set_down(meshes: list[Mesh], size: float, surfaces: list[str]) -> tuple[Part, ...]:
    """Of greatest extent `size`, centred, the lowest point at 0."""
    everything = np.concatenate([v for v, _ in meshes])
    low, high = everything.min(0), everything.max(0)
    scale = size / (high - low).max()
    centre = np.array([*(low + high)[:2] / 2, low[2]])
    return tuple(
        Part((v - centre) * scale, f, s) for (v, f), s in zip(meshes, surfaces, strict=True)
    )

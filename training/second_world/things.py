"""The demo world's fourteen categories and some clutter, out of VTK's sources, metres, z up.

Each maker returns parts, a mesh and what covers it: "paint" (the colour it is named by), "metal",
"cream" or "dark". Things stand on z = 0 about the origin once `make` has set them down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyvista as pv
from numpy.random import Generator

Parts = list[tuple[pv.PolyData, str]]


def turned(points: list[tuple[float, float]], segments: int = 48) -> pv.PolyData:
    """The surface of revolution of a polyline of (radius, height)."""
    radius, height = np.array(points, float).T
    line = pv.lines_from_points(np.stack([radius, np.zeros_like(radius), height], 1))
    return line.extrude_rotate(resolution=segments, capping=False)


def bent(points: np.ndarray, radii: np.ndarray, sides: int = 16) -> pv.PolyData:
    """A tube through points N×3 whose radius follows `radii` [N]."""
    spline = pv.Spline(points, 60)
    spline["radius"] = np.interp(np.linspace(0, 1, 60), np.linspace(0, 1, len(radii)), radii)
    return spline.tube(scalars="radius", absolute=True, n_sides=sides, capping=True)


def rod(length: float, radius: float, sides: int = 32) -> pv.PolyData:
    """A cylinder along x about the origin."""
    return pv.Cylinder(direction=(1, 0, 0), radius=radius, height=length, resolution=sides)


def block(x: float, y: float, z: float) -> pv.PolyData:
    """A box of these extents about the origin."""
    return pv.Cube(x_length=x, y_length=y, z_length=z)


def _ball(rng: Generator) -> Parts:
    radius = rng.uniform(0.016, 0.045)
    return [(pv.Sphere(radius=radius, theta_resolution=40, phi_resolution=40), "paint")]


def _cube(rng: Generator) -> Parts:
    half, soft = rng.uniform(0.014, 0.035), rng.uniform(0.05, 0.25)
    shape = pv.ParametricSuperEllipsoid(xradius=1, yradius=1, zradius=1, n1=soft, n2=soft)
    return [(shape.scale(half), "paint")]


def _cone(rng: Generator) -> Parts:
    height, radius = rng.uniform(0.04, 0.12), rng.uniform(0.018, 0.04)
    if rng.random() < 0.5:
        return [
            (pv.Cone(direction=(0, 0, 1), height=height, radius=radius, resolution=50), "paint")
        ]
    foot = block(2.3 * radius, 2.3 * radius, 0.005).translate((0, 0, 0.0025))
    return [
        (foot, "paint"),
        (turned([(0, 0.004), (radius, 0.004), (radius * 0.25, height), (0, height)]), "paint"),
    ]


def _ring(rng: Generator) -> Parts:
    hole, tube = rng.uniform(0.02, 0.045), rng.uniform(0.004, 0.011)
    square = rng.uniform(0.4, 1)
    shape = pv.ParametricSuperToroid(
        ringradius=hole + tube, crosssectionradius=tube, n1=1, n2=square
    )
    return [(shape, "paint")]


def _can(rng: Generator) -> Parts:
    radius, height = rng.uniform(0.026, 0.04), rng.uniform(0.06, 0.15)
    body = pv.Cylinder(direction=(0, 0, 1), radius=radius, height=height, resolution=60)
    lids = [
        pv.Cylinder(
            center=(0, 0, z * height / 2),
            direction=(0, 0, 1),
            radius=radius * 1.02,
            height=0.004,
            resolution=60,
        )
        for z in (-1, 1)
    ]
    parts = [(body, "paint"), *((lid, "metal") for lid in lids)]
    return _toppled(parts, rng, 0.2)


def _bottle(rng: Generator) -> Parts:
    radius, height = rng.uniform(0.022, 0.036), rng.uniform(0.14, 0.26)
    neck, shoulder = radius * rng.uniform(0.3, 0.5), rng.uniform(0.45, 0.75)
    profile = [(0, 0), (radius, 0), (radius, shoulder * height)]
    if rng.random() < 0.5:
        profile += [(radius * 0.8, (shoulder + 0.06) * height)]
    profile += [(neck, (shoulder + 0.14) * height), (neck, height), (0, height)]
    cap = pv.Cylinder(center=(0, 0, height), direction=(0, 0, 1), radius=neck * 1.2, height=0.02)
    parts = [(turned(profile), "paint"), (cap, str(rng.choice(["paint", "cream", "dark"])))]
    return _toppled(parts, rng, 0.2)


def _toppled(parts: Parts, rng: Generator, chance: float) -> Parts:
    if rng.random() >= chance:
        return parts
    return [(mesh.rotate_y(90), cover) for mesh, cover in parts]


def _mug(rng: Generator) -> Parts:
    radius, height = rng.uniform(0.032, 0.048), rng.uniform(0.06, 0.12)
    belly = radius * rng.uniform(0.85, 1.15)
    wall = 0.003
    outside = [(0, 0), (radius * 0.9, 0), (belly, height / 2), (radius, height)]
    inside = [
        (radius - wall, height),
        (belly - wall, height / 2),
        (radius * 0.85, 0.006),
        (0, 0.006),
    ]
    reach, low, high = rng.uniform(0.02, 0.04), height * 0.2, height * 0.82
    ear = [
        (belly, 0, high),
        (belly + reach, 0, high - 0.004),
        (belly + reach, 0, low + 0.012),
        (belly, 0, low),
    ]
    if rng.random() < 0.5:
        ear = [(belly, 0, high), (belly + reach, 0, (low + high) / 2), (belly, 0, low)]
    ear = np.array(ear) - [0.002, 0, 0]
    handle = bent(ear, np.full(len(ear), rng.uniform(0.003, 0.006)), 12)
    return [(turned(outside + inside), "paint"), (handle, "paint")]


def _bowl(rng: Generator) -> Parts:
    radius, depth = rng.uniform(0.045, 0.095), rng.uniform(0.35, 0.8)
    angle = np.linspace(0, np.pi / 2, 14)
    wall = 0.004
    outside = [(radius * np.sin(a), radius * depth * (1 - np.cos(a))) for a in angle]
    inside = [(r * (1 - wall / radius), z * (1 - wall / radius) + wall) for r, z in outside[::-1]]
    foot = turned([(radius * 0.5, 0.02), (radius * 0.5, -0.004), (0, -0.004)])
    return [(turned(outside + inside), "paint"), (foot, "paint")]


def _plate(rng: Generator) -> Parts:
    radius, rise = rng.uniform(0.06, 0.125), rng.uniform(0.008, 0.022)
    well = rng.uniform(0.5, 0.75) * radius
    lower = [(0, 0), (well, 0), (well * 1.08, rise * 0.8), (radius, rise)]
    upper = [
        (radius, rise + 0.003),
        (well * 1.06, rise * 0.8 + 0.003),
        (well * 0.98, 0.003),
        (0, 0.003),
    ]
    return [(turned(lower + upper, 64), "paint")]


def _book(rng: Generator) -> Parts:
    x, y = rng.uniform(0.1, 0.22), rng.uniform(0.08, 0.15)
    z = rng.uniform(0.01, 0.045)
    cover = 0.0025
    parts = [
        (block(x, y, cover).translate((0, 0, z / 2)), "paint"),
        (block(x, y, cover).translate((0, 0, -z / 2)), "paint"),
        (
            bent(
                np.array([(-x / 2, -y / 2, 0), (0, -y / 2, 0), (x / 2, -y / 2, 0)]),
                np.full(3, z / 2),
                12,
            ),
            "paint",
        ),
        (block(x * 0.96, y * 0.95, z * 0.98), "cream"),
    ]
    if rng.random() < 0.2:
        parts = [(mesh.rotate_x(90), c) for mesh, c in parts]
    return parts


def _banana(rng: Generator) -> Parts:
    arc, length = rng.uniform(0.8, 2.0), rng.uniform(0.11, 0.2)
    angle = np.linspace(-arc / 2, arc / 2, 9)
    radius = length / arc
    path = np.stack([radius * np.sin(angle), radius * (np.cos(angle) - 1), 0 * angle], 1)
    thick = rng.uniform(0.012, 0.02)
    radii = thick * np.array([0.3, 0.35, 0.75, 0.95, 1, 1, 0.9, 0.65, 0.25])
    return [(bent(path, radii, int(rng.choice([5, 6, 16]))), "paint")]


def _hammer(rng: Generator) -> Parts:
    length, grip = rng.uniform(0.16, 0.28), rng.uniform(0.007, 0.013)
    head = rng.uniform(0.05, 0.11)
    x = length / 2
    parts = [(rod(length, grip), "paint")]
    if rng.random() < 0.5:  # a mallet or sledge
        thick = rng.uniform(0.02, 0.034)
        return [*parts, (block(thick, head, thick).translate((x, 0, 0)), "metal")]
    face = rod(head * 0.5, 0.012).rotate_z(90).translate((x, head * 0.25, 0))
    claw = np.array([(x, 0, 0), (x, -head * 0.3, 0.0), (x - 0.015, -head * 0.55, 0)])
    return [*parts, (face, "metal"), (bent(claw, np.array([0.011, 0.009, 0.003])), "metal")]


def _screwdriver(rng: Generator) -> Parts:
    grip, thick = rng.uniform(0.06, 0.11), rng.uniform(0.01, 0.017)
    blade = rng.uniform(0.05, 0.15)
    handle = rod(grip, thick, int(rng.choice([6, 8, 32])))
    collar = rod(0.012, thick * 0.75).translate((grip / 2 + 0.004, 0, 0))
    shaft = rod(blade, rng.uniform(0.002, 0.004)).translate(((grip + blade) / 2, 0, 0))
    return [(handle, "paint"), (collar, "paint"), (shaft, "metal")]


def _spoon(rng: Generator) -> Parts:
    length, wide = rng.uniform(0.1, 0.2), rng.uniform(0.014, 0.026)
    dish = pv.ParametricEllipsoid(xradius=wide * 1.4, yradius=wide, zradius=0.006)
    dish = dish.clip("z", origin=(0, 0, 0.003), invert=True)
    path = np.array([(wide * 1.2, 0, 0.002), (wide * 1.8, 0, 0.006), (length, 0, 0.004)])
    stem = bent(path, np.array([0.0035, 0.002, rng.uniform(0.003, 0.006)]))
    return [(dish, "paint"), (stem, "paint")]


CATEGORIES: dict[str, Callable[[Generator], Parts]] = {
    "ball": _ball,
    "cube": _cube,
    "cone": _cone,
    "ring": _ring,
    "can": _can,
    "bottle": _bottle,
    "mug": _mug,
    "bowl": _bowl,
    "plate": _plate,
    "book": _book,
    "banana": _banana,
    "hammer": _hammer,
    "screwdriver": _screwdriver,
    "spoon": _spoon,
}


def _clutter(rng: Generator) -> Parts:
    kind = rng.integers(5)
    if kind == 0:  # a word cut out of a board
        word = pv.Text3D("".join(rng.choice(list("AEHKMSTX"), 2)), depth=0.3)
        return [(word.scale(rng.uniform(0.03, 0.06)), "dark")]
    if kind == 1:
        return [(pv.Dodecahedron(radius=rng.uniform(0.02, 0.04)), "cream")]
    if kind == 2:  # a laptop
        lid = block(0.26, 0.006, 0.18).rotate_x(-15).translate((0, 0.11, 0.09))
        return [(block(0.26, 0.18, 0.014), "dark"), (lid, "dark")]
    if kind == 3:  # a box of some goods
        return [(block(*rng.uniform([0.04, 0.03, 0.06], [0.1, 0.07, 0.2])), "cream")]
    return [(block(*rng.uniform(0.08, 0.25, 2), 0.001), "cream")]


def arm(rng: Generator) -> Parts:
    """A robot's arm that comes down from above, its gripper about the origin."""
    joints = np.array([(0, 0, 0.14), (0.03, 0, 0.3), (0.25, 0, 0.45), (0.6, 0, 0.5)])
    limb = bent(joints, np.array([0.035, 0.04, 0.05, 0.06]), 24)
    open_by = rng.uniform(0.02, 0.05)
    fingers = [block(0.02, 0.01, 0.07).translate((0, s * open_by, 0.035)) for s in (-1, 1)]
    palm = block(0.05, 2 * open_by + 0.03, 0.07).translate((0, 0, 0.1))
    return [(limb, "cream"), (palm, "dark"), *((finger, "dark") for finger in fingers)]


def make(category: str, rng: Generator) -> Parts:
    """Draw a thing of a category, or "clutter", and set it down."""
    parts = _clutter(rng) if category == "clutter" else CATEGORIES[category](rng)
    bounds = np.array([mesh.bounds for mesh, _ in parts])
    low, high = bounds[:, ::2].min(0), bounds[:, 1::2].max(0)
    down = -np.array([*(low + high)[:2] / 2, low[2]])
    return [(mesh.translate(down), cover) for mesh, cover in parts]

"""Procedural meshes of the demo world's fourteen categories.

Every object stands on the plane z = 0 in its own frame (metres, z up), centred on the
origin. An object is a tuple of parts; a part is a triangle mesh and the surface it is
painted with: "paint" (the colour the object is named by), "metal" or "paper".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

Mesh = tuple[np.ndarray, np.ndarray]
"""Vertices, float V×3 in metres, and triangles, int F×3, counter-clockwise from outside."""


@dataclass(frozen=True)
class Part:
    """One mesh of an object and what it is painted with."""

    vertices: np.ndarray
    faces: np.ndarray
    surface: str


def lathe(profile: np.ndarray, segments: int = 40) -> Mesh:
    """Revolve a closed or axis-to-axis polyline of (radius, height) around z.

    The profile runs so that the solid lies on its left: for a solid body from the bottom
    centre outwards and up to the top centre.
    """
    radius, height = np.asarray(profile, float).T
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = np.stack(
        [
            radius[:, None] * np.cos(angle),
            radius[:, None] * np.sin(angle),
            np.broadcast_to(height[:, None], (len(height), segments)),
        ],
        axis=-1,
    )
    return rings.reshape(-1, 3), _grid_faces(len(profile), segments)


def sweep(path: np.ndarray, radii: np.ndarray, segments: int = 14) -> Mesh:
    """Sweep an ellipse along a path (N×3), half axes N×2: along its plane's normal, and across."""
    path = np.asarray(path, float)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = _plane_normal(path)
    across = np.cross(normal, tangent)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = (
        path[:, None]
        + radii[:, :1, None] * np.cos(angle)[None, :, None] * normal
        + radii[:, 1:, None] * np.sin(angle)[None, :, None] * across[:, None]
    )
    count = len(path)
    vertices = np.concatenate([rings.reshape(-1, 3), path[:1], path[-1:]])
    faces = [_grid_faces(count, segments)]
    near, far = count * segments, count * segments + 1
    ring = np.arange(segments)
    following = (ring + 1) % segments
    last = (count - 1) * segments
    faces.append(np.stack([np.full(segments, near), following, ring], 1))
    faces.append(np.stack([np.full(segments, far), last + ring, last + following], 1))
    return _outward(vertices, np.concatenate(faces))


def box(size: tuple[float, float, float], base: float = 0.0) -> Mesh:
    """An upright box of full extents `size` whose lower face lies at height `base`."""
    corner = np.array([[x, y, z] for z in (0, 1) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    quads = np.array(
        [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
    )
    # Each face owns its corners, so that edges are shaded sharp.
    vertices = (corner * size + [0, 0, base])[quads.ravel()]
    start = np.arange(6)[:, None] * 4
    faces = np.concatenate([start + triangle for triangle in ([0, 1, 2], [0, 2, 3])])
    return vertices, faces


def _grid_faces(rings: int, segments: int) -> np.ndarray:
    ring, seg = np.meshgrid(np.arange(rings - 1), np.arange(segments), indexing="ij")
    a = ring * segments + seg
    b = ring * segments + (seg + 1) % segments
    lower = np.stack([a, b, b + segments], -1).reshape(-1, 3)
    upper = np.stack([a, b + segments, a + segments], -1).reshape(-1, 3)
    return np.concatenate([lower, upper])


def _plane_normal(path: np.ndarray) -> np.ndarray:
    """The normal of the plane a bent path lies in; up for a straight one."""
    offset = path - path.mean(0)
    _, singular, axes = np.linalg.svd(offset, full_matrices=True)
    if singular[1] > 1e-6 * max(singular[0], 1e-9):
        return axes[2]
    return np.array([0.0, 0.0, 1.0])


def _outward(vertices: np.ndarray, faces: np.ndarray) -> Mesh:
    """Flip a closed mesh whose signed volume is negative."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    if np.einsum("ij,ij->i", a, np.cross(b, c)).sum() < 0:
        faces = faces[:, ::-1]
    return vertices, faces


def _moved(mesh: Mesh, rotation: Rotation, offset: tuple[float, float, float]) -> Mesh:
    return rotation.apply(mesh[0]) + np.asarray(offset), mesh[1]


def _laid(mesh: Mesh, height: float) -> Mesh:
    """Turn a mesh built along z so that it lies along x, its axis at `height`."""
    vertices, faces = mesh
    middle = (vertices[:, 2].min() + vertices[:, 2].max()) / 2
    return _moved(
        (vertices - [0, 0, middle], faces), Rotation.from_euler("y", 90, True), (0, 0, height)
    )


def _part(mesh: Mesh, surface: str = "paint") -> Part:
    return Part(*mesh, surface)


def _ball(rng: Generator) -> tuple[Part, ...]:
    radius = rng.uniform(0.026, 0.05)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 25)
    profile = np.stack([radius * np.cos(angle), radius * (1 + np.sin(angle))], 1)
    return (_part(lathe(profile)),)


def _cube(rng: Generator) -> tuple[Part, ...]:
    side = rng.uniform(0.045, 0.085)
    return (_part(box(tuple(side * rng.uniform(0.93, 1.07, 3)))),)


def _cone(rng: Generator) -> tuple[Part, ...]:
    radius, height = rng.uniform(0.028, 0.048), rng.uniform(0.075, 0.13)
    tip = rng.uniform(0.0, 0.004)
    # The rim is doubled, so that the base is shaded sharp.
    profile = [(0, 0), (radius, 0), (radius, 0.001), (tip, height), (0, height)]
    return (_part(lathe(np.array(profile))),)


def _ring(rng: Generator) -> tuple[Part, ...]:
    tube = rng.uniform(0.008, 0.015)
    radius = rng.uniform(0.032, 0.05) + tube
    angle = np.linspace(0, 2 * np.pi, 19)
    profile = np.stack([radius + tube * np.cos(angle), tube * (1 + np.sin(angle))], 1)
    return (_part(lathe(profile)),)


def _can(rng: Generator) -> tuple[Part, ...]:
    radius, height = rng.uniform(0.028, 0.038), rng.uniform(0.085, 0.14)
    body = [(0, 0), (radius * 0.88, 0), (radius, 0.005), (radius, height - 0.006)]
    body += [(radius * 0.86, height - 0.001), (0.0, height - 0.001)]
    lid = [(0, height - 0.001), (radius * 0.82, height - 0.001), (radius * 0.82, height)]
    lid += [(radius * 0.7, height), (radius * 0.68, height - 0.0005), (0, height - 0.0005)]
    upright = (lathe(np.array(body)), lathe(np.array(lid)))
    if rng.random() < 0.25:
        upright = tuple(_lie(upright, radius))
    return _part(upright[0]), _part(upright[1], "metal")


def _bottle(rng: Generator) -> tuple[Part, ...]:
    radius, height = rng.uniform(0.026, 0.037), rng.uniform(0.16, 0.22)
    neck, shoulder = radius * rng.uniform(0.3, 0.42), rng.uniform(0.5, 0.66) * height
    bend = np.linspace(0, 1, 8)
    curve = radius + (neck - radius) * (3 * bend**2 - 2 * bend**3)
    slope = shoulder + bend * 0.2 * height
    body = [(0, 0), (radius * 0.9, 0), (radius, 0.006), *zip(curve, slope, strict=True)]
    body += [(neck, height), (0, height)]
    cap = [(0, height - 0.018), (neck * 1.25, height - 0.018), (neck * 1.25, height + 0.003)]
    cap += [(0, height + 0.003)]
    upright = (lathe(np.array(body)), lathe(np.array(cap)))
    if rng.random() < 0.25:
        upright = tuple(_lie(upright, radius))
    surface = rng.choice(["paint", "metal", "paper"])
    return _part(upright[0]), _part(upright[1], str(surface))


def _lie(meshes: tuple[Mesh, ...], radius: float) -> list[Mesh]:
    """Lay an upright body of revolution down along x."""
    top = max(vertices[:, 2].max() for vertices, _ in meshes)
    turn = Rotation.from_euler("y", 90, True)
    return [_moved((v - [0, 0, top / 2], f), turn, (0, 0, radius)) for v, f in meshes]


def _mug(rng: Generator) -> tuple[Part, ...]:
    radius, height = rng.uniform(0.036, 0.046), rng.uniform(0.075, 0.105)
    wall, foot = 0.004, rng.uniform(0.82, 1.0)
    profile = [(0, 0), (radius * foot, 0), (radius, 0.012), (radius, height)]
    profile += [(radius - wall, height), (radius - wall, 0.012), (0, 0.006)]
    bend = np.linspace(-np.pi / 2, np.pi / 2, 15)
    reach, half = rng.uniform(0.026, 0.036), height * rng.uniform(0.28, 0.36)
    path = np.stack(
        [
            radius - 0.003 + reach * np.cos(bend),
            np.zeros_like(bend),
            height * 0.52 + half * np.sin(bend),
        ],
        1,
    )
    thick = rng.uniform(0.0045, 0.007)
    handle = sweep(path, np.tile([thick * 1.3, thick], (15, 1)))
    return _part(lathe(np.array(profile))), _part(handle)


def _bowl(rng: Generator) -> tuple[Part, ...]:
    radius, height = rng.uniform(0.058, 0.085), rng.uniform(0.042, 0.065)
    foot, wall = radius * 0.42, 0.004
    bend = np.linspace(0, np.pi / 2, 10)
    outer = np.stack([foot + (radius - foot) * np.sin(bend), height * (1 - np.cos(bend))], 1)
    inner = np.stack([outer[:, 0] - wall, outer[:, 1] + wall], 1)[::-1]
    inner[0, 1] = height
    profile = np.concatenate([[[0, 0]], outer, inner, [[0, wall]]])
    return (_part(lathe(profile)),)


def _plate(rng: Generator) -> tuple[Part, ...]:
    radius, height = rng.uniform(0.075, 0.105), rng.uniform(0.012, 0.02)
    flat = radius * rng.uniform(0.58, 0.72)
    profile = [(0, 0), (flat, 0), (radius, height), (radius, height + 0.004)]
    profile += [(flat * 0.97, 0.005), (0, 0.005)]
    return (_part(lathe(np.array(profile), 56)),)


def _book(rng: Generator) -> tuple[Part, ...]:
    length, width, thick = (
        rng.uniform(0.13, 0.19),
        rng.uniform(0.09, 0.13),
        rng.uniform(0.015, 0.04),
    )
    cover = 0.003
    lower, upper = box((length, width, cover)), box((length, width, cover), thick - cover)
    spine = _moved(box((length, cover, thick)), Rotation.identity(), (0, -(width - cover) / 2, 0))
    pages = box((length - 0.008, width - 0.01, thick - 2 * cover), cover)
    return _part(lower), _part(upper), _part(spine), _part(pages, "paper")


def _banana(rng: Generator) -> tuple[Part, ...]:
    bend = np.linspace(-1, 1, 26)
    length, thick = rng.uniform(0.13, 0.18), rng.uniform(0.015, 0.021)
    arc = rng.uniform(0.9, 1.4)
    radius = length / (2 * arc)
    path = np.stack(
        [
            radius * np.sin(arc * bend),
            radius * (np.cos(arc * bend) - np.cos(arc) * 0.5 - 0.5),
            np.full_like(bend, thick),
        ],
        1,
    )
    taper = thick * np.clip(1.02 - np.abs(bend) ** 3.2 * 0.8, 0.28, 1)
    return (_part(sweep(path, np.stack([taper, taper], 1))),)


def _hammer(rng: Generator) -> tuple[Part, ...]:
    length, grip = rng.uniform(0.16, 0.22), rng.uniform(0.009, 0.0125)
    head, thick = rng.uniform(0.075, 0.105), rng.uniform(0.013, 0.018)
    profile = [
        (0, 0),
        (grip * 1.15, 0.004),
        (grip * 1.2, length * 0.35),
        (grip * 0.8, length * 0.5),
    ]
    profile += [(grip * 0.8, length), (0, length)]
    handle = _laid(lathe(np.array(profile), 20), max(thick, grip * 1.2))
    face = [(0, 0), (thick, 0), (thick, head * 0.28), (thick * 0.72, head * 0.34)]
    face += [(thick * 0.72, head * 0.66), (thick * 0.5, head), (0, head)]
    bar = _moved(lathe(np.array(face), 24), Rotation.from_euler("x", 90, True), (0, head / 2, 0))
    bar = _moved(bar, Rotation.identity(), (length / 2, 0, thick))
    return _part(handle), _part(bar, "metal")


def _screwdriver(rng: Generator) -> tuple[Part, ...]:
    grip, radius = rng.uniform(0.075, 0.1), rng.uniform(0.012, 0.017)
    shaft, thin = rng.uniform(0.07, 0.12), rng.uniform(0.0032, 0.0048)
    profile = [(0, 0), (radius * 0.8, 0.002), (radius, 0.012), (radius, grip * 0.7)]
    profile += [(radius * 0.7, grip * 0.85), (radius * 0.8, grip), (0, grip)]
    handle = _moved(
        lathe(np.array(profile), 20), Rotation.from_euler("y", 90, True), (0, 0, radius)
    )
    blade = [(0, 0), (thin, 0), (thin, shaft - 0.01), (thin * 0.7, shaft), (0, shaft)]
    blade = _moved(
        lathe(np.array(blade), 12), Rotation.from_euler("y", 90, True), (grip, 0, radius)
    )
    middle = Rotation.identity(), (-(grip + shaft) / 2, 0, 0)
    return _part(_moved(handle, *middle)), _part(_moved(blade, *middle), "metal")


def _spoon(rng: Generator) -> tuple[Part, ...]:
    length, cup = rng.uniform(0.14, 0.19), rng.uniform(0.017, 0.023)
    thick = rng.uniform(0.0042, 0.006)
    along = np.linspace(0, 1, 30)
    path = np.stack(
        [length * (along - 0.5), np.zeros(30), thick + 0.006 * np.sin(np.pi * along)], 1
    )
    bowl = np.clip((along - 0.66) / 0.34, 0, 1)
    wide = np.where(along < 0.66, 0.0055 + 0.0025 * np.abs(along - 0.4), 0.0062)
    wide = np.maximum(wide, cup * np.sqrt(np.clip(1 - (2 * bowl - 1) ** 2, 0.02, 1)) * (bowl > 0))
    return (_part(sweep(path, np.stack([wide, np.full(30, thick)], 1))),)


CATEGORIES: dict[str, Callable[[Generator], tuple[Part, ...]]] = {
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


def make(category: str, rng: Generator) -> tuple[Part, ...]:
    """Draw one object of a category, with proportions of its own."""
    return CATEGORIES[category](rng)


def _napkin(rng: Generator) -> tuple[Part, ...]:
    width, depth = rng.uniform(0.08, 0.16, 2)
    return (_part(box((width, depth, 0.002))),)


def _stick(rng: Generator) -> tuple[Part, ...]:
    radius, length = rng.uniform(0.004, 0.007), rng.uniform(0.08, 0.2)
    profile = np.array([(0, 0), (radius, 0), (radius, length), (0, length)])
    return (_part(_laid(lathe(profile, 12), radius)),)


def _pebble(rng: Generator) -> tuple[Part, ...]:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    mesh = lathe(np.stack([np.cos(angle), 1 + np.sin(angle)], 1), 20)
    return (_part((mesh[0] * rng.uniform([0.015, 0.015, 0.008], [0.04, 0.03, 0.015]), mesh[1])),)


def clutter(rng: Generator) -> tuple[Part, ...]:
    """Draw one thing that belongs to no category: a napkin, a stick or a pebble."""
    kind = rng.integers(3)
    return (_napkin, _stick, _pebble)[kind](rng)

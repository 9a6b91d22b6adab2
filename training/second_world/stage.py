"""Scenes of the second generator: what stands where, lit, seen and labelled, by VTK."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pyvista as pv
from numpy.random import Generator

from training.second_world import surfaces, things
from training.vocabulary import COLOURS

SIZE = (640, 480)
MIN_PIXELS = 40
FINER = 2  # rendered so many times finer, then made small: smooth edges


class Stage:
    """One scene under construction. `meshes`: the things, where they stand."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.plotter = pv.Plotter(
            off_screen=True, window_size=[FINER * s for s in SIZE], lighting="none"
        )
        self.plotter.disable_anti_aliasing()  # FINER does that
        self.physical = bool(rng.random() < 0.6)
        self.meshes: list[pv.PolyData] = []
        self.spots: list[tuple[float, float, float]] = []

    def furnish(self) -> None:
        """Table, floor, perhaps a wall, and a background."""
        rng = self.rng
        reach = rng.uniform(0.45, 0.9)
        self.reach = 0.85 * reach
        if rng.random() < 0.5:
            top = pv.Disc(inner=0, outer=reach, r_res=1, c_res=90).texture_map_to_plane()
        else:
            top = pv.Plane(i_size=2.4 * reach, j_size=2 * reach)
        floor = pv.Plane(center=(0, 0, -rng.uniform(0.4, 0.8)), i_size=8, j_size=8)
        self.table = top
        for mesh in (top, floor):
            self._cover(mesh, surfaces.draw(rng))
        if rng.random() < 0.6:
            turn = rng.uniform(0, 360)
            wall = pv.Plane(center=(-1.3, 0, 0.6), direction=(1, 0, 0), i_size=4, j_size=8)
            self._cover(wall.rotate_z(turn), surfaces.draw(rng))
        low, high = rng.uniform(0.05, 0.9, (2, 3))
        self.plotter.set_background(tuple(low), top=tuple(high))

    def _cover(self, mesh: pv.PolyData, texture: np.ndarray) -> None:
        repeat = self.rng.uniform(0.6, 4)
        mesh.active_texture_coordinates = mesh.active_texture_coordinates * repeat
        image = pv.Texture(texture)
        image.repeat = True
        self.plotter.add_mesh(
            mesh, texture=image, ambient=0.2, diffuse=0.75, specular=self.rng.uniform(0, 0.3)
        )

    def light(self) -> None:
        """One to three lamps and some light from the camera; the first lamp throws shadows."""
        rng = self.rng
        count = int(rng.integers(1, 4))
        for k in range(count):
            angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 2.5)
            place = (1.5 * np.cos(angle), 1.5 * np.sin(angle), height)
            if k == 0:
                self.lamp = np.array(place)
            strength = rng.uniform(0.6, 1.0) / (1 + 1.4 * k)
            colour = rng.uniform(0.85, 1, 3)
            self.plotter.add_light(
                pv.Light(
                    position=place,
                    focal_point=tuple(rng.uniform(-0.2, 0.2, 3)),
                    color=tuple(colour),
                    intensity=strength * (2.8 if self.physical else 1),
                    positional=True,
                    cone_angle=70,
                )
            )
        self.plotter.add_light(pv.Light(light_type="headlight", intensity=rng.uniform(0.15, 0.5)))

    def look(self) -> None:
        """Place the camera, with a field of view of real ones and a slight roll."""
        rng, camera = self.rng, self.plotter.camera
        azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(20, 80))
        distance = rng.uniform(0.45, 1.3)
        target = np.array([*rng.uniform(-0.1, 0.1, 2), 0.02])
        way = [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
        camera.focal_point = tuple(target)
        camera.position = tuple(target + distance * np.array(way))
        camera.up = (0, 0, 1)
        camera.view_angle = rng.uniform(32, 58)
        camera.roll += rng.normal(0, 4)
        camera.clipping_range = (0.02, 20)

    def add(self, parts: things.Parts, paint: tuple, spot: tuple, turn: float) -> None:
        """Stand a thing's parts at a spot (x, y, z), turned by degrees about z."""
        rng = self.rng
        grey = rng.uniform(0.35, 0.8)
        tones = {
            "paint": paint,
            "metal": (grey, grey, grey),
            "cream": tuple(rng.uniform([0.7, 0.65, 0.5], [0.95, 0.92, 0.85])),
            "dark": tuple(np.full(3, rng.uniform(0.03, 0.25))),
        }
        rough = rng.uniform(0.2, 0.9)
        placed = []
        for mesh, cover in parts:
            mesh = mesh.rotate_z(turn).translate(spot).extract_surface(algorithm="dataset_surface")
            mesh = (
                mesh.triangulate()
                .clean()
                .compute_normals(split_vertices=True, feature_angle=35, auto_orient_normals=True)
            )
            look = {"ambient": 0.25, "specular": 1 - rough, "specular_power": 40}
            if self.physical:
                look = {"pbr": True, "roughness": rough, "metallic": 0.0, "ambient": 0.2}
            self.plotter.add_mesh(mesh, color=tones[cover], **look)
            placed.append(mesh)
        self.meshes.append(pv.merge(placed))

    def place(self, parts: things.Parts) -> tuple[tuple, float] | None:
        """A free spot in view and a turn in degrees, or None."""
        bounds = np.array([mesh.bounds for mesh, _ in parts])
        radius = np.abs(bounds[:, :4]).max()
        for _ in range(80):
            x, y = self.rng.uniform(-self.reach, self.reach, 2)
            clear = all(np.hypot(x - a, y - b) > 0.8 * (radius + r) for a, b, r in self.spots)
            if clear and np.hypot(x, y) < self.reach - radius and self._in_view(x, y):
                self.spots.append((x, y, radius))
                return (x, y, 0.0), float(self.rng.uniform(0, 360))
        return None

    def _in_view(self, x: float, y: float) -> bool:
        camera = self.plotter.camera
        matrix = pv.array_from_vtkmatrix(
            camera.GetCompositeProjectionTransformMatrix(SIZE[0] / SIZE[1], 0.02, 20)
        )
        u, v, _, w = matrix @ [x, y, 0.02, 1]
        return w > 0 and max(abs(u / w), abs(v / w)) < 0.85

    def picture(self, ids: np.ndarray) -> np.ndarray:
        """H×W×3 uint8 RGB, with shadows where `ids` has no thing."""
        image = np.ascontiguousarray(self.plotter.screenshot(return_img=True)[..., :3])
        image = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        shade = cv2.GaussianBlur(self._shadows(), (0, 0), self.rng.uniform(0.5, 6))
        shade *= (ids == 0) * self.rng.uniform(0.1, 0.7)
        return np.clip(image * (1 - shade[..., None]), 0, 255).astype(np.uint8)

    def _shadows(self) -> np.ndarray:
        """H×W float32: 1 where the first lamp is hidden from the table's plane."""
        flat = []
        for mesh in self.meshes:
            copy = mesh.copy()
            way = copy.points - self.lamp
            copy.points = self.lamp - way * (self.lamp[2] / np.minimum(way[:, 2:], -0.2))
            flat.append(copy)
        return (self._indices([self.table, *flat])[..., None] > 1).any(-1).astype(np.float32)

    def ids(self) -> np.ndarray:
        """H×W uint8: k + 1 where the k-th thing is seen, 0 elsewhere."""
        return np.maximum(self._indices([self.table, *self.meshes]), 1) - 1

    def alone(self, index: int) -> int:
        """How many pixels the thing has where nothing hides it."""
        return int(self._indices([self.meshes[index]]).sum())

    def _indices(self, meshes: list[pv.PolyData]) -> np.ndarray:
        """H×W uint8: k + 1 where the k-th of these meshes is seen by the camera, else 0."""
        plain = pv.Plotter(off_screen=True, window_size=SIZE, lighting="none")
        plain.set_background("black")
        plain.disable_anti_aliasing()
        for number, mesh in enumerate(meshes, 1):
            plain.add_mesh(mesh, color=(number, 0, 0), lighting=False, show_scalar_bar=False)
        plain.camera = self.plotter.camera
        seen = plain.screenshot(return_img=True)[..., 0].copy()
        plain.close()
        return seen


def make_scene(rng: Generator) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Draw a scene: picture H×W×3 uint8, object ids H×W uint16, and the objects' entries."""
    stage = Stage(rng)
    stage.furnish()
    stage.look()
    stage.light()
    named: list[tuple[str, str] | None] = []
    for category in _wanted(rng):
        parts = things.make(category, rng)
        spot = stage.place(parts)
        if spot is None:
            continue
        colour = str(rng.choice(list(COLOURS)))
        stage.add(parts, _shade(colour, rng), *spot)
        named.append(None if category == "clutter" else (colour, category))
    if rng.random() < 0.35:
        spot = (*rng.uniform(-0.3, 0.3, 2), rng.uniform(0.02, 0.25))
        stage.add(things.arm(rng), (0.5, 0.5, 0.5), spot, rng.uniform(0, 360))
        named.append(None)
    ids = stage.ids()
    colour = _noisy(stage.picture(ids), rng)
    masks, objects = _label(stage, ids, named)
    stage.plotter.close()
    return colour, masks, objects


def _wanted(rng: Generator) -> list[str]:
    objects = rng.choice(list(things.CATEGORIES), int(rng.integers(4, 10)))
    return [*map(str, objects), *["clutter"] * int(rng.integers(0, 4))]


def _shade(colour: str, rng: Generator) -> tuple[float, float, float]:
    hue, saturation, value = (rng.uniform(*span) for span in COLOURS[colour])
    return colorsys.hsv_to_rgb((hue / 360) % 1, saturation, value)


def _noisy(picture: np.ndarray, rng: Generator) -> np.ndarray:
    grain = rng.normal(0, rng.uniform(0.5, 5), picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def _label(
    stage: Stage, ids: np.ndarray, named: list[tuple[str, str] | None]
) -> tuple[np.ndarray, list[dict]]:
    masks, objects = np.zeros(ids.shape, np.uint16), []
    for index, name in enumerate(named):
        pixels = int((ids == index + 1).sum())
        if name is None or pixels < MIN_PIXELS:
            continue
        objects.append(
            {
                "id": len(objects) + 1,
                "category": name[1],
                "colour": name[0],
                "visible": round(min(1.0, pixels / max(stage.alone(index), 1)), 4),
                "pixels": pixels,
            }
        )
        masks[ids == index + 1] = len(objects)
    return masks, objects

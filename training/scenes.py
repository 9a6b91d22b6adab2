"""Rendered tabletops with known colour, depth, masks and poses.

    python -m training.scenes --seed 7 --count 20 --out scenes

writes, for scene k, `k_colour.png` (RGB), `k_depth.png` (16-bit, millimetres),
`k_masks.png` (16-bit: 0 the room, i the object with id i) and `k_table.png` (where the table
top is, objects on it included), and one `scenes.json` that lists cameras and objects. The same
seed always gives the same scenes, whatever the count.
"""

from __future__ import annotations

import argparse
import colorsys
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, default_rng
from tqdm import tqdm

from training.vocabulary import COLOURS, HELD_OUT
from training.world import TABLE_HALF, Camera, Slot, World, look_at

SCENES_PER_WORLD = 20
SIZE = (640, 480)
MIN_PIXELS = 40


@dataclass(frozen=True)
class SceneObject:
    """One labelled object. Its frame stands on the table plane, z up.

    `position` and `quaternion` (x, y, z, w) take it to the camera's optical frame, in metres;
    `size` is its full extent along its own axes; `visible` is the share of its pixels in the
    picture that nothing hides; `pixels` counts them.
    """

    id: int
    category: str
    colour: str
    position: list[float]
    quaternion: list[float]
    size: list[float]
    visible: float
    pixels: int


@dataclass(frozen=True)
class Scene:
    """A rendered scene: colour H×W×3 uint8, depth H×W float32 m, masks H×W uint16 of object ids.

    `table` is bool H×W: pixels of the table's plane, objects on it included.
    """

    colour: np.ndarray
    depth: np.ndarray
    masks: np.ndarray
    table: np.ndarray
    camera: Camera
    objects: tuple[SceneObject, ...]


def make_world(seed: int, number: int) -> World:
    """The world that holds scenes number·SCENES_PER_WORLD and following of a seed."""
    return World(default_rng([seed, 1, number]), SIZE)


def make_scene(world: World, rng: Generator, held_out: bool = True) -> Scene:
    """Draw and render one scene; without `held_out`, none of the held-out pairs is in it."""
    camera = _draw_camera(rng)
    draw_light(world, rng)
    draw_room(world, rng)
    placed = _place(world, camera, rng)
    pairs = _paint(world, list(placed), rng, held_out)
    world.show(())
    table = world.table_image(camera)
    world.arrange(placed)
    colour, depth, slots = world.render(camera)
    objects, masks = describe(world, camera, placed, pairs, slots)
    return Scene(colour, depth, masks, table, camera, objects)


Makers = tuple[Callable[[int, int], World], Callable[[World, Generator, bool], Scene]]
"""What draws a world, from a seed and its number, and a scene in it."""


def _draw_camera(rng: Generator) -> Camera:
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(28, 72))
    target = np.array([*rng.uniform(-0.12, 0.12, 2), 0.03])
    away = [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)]
    eye = target + rng.uniform(0.5, 0.85) * np.array([*away, np.sin(elevation)])
    fovy = np.radians(rng.uniform(40, 50))
    return look_at(eye, target, SIZE[1] / 2 / np.tan(fovy / 2), SIZE)


def draw_light(world: World, rng: Generator) -> None:
    """Set lamps at random; the first always shines and casts shadows."""
    model = world.model
    model.vis.headlight.ambient[:] = rng.uniform(0.15, 0.4)
    model.vis.headlight.diffuse[:] = rng.uniform(0.05, 0.35)
    model.vis.headlight.specular[:] = 0
    tint = 1 + rng.uniform(-0.06, 0.06, 3)
    for index in range(model.nlight):
        position = np.array([*rng.uniform(-1.4, 1.4, 2), rng.uniform(1.2, 2.4)])
        model.light_pos[index] = position
        model.light_dir[index] = (rng.uniform(-0.2, 0.2, 3) - position) / np.linalg.norm(position)
        model.light_active[index] = index == 0 or rng.random() < 0.5
        model.light_castshadow[index] = index == 0
        strength = rng.uniform(0.35, 0.65) if index == 0 else rng.uniform(0.05, 0.3)
        model.light_diffuse[index] = strength * tint
        model.light_specular[index] = rng.uniform(0.1, 0.5)
        model.light_cutoff[index], model.light_exponent[index] = 80, 1


def draw_room(world: World, rng: Generator) -> None:
    """Give table, floor, walls and clutter textures at random."""
    model = world.model
    choice = [model.material(f"texture{k}").id for k in rng.permutation(6)]
    for material in choice:
        model.mat_texrepeat[material] = rng.uniform(1, 4)
        model.mat_rgba[material] = [1, 1, 1, 1]
        model.mat_specular[material] = rng.uniform(0, 0.4)
        model.mat_shininess[material] = rng.uniform(0, 0.6)
    model.geom_matid[model.geom("table").id] = choice[0]
    model.geom_matid[model.geom("floor").id] = choice[1]
    for wall in ("east", "west", "north", "south"):
        model.geom_matid[model.geom(wall).id] = choice[2]
    clutter = [slot for slot in world.slots if slot.category == "clutter"]
    for slot, material in zip(clutter, rng.choice(choice[3:], len(clutter)), strict=True):
        model.geom_matid[list(slot.geoms)] = material


def _place(world: World, camera: Camera, rng: Generator) -> dict[int, tuple[np.ndarray, float]]:
    """Stand 3–8 objects and up to two pieces of clutter on the table, in view and apart."""
    labelled = [i for i, slot in enumerate(world.slots) if slot.category != "clutter"]
    clutter = [i for i, slot in enumerate(world.slots) if slot.category == "clutter"]
    placed: dict[int, tuple[np.ndarray, float]] = {}
    for pool, count in ((labelled, rng.integers(3, 9)), (clutter, rng.integers(0, 3))):
        count += len(placed)
        for index in map(int, rng.permutation(pool)):
            if len(placed) == count:
                break
            spot = draw_free_spot(world, camera, placed, index, rng)
            if spot is not None:
                placed[index] = spot
    return placed


def draw_free_spot(
    world: World,
    camera: Camera,
    placed: dict[int, tuple[np.ndarray, float]],
    index: int,
    rng: Generator,
    reach: float = 1.1,
) -> tuple[np.ndarray, float] | None:
    """A table point in view and a yaw at which the slot is clear of those placed, or None.

    `reach`: how far from the camera, m.
    """
    slots = world.slots
    for _ in range(60):
        spot, yaw = _draw_spot(camera, rng, reach), rng.uniform(-np.pi, np.pi)
        if spot is not None and not any(
            _overlap(slots[index], spot, yaw, slots[other], *there)
            for other, there in placed.items()
        ):
            return spot, yaw
    return None


def _draw_spot(camera: Camera, rng: Generator, reach: float) -> np.ndarray | None:
    margin = 0.1
    u = rng.uniform(margin, 1 - margin) * camera.width
    v = rng.uniform(margin + 0.05, 1 - margin) * camera.height
    spot = camera.on_table(u, v)
    if spot is None or np.any(np.abs(spot[:2]) > np.array(TABLE_HALF) - 0.1):
        return None
    return spot if np.linalg.norm(spot - camera.position) < reach else None


def _overlap(a: Slot, at: np.ndarray, yaw: float, b: Slot, bt: np.ndarray, byaw: float) -> bool:
    """Whether two footprints, oriented rectangles with a gap around them, meet."""
    gap = 0.006
    axes = [np.array([np.cos(t), np.sin(t)]) for t in (yaw, yaw + np.pi / 2)]
    axes_b = [np.array([np.cos(t), np.sin(t)]) for t in (byaw, byaw + np.pi / 2)]
    half_a, half_b = a.extents[:2] / 2 + gap, b.extents[:2] / 2 + gap
    for axis in (*axes, *axes_b):
        reach = sum(h * abs(axis @ e) for h, e in zip(half_a, axes, strict=True))
        reach += sum(h * abs(axis @ e) for h, e in zip(half_b, axes_b, strict=True))
        if abs(axis @ (at - bt)[:2]) > reach:
            return False
    return True


def _paint(world: World, indices: list[int], rng: Generator, held_out: bool) -> dict[int, str]:
    """Give every labelled object a colour; a quarter share theirs with an earlier one."""
    chosen: dict[int, str] = {}
    for index in indices:
        slot = world.slots[index]
        if slot.category == "clutter":
            continue
        allowed = [c for c in COLOURS if held_out or (c, slot.category) not in HELD_OUT]
        shared = sorted(set(chosen.values()) & set(allowed))
        colour = str(rng.choice(shared if shared and rng.random() < 0.25 else allowed))
        chosen[index] = colour
        paint(world, slot, colour, rng)
    return chosen


def draw_shade(colour: str, rng: Generator) -> tuple[float, float, float]:
    """RGB in 0..1: one of the shades that go by a colour's name."""
    hue, saturation, value = (rng.uniform(*span) for span in COLOURS[colour])
    return colorsys.hsv_to_rgb((hue / 360) % 1, saturation, value)


def paint(world: World, slot: Slot, colour: str, rng: Generator) -> None:
    """Give an object a shade of the colour, and its metal and paper parts tones of their own."""
    rgb = draw_shade(colour, rng)
    grey, cream = rng.uniform(0.35, 0.75), rng.uniform(0.75, 0.95)
    look = {
        "paint": (rgb, rng.uniform(0, 0.6), rng.uniform(0, 0.8)),
        "metal": ((grey, grey, grey * 1.03), rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.9)),
        "paper": ((cream, cream * 0.97, cream * 0.88), 0.0, 0.0),
    }
    for surface, (tone, specular, shininess) in look.items():
        material = slot.materials[surface]
        world.model.mat_rgba[material] = [*tone, 1]
        world.model.mat_specular[material] = specular
        world.model.mat_shininess[material] = shininess


def describe(
    world: World,
    camera: Camera,
    placed: dict[int, tuple[np.ndarray, float]],
    pairs: dict[int, str],
    slots: np.ndarray,
) -> tuple[tuple[SceneObject, ...], np.ndarray]:
    """The labelled objects, with their colours in `pairs`, in a rendered slot image, and their ids.

    Leaves the world showing one object only. Objects below MIN_PIXELS are left out.
    """
    masks = np.zeros(slots.shape, np.uint16)
    objects = []
    for index, colour in pairs.items():
        pixels = int((slots == index).sum())
        if pixels < MIN_PIXELS:
            continue
        world.show([index])
        alone = int((world.slot_image(camera) == index).sum())
        slot, (position, yaw) = world.slots[index], placed[index]
        turn = camera.rotation.T @ _about_z(yaw)
        objects.append(
            SceneObject(
                id=len(objects) + 1,
                category=slot.category,
                colour=colour,
                position=_rounded(camera.rotation.T @ (position - camera.position)),
                quaternion=_rounded(_quaternion(turn)),
                size=_rounded(slot.extents),
                visible=round(pixels / alone, 4),
                pixels=pixels,
            )
        )
        masks[slots == index] = len(objects)
    return tuple(objects), masks


def _about_z(yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(rotation).as_quat()


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 6) for v in values]


def write_scene(scene: Scene, number: int, out: Path) -> dict:
    """Write one scene's three pictures and return its entry in scenes.json."""
    stem = f"{number:05d}"
    cv2.imwrite(str(out / f"{stem}_colour.png"), scene.colour[..., ::-1])
    cv2.imwrite(str(out / f"{stem}_depth.png"), np.rint(scene.depth * 1000).astype(np.uint16))
    cv2.imwrite(str(out / f"{stem}_masks.png"), scene.masks)
    # Kept apart from the masks, since the table runs on under the objects.
    cv2.imwrite(str(out / f"{stem}_table.png"), scene.table.astype(np.uint8) * 255)
    return {
        "number": number,
        "colour": f"{stem}_colour.png",
        "depth": f"{stem}_depth.png",
        "masks": f"{stem}_masks.png",
        "table": f"{stem}_table.png",
        "camera": {
            "matrix": scene.camera.matrix.round(6).tolist(),
            "position": _rounded(scene.camera.position),
            "rotation": scene.camera.rotation.round(9).tolist(),
        },
        "objects": [asdict(item) for item in scene.objects],
    }


def _write_world(
    makers: Makers, seed: int, numbers: range, held_out: bool, out: Path
) -> list[dict]:
    make_world, make_scene = makers
    world = make_world(seed, numbers[0] // SCENES_PER_WORLD)
    try:
        return [
            write_scene(make_scene(world, default_rng([seed, 2, n]), held_out), n, out)
            for n in numbers
        ]
    finally:
        world.close()


def write_scenes(
    seed: int,
    count: int,
    out: Path,
    held_out: bool = True,
    workers: int = 2,
    makers: Makers = (make_world, make_scene),
) -> None:
    """Write `count` scenes and their scenes.json into a folder, which is made if need be."""
    out.mkdir(parents=True, exist_ok=True)
    blocks = [
        range(start, min(start + SCENES_PER_WORLD, count))
        for start in range(0, count, SCENES_PER_WORLD)
    ]
    # Spawned, since an OpenGL context does not survive a fork.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = [pool.submit(_write_world, makers, seed, block, held_out, out) for block in blocks]
        entries = [entry for job in tqdm(jobs, "worlds") for entry in job.result()]
    index = {"seed": seed, "width": SIZE[0], "height": SIZE[1], "scenes": entries}
    (out / "scenes.json").write_text(json.dumps(index))


def command(description: str, makers: Makers) -> None:
    """The command line of a generator."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without-held-out", action="store_true", help="leave held-out pairs out")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    write_scenes(args.seed, args.count, args.out, not args.without_held_out, args.workers, makers)


if __name__ == "__main__":
    command(__doc__.split("\n")[0], (make_world, make_scene))

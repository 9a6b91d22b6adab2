"""The widest tabletops that MuJoCo renders here: for proposals, and for tokens to stand firm.

    python -m training.wide --seed 7 --count 20 --out scenes

Cameras from 0.3 to 1.8 m with the focal lengths of real ones, categories in other proportions and
sizes, things without a name, a robot's arm, any colours of table and wall. Files are those of
training.scenes; in the masks, things without a name have the ids after the objects'.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator, default_rng
from scipy.spatial.transform import Rotation

from training import scenes, shapes, strangers
from training.vocabulary import COLOURS, HELD_OUT
from training.world import Camera, World, look_at

STRANGERS, CLUTTER, ARMS = 14, 2, 1


def make_world(seed: int, number: int) -> World:
    """The world that holds scenes number·SCENES_PER_WORLD and following of a seed."""
    rng = default_rng([seed, 4, number])
    pool = [(name, strangers.stretched(shapes.make(name, rng), rng)) for name in shapes.CATEGORIES]
    pool += [("stranger", strangers.make(rng)) for _ in range(STRANGERS)]
    pool += [("stranger", shapes.clutter(rng)) for _ in range(CLUTTER)]
    pool += [("arm", strangers.arm(rng)) for _ in range(ARMS)]
    return World(rng, scenes.SIZE, pool)


def make_scene(world: World, rng: Generator, held_out: bool = True) -> scenes.Scene:
    """Draw and render one scene; without `held_out`, none of the held-out pairs is in it."""
    camera = _draw_camera(rng)
    scenes.draw_light(world, rng)
    world.model.vis.headlight.ambient[:] = rng.uniform(0.05, 0.6)
    scenes.draw_room(world, rng)
    _tint_room(world, rng)
    placed = _place(world, camera, rng)
    pairs = _paint(world, placed, rng, held_out)
    world.show(())
    table = world.table_image(camera)
    world.arrange(placed)
    colour, depth, slots = world.render(camera)
    objects, masks = scenes.describe(world, camera, placed, pairs, slots)
    for index in placed.keys() - pairs.keys():
        if (slots == index).sum() >= scenes.MIN_PIXELS:
            masks[slots == index] = masks.max() + 1
    return scenes.Scene(colour, depth, masks, table, camera, objects)


def _draw_camera(rng: Generator) -> Camera:
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(15, 85))
    target = np.array([*rng.uniform(-0.25, 0.25, 2), 0.03])
    away = [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation)]
    distance = np.exp(rng.uniform(np.log(0.3), np.log(1.8)))
    eye = target + distance * np.array([*away, np.sin(elevation)])
    fovy = np.radians(rng.uniform(33, 68))
    level = look_at(eye, target, scenes.SIZE[1] / 2 / np.tan(fovy / 2), scenes.SIZE)
    roll = Rotation.from_euler("z", rng.normal(0, 6), degrees=True).as_matrix()
    return replace(level, rotation=level.rotation @ roll)


def _tint_room(world: World, rng: Generator) -> None:
    """Tables and walls of any colour."""
    for k in range(6):
        tint = rng.uniform(0.2, 1.4, 3) if rng.random() < 0.6 else np.full(3, rng.uniform(0.1, 1.4))
        world.model.mat_rgba[world.model.material(f"texture{k}").id] = [*tint, 1]


def _place(world: World, camera: Camera, rng: Generator) -> dict[int, tuple[np.ndarray, float]]:
    """Stand 3–14 things on the table, and let an arm into some pictures."""
    arms = [i for i, slot in enumerate(world.slots) if slot.category == "arm"]
    others = [i for i, slot in enumerate(world.slots) if slot.category != "arm"]
    placed: dict[int, tuple[np.ndarray, float]] = {}
    for index in map(int, rng.permutation(others)[: rng.integers(3, 15)]):
        spot = scenes.draw_free_spot(world, camera, placed, index, rng, reach=2.2)
        if spot is not None:
            placed[index] = spot
    if rng.random() < 0.3:
        place = np.array([*rng.uniform(-0.3, 0.3, 2), rng.uniform(0.05, 0.25)])
        placed[arms[0]] = place, rng.uniform(-np.pi, np.pi)
    return placed


def _paint(
    world: World, placed: dict[int, tuple[np.ndarray, float]], rng: Generator, held_out: bool
) -> dict[int, str]:
    """Named colours for the categories, any for what has no name."""
    chosen: dict[int, str] = {}
    for index in placed:
        slot = world.slots[index]
        if slot.category in shapes.CATEGORIES:
            allowed = [c for c in COLOURS if held_out or (c, slot.category) not in HELD_OUT]
            chosen[index] = str(rng.choice(allowed))
            scenes.paint(world, slot, chosen[index], rng)
            continue
        for material in slot.materials.values():
            world.model.mat_rgba[material] = [*rng.uniform(0, 1, 3) ** rng.uniform(0.5, 2), 1]
            world.model.mat_specular[material] = rng.uniform(0, 0.8)
            world.model.mat_shininess[material] = rng.uniform(0, 0.9)
    return chosen


if __name__ == "__main__":
    scenes.command(__doc__.split("\n")[0], (make_world, make_scene))

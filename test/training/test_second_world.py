import ast
from pathlib import Path

import numpy as np
import pytest

import training
from training.vocabulary import CATEGORIES

FOLDER = Path(training.__file__).parent / "second_world"


def test_it_shares_nothing_with_training_but_the_names():
    imported = {
        node.module
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("training")
    }
    others = {name for name in imported if not name.startswith("training.second_world")}
    assert others == {"training.vocabulary"}


def test_surfaces_are_of_every_kind_and_a_seed_gives_one():
    from training.second_world import surfaces

    drawn = [surfaces.draw(np.random.default_rng(seed)) for seed in range(12)]
    assert {image.shape for image in drawn} == {(512, 512, 3)}
    assert len({image.std().round(1) for image in drawn}) > 8
    assert np.array_equal(drawn[0], surfaces.draw(np.random.default_rng(0)))


@pytest.mark.parametrize("category", [*CATEGORIES, "clutter"])
def test_things_stand_on_the_table(category):
    pytest.importorskip("pyvista")
    from training.second_world import things

    for seed in range(3):
        parts = things.make(category, np.random.default_rng(seed))
        bounds = np.array([mesh.bounds for mesh, _ in parts])
        assert bounds[:, 4].min() == pytest.approx(0, abs=1e-5)
        assert 0.02 < (bounds[:, 1::2].max(0) - bounds[:, ::2].min(0)).max() < 0.4
        assert category == "clutter" or any(cover == "paint" for _, cover in parts)


@pytest.mark.slow
def test_a_scene_has_its_objects_where_the_masks_say():
    pytest.importorskip("pyvista")
    from training.second_world.stage import make_scene

    colour, masks, objects = make_scene(np.random.default_rng([1, 3]))
    assert colour.shape == (480, 640, 3)
    assert len(objects) >= 2
    for item in objects:
        assert (masks == item["id"]).sum() == item["pixels"]
        assert 0 < item["visible"] <= 1

"""The procedural meshes: closed, facing outwards, standing on the table."""

from collections import Counter

import numpy as np
import pytest

from training import shapes


def edges(faces):
    """Directed edges of triangles, with their number."""
    return Counter(
        (int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1), strict=True)
    )


def volume(vertices, faces):
    """Signed volume of a closed mesh, m³: positive where the faces look outwards."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


@pytest.mark.parametrize("category", shapes.CATEGORIES)
def test_objects_stand_on_the_table_and_fit_a_hand(category):
    for seed in range(12):
        parts = shapes.make(category, np.random.default_rng(seed))
        vertices = np.concatenate([part.vertices for part in parts])
        low, high = vertices.min(0), vertices.max(0)
        assert -1e-9 < low[2] < 0.006
        assert 0.02 < (high - low).max() < 0.25
        assert np.abs((low + high)[:2]).max() < 0.12
        assert any(part.surface == "paint" for part in parts)


@pytest.mark.parametrize("category", shapes.CATEGORIES)
def test_meshes_face_outwards(category):
    for seed in range(4):
        for part in shapes.make(category, np.random.default_rng(seed)):
            assert volume(part.vertices, part.faces) > 0


def test_a_seed_gives_one_shape_and_two_seeds_give_two():
    first, again, other = (
        np.concatenate([p.vertices for p in shapes.make("mug", np.random.default_rng(seed))])
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_swept_tube_is_closed():
    path = np.stack([np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2, np.zeros(9)], 1)
    _, faces = shapes.sweep(path, np.full((9, 2), 0.1))
    directed = edges(faces)
    assert set(directed.values()) == {1}
    assert all((b, a) in directed for a, b in directed)


def test_clutter_belongs_to_no_category():
    parts = [shapes.clutter(np.random.default_rng(seed)) for seed in range(20)]
    assert len({len(part[0].vertices) for part in parts}) == 3

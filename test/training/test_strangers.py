import numpy as np
import pytest

from training import shapes, strangers


def volume(part):
    """Signed volume of a closed mesh, m³: positive where the faces look outwards."""
    a, b, c = (part.vertices[part.faces[:, k]] for k in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


@pytest.mark.parametrize("seed", range(40))
def test_strangers_stand_on_the_table_and_face_outwards(seed):
    parts = strangers.make(np.random.default_rng(seed))
    vertices = np.concatenate([part.vertices for part in parts])
    low, high = vertices.min(0), vertices.max(0)
    assert low[2] == pytest.approx(0, abs=1e-9)
    assert (low + high)[:2] == pytest.approx(0, abs=1e-9)
    assert 0.024 < (high - low).max() < 0.201
    assert all(volume(part) > 0 for part in parts)


def test_no_two_strangers_are_alike():
    counts = {
        tuple(len(part.vertices) for part in strangers.make(np.random.default_rng(seed)))
        for seed in range(30)
    }
    assert len(counts) > 15


def test_an_arm_comes_down_from_above():
    for seed in range(8):
        parts = strangers.arm(np.random.default_rng(seed))
        vertices = np.concatenate([part.vertices for part in parts])
        assert vertices[:, 2].min() == pytest.approx(0, abs=1e-9)
        assert vertices[:, 2].max() > 0.3
        assert all(volume(part) > 0 for part in parts)


def test_stretching_changes_proportions_and_keeps_things_on_the_table():
    cube = shapes.make("cube", np.random.default_rng(0))
    stretched = strangers.stretched(cube, np.random.default_rng(1))
    ratio = np.ptp(stretched[0].vertices, axis=0) / np.ptp(cube[0].vertices, axis=0)
    assert len(set(ratio.round(3))) == 3
    assert stretched[0].vertices[:, 2].min() == pytest.approx(0)

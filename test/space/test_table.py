"""The plane that objects stand on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from test.support.tabletop import CAMERA, Tabletop, noisy
from textregion_ros.core.errors import BadImage
from textregion_ros.space.table import Plane, find_table

# Shrinking a scene takes longer than it helps.


@examples(15)
@given(pitch=st.floats(35, 85), roll=st.floats(-0.5, 0.5), seed=st.integers(0, 99))
def test_the_table_is_found_under_noise_and_holes(pitch, roll, seed):
    scene = Tabletop(pitch, roll=roll)
    table = find_table(noisy(scene.depth, seed, 0.002, 0.3), CAMERA)
    assert np.degrees(np.arccos(min(1.0, table.normal @ scene.up))) < 0.5
    assert table.offset == pytest.approx(0.5, abs=0.002)
    assert 0.0005 < table.noise < 0.004
    assert np.linalg.norm(table.normal) == pytest.approx(1)


def test_the_table_is_the_same_each_time():
    depth = noisy(Tabletop().depth, 1)
    first, again = find_table(depth, CAMERA), find_table(depth, CAMERA)
    np.testing.assert_array_equal(first.normal, again.normal)
    assert first.offset == again.offset


def test_a_table_before_a_larger_wall_is_the_table():
    scene = Tabletop(pitch=35.0)
    wall = np.where(np.arange(120)[:, None] < 70, np.float32(0.62), np.inf)
    depth = np.minimum(scene.depth, np.broadcast_to(wall, scene.depth.shape)).astype(np.float32)
    assert (depth == wall).mean() > 0.5
    table = find_table(depth, CAMERA)
    assert table.normal @ scene.up > 0.999


def test_where_nothing_is_flat_there_is_no_table():
    rough = np.random.default_rng(0).uniform(0.4, 3.0, (120, 160)).astype(np.float32)
    assert find_table(rough, CAMERA) is None
    assert find_table(np.full((120, 160), np.nan, np.float32), CAMERA) is None


def test_heights_are_those_above_the_plane():
    plane = Plane(np.array([0, -0.6, -0.8]), 0.5, 0.001)
    points = np.array([[9, 0, 0], [9, 0.3, 0.4]], np.float32)
    np.testing.assert_allclose(plane.heights(points), [0.5, 0.0], atol=1e-6)


def test_depth_of_another_size_is_refused():
    with pytest.raises(BadImage, match="80×60 px, but the camera has 160×120"):
        find_table(np.ones((60, 80), np.float32), CAMERA)

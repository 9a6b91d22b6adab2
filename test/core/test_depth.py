"""Depth images in one unit."""

import numpy as np
import pytest

from textregion_ros.core.depth import depth_metres
from textregion_ros.core.errors import BadImage


def test_millimetres_and_metres_are_the_same_depth():
    stored = np.array([[0, 1, 1500], [65535, 400, 0]], np.uint16)
    metres = depth_metres(stored)
    assert metres.dtype == np.float32
    expected = [[np.nan, 0.001, 1.5], [65.535, 0.4, np.nan]]
    np.testing.assert_allclose(metres, np.array(expected, np.float32))
    np.testing.assert_array_equal(depth_metres(metres), metres)


def test_every_way_to_say_missing_is_one():
    depth = np.array([[0.0, np.nan, np.inf], [-np.inf, -1.0, 2.0]], np.float32)
    before = depth.copy()
    assert np.isnan(depth_metres(depth)).sum() == 5
    np.testing.assert_array_equal(depth, before)


@pytest.mark.parametrize(
    "depth",
    [np.zeros((2, 2), np.int32), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), np.uint16)],
)
def test_depth_of_another_kind_is_refused(depth):
    with pytest.raises(BadImage, match=r"depth (is|has)"):
        depth_metres(depth)


@pytest.mark.parametrize("value", [5e-4, 1e-30, 1001.0, 1e30, 1e200])
def test_what_no_camera_measures_is_missing(value):
    assert np.isnan(depth_metres(np.full((2, 2), value))).all()

import numpy as np
import pytest

from textregion_ros.core.depth import depth_metres
from textregion_ros.core.errors import BadImage


def test_millimetres_become_metres_and_0_is_missing():
    metres = depth_metres(np.array([[0, 1, 65535]], np.uint16))
    assert metres.dtype == np.float32
    np.testing.assert_allclose(metres, [[np.nan, 0.001, 65.535]])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_what_is_no_depth_in_metres_is_missing(kind):
    metres = depth_metres(np.array([[0, -1, np.nan, np.inf, -np.inf, 0.5]], kind))
    assert metres.dtype == np.float32
    np.testing.assert_array_equal(metres, [[np.nan] * 5 + [0.5]])


def test_the_depth_given_stays_as_it_is():
    depth = np.zeros((2, 3), np.float32)
    depth_metres(depth)
    assert not np.isnan(depth).any()


@pytest.mark.parametrize("depth", [np.zeros((2, 3), np.int32), np.zeros((2, 3, 1), np.float32)])
def test_other_arrays_are_refused(depth):
    with pytest.raises(BadImage, match="depth "):
        depth_metres(depth)

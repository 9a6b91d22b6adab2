"""Depth of one image: what it says about the image's regions."""

import sys
from subprocess import run

import numpy as np
import pytest

from test.support.tabletop import CAMERA, Tabletop
from textregion_ros.core.boxes import mask_box
from textregion_ros.core.errors import BadImage
from textregion_ros.space import Space, space_of


def crop_of(mask):
    x, y, w, h = mask_box(mask)
    return mask[y : y + h, x : x + w], (x, y, w, h)


def test_a_space_has_the_table_and_the_shapes_of_regions():
    scene = Tabletop()
    millimetres = np.rint(1000 * scene.depth).astype(np.uint16)
    space = space_of(millimetres, CAMERA, (120, 160))
    assert isinstance(space, Space)
    assert space.table.normal @ scene.up > 0.999
    assert space.table is space.table
    shape = space.shape(*crop_of(scene.mask))
    np.testing.assert_allclose(shape.pose.centroid, scene.centroid, atol=0.005)
    np.testing.assert_allclose(shape.pose.axes[:, 2], space.table.normal, atol=1e-9)


def test_without_a_table_shapes_have_axes_of_their_own():
    scene = Tabletop()
    rough = np.random.default_rng(0).uniform(0.4, 3.0, (120, 160))
    space = space_of(np.where(scene.mask, scene.depth, rough), CAMERA, (120, 160))
    assert space.table is None
    shape = space.shape(*crop_of(scene.mask))
    assert np.diff(np.ptp(shape.points @ shape.pose.axes, axis=0)).max() < 0.02


def test_a_space_without_depth_has_neither_table_nor_shapes():
    space = space_of(np.zeros((120, 160), np.uint16), CAMERA, (120, 160))
    assert space.table is None
    assert space.shape(np.ones((20, 30), bool), (5, 5, 30, 20)) is None


@pytest.mark.parametrize(
    ("depth", "image_size", "words"),
    [
        (np.ones((60, 80)), (120, 160), "depth is 80×60 px and the image 160×120"),
        (np.ones((60, 80)), (60, 80), "camera_info is 160×120 px and the image 80×60"),
        (np.ones((120, 160), np.uint8), (120, 160), "depth is uint8"),
        (np.ones((120, 160, 1)), (120, 160), "depth has the shape"),
    ],
)
def test_what_does_not_fit_the_image_is_refused(depth, image_size, words):
    with pytest.raises(BadImage, match=words):
        space_of(depth, CAMERA, image_size)


def test_importing_space_loads_no_torch_and_no_ros():
    heavy = "{'torch', 'scipy', 'rclpy', 'sensor_msgs'}"
    code = f"import sys, textregion_ros.space; print(sorted({heavy} & set(sys.modules)))"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

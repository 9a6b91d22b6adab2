"""Depth to shapes, on surfaces whose place is known by hand."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from test.support.examples import examples
from test.support.tabletop import CAMERA, Tabletop, noisy, shape_of
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.depth import depth_metres
from textregion_ros.core.errors import BadImage
from textregion_ros.space.shapes import region_shape
from textregion_ros.space.table import Plane, find_table

# Shrinking a scene takes longer than it helps.


@examples(20)
@given(
    yaw=st.floats(-1.5, 1.5),
    pitch=st.floats(40, 70),
    length=st.floats(0.06, 0.12),
    height=st.floats(0.03, 0.1),
)
def test_a_box_on_a_table_is_found_where_it_stands(yaw, pitch, length, height):
    scene = Tabletop(pitch, yaw, (length, 0.045, height))
    shape = scene.shape()
    axes = shape.pose.axes
    np.testing.assert_allclose(shape.pose.centroid, scene.centroid, atol=0.005)
    np.testing.assert_allclose(axes[:, 2], scene.up, atol=0.01)
    assert shape.pose.size[2] == pytest.approx(height, abs=0.001)
    along = scene.turn.T @ scene.box_turn[:, 0]
    assert abs(axes[:, 0] @ along) > np.cos(np.radians(4))
    assert shape.pose.size[0] == pytest.approx(length, abs=0.002)
    np.testing.assert_allclose(shape.pose.position, scene.centre, atol=0.003)


@examples(15)
@given(seed=st.integers(0, 999), with_table=st.booleans(), yaw=st.floats(-1.5, 1.5))
def test_a_shape_is_consistent(seed, with_table, yaw):
    scene = Tabletop(yaw=yaw)
    depth = noisy(scene.depth, seed)
    shape = scene.shape(depth, table="found" if with_table else None)
    axes = shape.pose.axes
    assert np.linalg.norm(shape.pose.orientation) == pytest.approx(1)
    assert shape.pose.orientation[3] >= 0
    assert np.linalg.det(axes) == pytest.approx(1)
    # Every point lies in the box, and at the pixel it is said to come from.
    within = np.abs((shape.points - shape.pose.position) @ axes)
    # A box stands on the table, whose noise may put a point below it.
    assert (within <= shape.pose.size / 2 + [1e-5, 1e-5, 5e-3]).all()
    v, u = np.divmod(shape.pixels, CAMERA.width)
    assert scene.mask[v, u].all()
    np.testing.assert_allclose(CAMERA.pixels(shape.points), np.stack([u, v], 1), atol=1e-2)
    np.testing.assert_array_equal(shape.points[:, 2], depth[v, u])
    assert (
        (axes[0, 0] >= 0)
        if with_table
        else (np.diff(np.ptp(shape.points @ axes, axis=0)) < 0.02).all()
    )
    again = scene.shape(depth, table="found" if with_table else None)
    np.testing.assert_array_equal(again.pose.orientation, shape.pose.orientation)
    np.testing.assert_array_equal(again.pose.size, shape.pose.size)


@examples(15)
@given(seed=st.integers(0, 999), lost=st.floats(0, 0.4))
def test_noise_and_holes_move_the_centroid_little(seed, lost):
    scene = Tabletop()
    shape = scene.shape(noisy(scene.depth, seed, 0.002, lost))
    np.testing.assert_allclose(shape.pose.centroid, scene.centroid, atol=0.003)
    assert np.abs(shape.pose.size - scene.shape().pose.size).max() < 0.02


@examples(15)
@given(seed=st.integers(0, 9999))
@example(281)  # where four of them meet and have each other's support
def test_flying_pixels_are_left_out(seed):
    scene = Tabletop()
    rng = np.random.default_rng(seed)
    padded = np.pad(scene.mask, 1)
    rim = scene.mask & ~(
        padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    )
    flying = scene.depth.copy()
    flying[rim] += rng.uniform(0.03, 0.4, rim.sum()).astype(np.float32)
    shape = scene.shape(flying)
    np.testing.assert_allclose(shape.pose.centroid, scene.centroid, atol=0.004)
    assert (shape.pose.size < scene.shape().pose.size + 0.02).all()


def two_parts(height, width, behind=0.06):
    """Mask and depth of an object of 900 pixels, and of a part that lies behind it, m."""
    mask, depth = np.zeros((120, 160), bool), np.full((120, 160), 3.0, np.float32)
    for rows, columns, metres in (
        (slice(50, 80), slice(50, 80), 0.50),
        (slice(60, 60 + height), slice(80, 80 + width), 0.5 + behind),
    ):
        mask[rows, columns], depth[rows, columns] = True, metres
    return mask, depth


def test_a_small_part_apart_in_depth_is_left_out():
    mask, depth = two_parts(3, 3)
    shape = shape_of(mask, depth)
    assert len(shape.points) == mask.sum() - 9
    assert shape.pose.size[2] < 0.001


@pytest.mark.parametrize("size", [(2, 5), (8, 3), (25, 10)])
def test_what_an_occluder_cuts_off_an_object_is_kept(size):
    mask, depth = two_parts(*size)
    mask[:, 78:82] = False  # the occluder
    depth[:, 78:82] = 0.3
    mask[60 : 60 + size[0], 82 : 82 + size[1]] = True
    depth[60 : 60 + size[0], 82 : 82 + size[1]] = 0.56
    shape = shape_of(mask, depth)
    assert len(shape.points) == mask.sum()
    assert np.ptp(shape.points[:, 2]) == pytest.approx(0.06, abs=1e-6)


def test_a_small_object_keeps_the_parts_that_hold_their_share_of_it():
    mask, depth = two_parts(3, 3, behind=0.03)
    mask[:, :70] = mask[:58] = mask[68:] = False
    assert mask.sum() == 109
    assert len(shape_of(mask, depth).points) == 109


def test_a_mask_that_runs_over_onto_the_table_is_cut_back():
    scene = Tabletop()
    wide = scene.mask.copy()
    rows, columns = np.nonzero(scene.mask)
    wide[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5] = True
    assert wide.sum() > 1.4 * scene.mask.sum()
    shape = scene.shape(noisy(scene.depth, 4), mask=wide)
    np.testing.assert_allclose(shape.pose.centroid, scene.centroid, atol=0.003)
    assert shape.pose.size[2] == pytest.approx(0.06, abs=0.006)


def test_a_background_seen_beside_an_object_is_left_out():
    scene = Tabletop()
    rows, columns = np.nonzero(scene.mask)
    wide = np.zeros_like(scene.mask)
    wide[rows.min() - 2 : rows.max() + 3, columns.min() - 2 : columns.max() + 3] = True
    depth = np.where(scene.mask, scene.depth, np.float32(3.0))
    shape = shape_of(wide, depth)
    assert shape.points[:, 2].max() < 1.0


def test_a_flat_object_is_not_taken_for_the_table():
    scene = Tabletop(size=(0.1, 0.06, 0.001))
    shape = scene.shape(noisy(scene.depth, 2, 0.001, 0.0))
    np.testing.assert_allclose(shape.pose.centroid, scene.centroid, atol=0.003)
    assert len(shape.points) > 0.8 * scene.mask.sum()


def test_the_principal_axes_of_a_slope_are_its_own():
    v, _ = np.mgrid[:120, :160]
    depth = (1.0 / (1.0 + 0.8 * (v - 60.5) / 310.0)).astype(np.float32)  # z + 0.8 y = 1
    mask = np.zeros((120, 160), bool)
    mask[50:70, 20:140] = True
    shape = shape_of(mask, depth)
    axes = shape.pose.axes
    np.testing.assert_allclose(np.abs(axes[:, 0]), [1, 0, 0], atol=0.05)
    normal = np.array([0, 0.8, 1]) / np.hypot(0.8, 1)
    assert abs(axes[:, 2] @ normal) > 0.999
    assert shape.pose.size[2] < 0.001


@pytest.mark.parametrize(
    "spoil",
    [
        lambda depth, mask: (np.full_like(depth, np.nan), mask),
        lambda depth, mask: (np.where(np.indices(depth.shape).sum(0) % 4, np.nan, depth), mask),
        lambda depth, mask: (depth, np.zeros_like(mask)),
        lambda depth, mask: (depth, mask & (np.cumsum(mask).reshape(mask.shape) <= 20)),
        lambda depth, mask: (np.random.default_rng(0).uniform(0.3, 5, depth.shape), mask),
    ],
    ids=["no depth", "a quarter of the depth", "empty mask", "few pixels", "depth without surface"],
)
def test_too_little_depth_gives_no_shape(spoil):
    scene = Tabletop()
    table = find_table(scene.depth, CAMERA)
    depth, mask = spoil(scene.depth, scene.mask)
    assert shape_of(mask, depth.astype(np.float32), table) is None


def test_a_region_at_the_border_of_the_image_has_a_shape():
    scene = Tabletop(at=(-0.2, 0.0))
    assert scene.mask[:, 0].any()
    assert scene.shape() is not None


def test_the_centroid_is_that_of_the_visible_surface_with_gaps_filled():
    mask, depth = two_parts(0, 0)
    depth[50:80] = np.linspace(0.4, 0.6, 30)[:, None]
    depth[50:64, 50:80] = np.nan
    shape = shape_of(mask, depth)
    filled = np.r_[np.full(14, depth[64, 60]), depth[64:80, 60]]
    assert shape.pose.centroid[2] == pytest.approx(filled.mean(), abs=1e-4)
    assert shape.points[:, 2].mean() == pytest.approx(depth[64:80, 60].mean(), abs=1e-4)


NOISE = np.random.default_rng(0).normal(size=(120, 160))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("spread", [0.0, 0.001], ids=["even", "noisy"])
@pytest.mark.parametrize("metres", [5e-4, 1e-3, 2e-3, 1e-30, 1e20, 3e38])
def test_depth_of_a_wrong_unit_has_no_table_and_no_shape(metres, spread):
    expect_nothing(np.float32(metres) * (1 + spread * NOISE).astype(np.float32), CAMERA)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 640), (640, 1), (1, 20000), (1, 1)])
@pytest.mark.parametrize("slope", [0.0, 0.5], ids=["even", "sloped"])
def test_depth_of_a_line_has_no_table_and_no_shape(size, slope):
    depth = 1 + slope * np.linspace(0, 1, size[0] * size[1]).reshape(size)
    expect_nothing(depth, Intrinsics(300.0, 310.0, 80.0, 60.0, size[1], size[0]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "camera",
    [(f, f, 80.0, 60.0) for f in (1e-300, 1e-30, 1e-6, 1e6, 1e30, 1e300)]
    + [(300.0, 310.0, c, -c) for c in (1e6, 1e30, 1e300)],
    ids=str,
)
def test_an_absurd_camera_has_no_table_and_no_shape(camera):
    expect_nothing(Tabletop().depth, Intrinsics(*camera, 160, 120))


def expect_nothing(depth, camera):
    depth = depth_metres(depth)
    height, width = depth.shape
    mask = np.zeros(depth.shape, bool)
    mask[height // 4 : height // 4 * 3 + 1, width // 4 : width // 4 * 3 + 1] = True
    assert find_table(depth, camera) is None
    for table in (None, Plane(np.array([0, -0.6, -0.8]), 0.5, 0.001)):
        assert shape_of(mask, depth, table, camera) is None


def test_sizes_that_do_not_fit_are_refused():
    depth, crop = np.ones((120, 160), np.float32), np.ones((20, 30), bool)
    with pytest.raises(BadImage, match="80×60 px, but the camera has 160×120"):
        region_shape(crop, (0, 0, 30, 20), depth[:60, :80], CAMERA, None)
    for box in ((0, 0, 20, 30), (131, 0, 30, 20), (0, 101, 30, 20), (-1, 0, 30, 20)):
        with pytest.raises(BadImage, match="30×20 px does not fit the box"):
            region_shape(crop, box, depth, CAMERA, None)

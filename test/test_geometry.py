"""Depth to shapes, on surfaces whose place is known by hand."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from textregion_ros import boxes
from textregion_ros.geometry import Camera, Plane, depth_metres, find_table, region_shape

CAMERA = Camera(300.0, 310.0, 80.0, 60.5, 160, 120)
# Shrinking a scene takes longer than it helps.
QUICK = settings(deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
FLOATS = st.floats(-1.0, 1.0)


def rotation(a, b, c):
    """A rotation by three angles, radians."""
    turns = []
    for axis, angle in ((0, a), (1, b), (2, c)):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        turns.append(turn)
    return turns[0] @ turns[1] @ turns[2]


def matrix(quaternion):
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rays(camera=CAMERA):
    v, u = np.mgrid[: camera.height, : camera.width]
    return np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1
    )


class Tabletop:
    """A camera 0.5 m above a table, pitched down, and a box on it, seen without noise."""

    def __init__(self, pitch=50.0, yaw=0.3, size=(0.08, 0.05, 0.06), at=(0.01, 0.0), roll=0.0):
        # In the table's frame: x right, y away, z up, the origin in the middle of the view.
        self.size, self.yaw = np.array(size), yaw
        s, c = np.sin(np.radians(pitch)), np.cos(np.radians(pitch))
        level = np.array([[1.0, 0, 0], [0, -s, c], [0, -c, -s]])  # optical to table, as columns
        self.turn = level @ rotation(0, 0, roll)
        self.eye = -level[:, 2] * 0.5 / s
        self.up = self.turn.T @ [0, 0, 1.0]
        directions = rays() @ self.turn.T
        self.table = -self.eye[2] / np.minimum(directions[..., 2], -1e-9)
        foot = np.array([*at, 0.0])
        self.box_turn = rotation(0, 0, yaw)
        self.centre = self.turn.T @ (foot - self.eye) + size[2] / 2 * self.up
        self.box = self._hit(directions, foot)
        self.mask = self.box < self.table
        self.depth = np.minimum(self.box, self.table).astype(np.float32)
        points = rays()[self.mask] * self.depth[self.mask][:, None]
        self.centroid = points.mean(0)

    def _hit(self, directions, foot):
        """Depth at which each ray enters the box, inf where it misses."""
        low, high = np.array([-0.5, -0.5, 0]) * self.size, np.array([0.5, 0.5, 1]) * self.size
        start = self.box_turn.T @ (self.eye - foot)
        along = directions @ self.box_turn
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(low - start) / along, (high - start) / along])
        enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
        return np.where(enter < leave, enter, np.inf)

    def shape(self, depth=None, mask=None, table="found"):
        depth = self.depth if depth is None else depth
        plane = find_table(depth, CAMERA) if table == "found" else table
        return region_shape(self.mask if mask is None else mask, depth, CAMERA, plane)


def noisy(depth, seed, sigma=0.001, lost=0.1):
    rng = np.random.default_rng(seed)
    depth = depth + rng.normal(0, sigma, depth.shape)
    return np.where(rng.random(depth.shape) < lost, np.nan, depth).astype(np.float32)


# Units and cameras


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
    with pytest.raises(ValueError, match="depth is"):
        depth_metres(depth)


@pytest.mark.parametrize("field", ["fx", "fy", "width", "height"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_camera_that_is_not_calibrated_is_refused(field, value):
    values = {"fx": 1.0, "fy": 1.0, "cx": 0.0, "cy": 0.0, "width": 2, "height": 2, field: value}
    with pytest.raises(ValueError, match="no camera is like this"):
        Camera(**values)


@given(
    fx=st.floats(50, 2000),
    fy=st.floats(50, 2000),
    u=st.floats(0, 639),
    v=st.floats(0, 479),
    z=st.floats(0.1, 10),
)
def test_what_is_seen_at_a_pixel_projects_to_it(fx, fy, u, v, z):
    camera = Camera(fx, fy, 320.0, 240.0, 640, 480)
    points = camera.points(np.array([u]), np.array([v]), np.array([z]))
    assert points.shape == (1, 3)
    assert points[0, 2] == pytest.approx(z)
    np.testing.assert_allclose(camera.pixels(points), [[u, v]], atol=1e-3)


# The table


@settings(QUICK, max_examples=15)
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


def test_depth_of_another_size_is_refused():
    depth = np.ones((60, 80), np.float32)
    with pytest.raises(ValueError, match="80×60 px, but the camera has 160×120"):
        find_table(depth, CAMERA)
    with pytest.raises(ValueError, match="80×60 px"):
        region_shape(depth > 0, np.ones((120, 160), np.float32), CAMERA, None)


def test_heights_are_those_above_the_plane():
    plane = Plane(np.array([0, -0.6, -0.8]), 0.5, 0.001)
    points = np.array([[9, 0, 0], [9, 0.3, 0.4]], np.float32)
    np.testing.assert_allclose(plane.heights(points), [0.5, 0.0], atol=1e-6)


# Regions


@settings(QUICK, max_examples=20)
@given(
    yaw=st.floats(-1.5, 1.5),
    pitch=st.floats(40, 70),
    length=st.floats(0.06, 0.12),
    height=st.floats(0.03, 0.1),
)
def test_a_box_on_a_table_is_found_where_it_stands(yaw, pitch, length, height):
    scene = Tabletop(pitch, yaw, (length, 0.045, height))
    shape = scene.shape()
    axes = matrix(shape.orientation)
    np.testing.assert_allclose(shape.centroid, scene.centroid, atol=0.005)
    np.testing.assert_allclose(axes[:, 2], scene.up, atol=0.01)
    assert shape.size[2] == pytest.approx(height, abs=0.001)
    along = scene.turn.T @ scene.box_turn[:, 0]
    assert abs(axes[:, 0] @ along) > np.cos(np.radians(4))
    assert shape.size[0] == pytest.approx(length, abs=0.002)
    np.testing.assert_allclose(shape.position, scene.centre, atol=0.003)


@settings(QUICK, max_examples=15)
@given(seed=st.integers(0, 999), with_table=st.booleans(), yaw=st.floats(-1.5, 1.5))
def test_a_shape_is_consistent(seed, with_table, yaw):
    scene = Tabletop(yaw=yaw)
    depth = noisy(scene.depth, seed)
    shape = scene.shape(depth, table="found" if with_table else None)
    axes = matrix(shape.orientation)
    assert np.linalg.norm(shape.orientation) == pytest.approx(1)
    assert shape.orientation[3] >= 0
    assert np.linalg.det(axes) == pytest.approx(1)
    # Every point lies in the box, and at the pixel it is said to come from.
    within = np.abs((shape.points - shape.position) @ axes)
    # A box stands on the table, whose noise may put a point below it.
    assert (within <= shape.size / 2 + [1e-5, 1e-5, 5e-3]).all()
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
    np.testing.assert_array_equal(again.orientation, shape.orientation)
    np.testing.assert_array_equal(again.size, shape.size)


@settings(QUICK, max_examples=15)
@given(turn=st.tuples(FLOATS, FLOATS, FLOATS), move=st.tuples(FLOATS, FLOATS, FLOATS))
def test_boxes_move_with_their_points(turn, move):
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.5, 0.5, (400, 3)) * [0.2, 0.1, 0.05]
    plane = Plane(np.array([0.0, 0, 1]), 5.0, 0.001)
    turn, move = rotation(*(3 * np.array(turn))), np.array(move)
    moved = points @ turn.T + move
    normal = turn @ plane.normal
    moved_plane = Plane(normal, 5.0 - normal @ move, 0.001)
    for before, after in (
        (
            boxes.upright_box(points, plane.normal, plane.offset),
            boxes.upright_box(moved, moved_plane.normal, moved_plane.offset),
        ),
        (boxes.principal_box(points), boxes.principal_box(moved)),
    ):
        (axes, low, high), (turned, new_low, new_high) = before, after
        np.testing.assert_allclose(new_high - new_low, high - low, atol=1e-5)
        centre, new_centre = axes @ (low + high) / 2, turned @ (new_low + new_high) / 2
        np.testing.assert_allclose(new_centre, turn @ centre + move, atol=1e-5)
        # An axis may point either way.
        np.testing.assert_allclose(np.abs(np.diag(turned.T @ turn @ axes)), 1, atol=1e-4)


@settings(QUICK, max_examples=15)
@given(seed=st.integers(0, 999), lost=st.floats(0, 0.4))
def test_noise_and_holes_move_the_centroid_little(seed, lost):
    scene = Tabletop()
    shape = scene.shape(noisy(scene.depth, seed, 0.002, lost))
    np.testing.assert_allclose(shape.centroid, scene.centroid, atol=0.003)
    assert np.abs(shape.size - scene.shape().size).max() < 0.02


@settings(QUICK, max_examples=15)
@given(seed=st.integers(0, 999))
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
    np.testing.assert_allclose(shape.centroid, scene.centroid, atol=0.004)
    assert (shape.size < scene.shape().size + 0.02).all()


def test_a_mask_that_runs_over_onto_the_table_is_cut_back():
    scene = Tabletop()
    wide = scene.mask.copy()
    rows, columns = np.nonzero(scene.mask)
    wide[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5] = True
    assert wide.sum() > 1.4 * scene.mask.sum()
    shape = scene.shape(noisy(scene.depth, 4), mask=wide)
    np.testing.assert_allclose(shape.centroid, scene.centroid, atol=0.003)
    assert shape.size[2] == pytest.approx(0.06, abs=0.006)


def test_a_background_seen_beside_an_object_is_left_out():
    scene = Tabletop()
    rows, columns = np.nonzero(scene.mask)
    wide = np.zeros_like(scene.mask)
    wide[rows.min() - 2 : rows.max() + 3, columns.min() - 2 : columns.max() + 3] = True
    depth = np.where(scene.mask, scene.depth, np.float32(3.0))
    shape = region_shape(wide, depth, CAMERA, None)
    assert shape.points[:, 2].max() < 1.0


def test_a_flat_object_is_not_taken_for_the_table():
    scene = Tabletop(size=(0.1, 0.06, 0.001))
    shape = scene.shape(noisy(scene.depth, 2, 0.001, 0.0))
    np.testing.assert_allclose(shape.centroid, scene.centroid, atol=0.003)
    assert len(shape.points) > 0.8 * scene.mask.sum()


def test_the_principal_axes_of_a_slope_are_its_own():
    v, _ = np.mgrid[:120, :160]
    depth = (1.0 / (1.0 + 0.8 * (v - 60.5) / 310.0)).astype(np.float32)  # z + 0.8 y = 1
    mask = np.zeros((120, 160), bool)
    mask[50:70, 20:140] = True
    shape = region_shape(mask, depth, CAMERA, None)
    axes = matrix(shape.orientation)
    np.testing.assert_allclose(np.abs(axes[:, 0]), [1, 0, 0], atol=0.05)
    normal = np.array([0, 0.8, 1]) / np.hypot(0.8, 1)
    assert abs(axes[:, 2] @ normal) > 0.999
    assert shape.size[2] < 0.001


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
    assert region_shape(mask, depth.astype(np.float32), CAMERA, table) is None


def test_a_region_at_the_border_of_the_image_has_a_shape():
    scene = Tabletop(at=(-0.2, 0.0))
    assert scene.mask[:, 0].any()
    assert scene.shape() is not None


@given(st.tuples(FLOATS, FLOATS, FLOATS))
def test_a_quaternion_is_its_rotation(angles):
    turn = rotation(*(np.pi * np.array(angles)))
    quaternion = boxes.quaternion(turn)
    np.testing.assert_allclose(matrix(quaternion), turn, atol=1e-9)

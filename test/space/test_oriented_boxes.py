"""Boxes around points."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from test.support.tabletop import rotation
from textregion_ros.core.results import Pose
from textregion_ros.space import oriented_boxes
from textregion_ros.space.table import Plane

# Shrinking a scene takes longer than it helps.
FLOATS = st.floats(-1.0, 1.0)


@examples(15)
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
            oriented_boxes.upright_box(points, plane.normal, plane.offset),
            oriented_boxes.upright_box(moved, moved_plane.normal, moved_plane.offset),
        ),
        (oriented_boxes.principal_box(points), oriented_boxes.principal_box(moved)),
    ):
        (axes, low, high), (turned, new_low, new_high) = before, after
        np.testing.assert_allclose(new_high - new_low, high - low, atol=1e-5)
        centre, new_centre = axes @ (low + high) / 2, turned @ (new_low + new_high) / 2
        np.testing.assert_allclose(new_centre, turn @ centre + move, atol=1e-5)
        # An axis may point either way.
        np.testing.assert_allclose(np.abs(np.diag(turned.T @ turn @ axes)), 1, atol=1e-4)


@given(st.tuples(FLOATS, FLOATS, FLOATS))
def test_a_quaternion_is_its_rotation(angles):
    zero = np.zeros(3)
    turn = rotation(*(np.pi * np.array(angles)))
    quaternion = oriented_boxes.quaternion(turn)
    np.testing.assert_allclose(Pose(zero, zero, quaternion, zero).axes, turn, atol=1e-9)

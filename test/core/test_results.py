import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from textregion_ros.core.results import Embedding, Pose

NUMBERS = st.floats(-5, 5)
TURNS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS).filter(lambda q: np.linalg.norm(q) > 0.1)


@given(turn=TURNS, position=st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_the_matrix_of_a_pose_turns_and_moves(turn, position):
    pose = Pose(np.zeros(3), np.array(position), np.array(turn), np.ones(3))
    rotation = Rotation.from_quat(turn).as_matrix()
    np.testing.assert_allclose(pose.axes, rotation, atol=1e-9)
    point = np.array([0.3, -0.2, 0.9, 1.0])
    np.testing.assert_allclose((pose.matrix @ point)[:3], rotation @ point[:3] + position)
    np.testing.assert_array_equal(pose.matrix[3], [0, 0, 0, 1])


def test_vectors_are_shown_by_their_shape():
    assert repr(Embedding("clip", np.zeros((2, 5), np.float32))) == "Embedding(2×5, clip)"

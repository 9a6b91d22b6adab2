import numpy as np
import pytest
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from textregion_ros import msg
from textregion_ros.node.client import Pose, QueryFailed, to_answer, to_standing_queries
from textregion_ros.node.client_results import FAILURES
from textregion_ros.srv import Query

HEADER = Header(frame_id="camera")
STATUSES = {
    name: getattr(Query.Response, name)
    for name in dir(Query.Response)
    if name.isupper() and isinstance(getattr(Query.Response, name), int)
}
NUMBERS = st.floats(-5, 5)
TURNS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS).filter(lambda q: np.linalg.norm(q) > 0.1)


def test_every_status_but_those_of_an_answer_is_an_exception():
    assert len(STATUSES) == 8
    answered = {STATUSES.pop("OK"), STATUSES.pop("NOT_FOUND")}
    assert set(FAILURES) == set(STATUSES.values())
    assert not answered & set(FAILURES)
    assert len(set(FAILURES.values())) == len(FAILURES)
    assert all(issubclass(failure, QueryFailed) for failure in FAILURES.values())


@given(turn=TURNS, position=st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_the_matrix_of_a_pose_turns_and_moves(turn, position):
    pose = Pose(np.zeros(3), np.array(position), np.array(turn), np.ones(3))
    rotation = Rotation.from_quat(turn).as_matrix()
    np.testing.assert_allclose(pose.axes, rotation, atol=1e-9)
    point = np.array([0.3, -0.2, 0.9, 1.0])
    np.testing.assert_allclose((pose.matrix @ point)[:3], rotation @ point[:3] + position)
    np.testing.assert_array_equal(pose.matrix[3], [0, 0, 0, 1])


def region_message(**fields):
    mask = np.array([[255, 0, 255, 7, 7], [0, 255, 0, 7, 7]], np.uint8)
    return msg.Region(
        id=4,
        box=RegionOfInterest(x_offset=5, y_offset=1, width=3, height=2),
        mask=Image(encoding="mono8", width=3, height=2, step=5, data=mask.tobytes()),
        score=0.75,
        margin=0.5,
        **fields,
    )


def answer(region):
    grounding = msg.Grounding(text="red mug", found=True, score=0.75, regions=[region])
    grounding.box = region.box
    absent = msg.Grounding(text="spoon", score=0.25)
    return to_answer(Query.Response(header=HEADER, groundings=[grounding, absent], reused=True))


def test_masks_are_read_without_their_padding_and_put_in_their_place():
    mug, spoon = answer(region_message()).groundings
    assert (mug.box, mug.best.box, mug.best.id) == ((5, 1, 3, 2), (5, 1, 3, 2), 4)
    np.testing.assert_array_equal(mug.best.mask, [[1, 0, 1], [0, 1, 0]])
    full = mug.best.full_mask(4, 9)
    assert full.shape == (4, 9)
    assert np.argwhere(full).tolist() == [[1, 5], [1, 7], [2, 6]]
    assert (spoon.found, spoon.box, spoon.best, spoon.score) == (False, None, None, 0.25)


def test_an_answer_has_what_the_reply_has():
    reply = answer(region_message())
    assert reply.reused
    assert reply.header == HEADER
    assert all(grounding.header == HEADER for grounding in reply.groundings)
    with pytest.raises(AttributeError):
        reply.reused = False


def test_a_pose_is_there_only_where_the_node_has_one():
    assert answer(region_message()).groundings[0].best.pose is None
    pose = PoseMessage(
        position=Point(x=1.0, y=2.0, z=3.0), orientation=Quaternion(x=0.0, y=0.6, z=0.0, w=0.8)
    )
    centroid, size = Point(x=1.5, y=2.5, z=3.5), Vector3(x=0.1, y=0.2, z=0.3)
    region = region_message(has_pose=True, pose=pose, centroid=centroid, size=size)
    read = answer(region).groundings[0].best.pose
    np.testing.assert_array_equal(read.centroid, [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(read.position, [1, 2, 3])
    np.testing.assert_array_equal(read.orientation, [0, 0.6, 0, 0.8])
    np.testing.assert_array_equal(read.size, [0.1, 0.2, 0.3])


def test_answers_from_the_topic_are_read_as_well():
    array = msg.GroundingArray(header=HEADER, groundings=[msg.Grounding(text="mug")], query_ms=2.0)
    read = to_answer(array)
    assert (read.header, read.groundings[0].text, read.query_ms) == (HEADER, "mug", 2.0)


def test_standing_queries_are_read():
    message = msg.Queries(revision=3, texts=["mug"], negatives=["table"], threshold=0.5, top_k=2)
    read = to_standing_queries(message)
    assert (read.revision, read.texts, read.negatives) == (3, ("mug",), ("table",))
    assert (read.threshold, read.top_k) == (0.5, 2)

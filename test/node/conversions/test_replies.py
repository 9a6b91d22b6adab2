from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image, RegionOfInterest

from test.support.answers import answer_of, grounding_of, region_of, scene_of
from textregion_ros import msg
from textregion_ros.core.errors import FAILURES, QueryFailed
from textregion_ros.core.query import Query, StandingQueries
from textregion_ros.core.results import ImageHeader, Part, Pose
from textregion_ros.core.status import Status
from textregion_ros.node.conversions import messages
from textregion_ros.node.conversions.replies import to_answer, to_embedding, to_standing_queries
from textregion_ros.srv import Embed
from textregion_ros.srv import Query as QueryService

HEADER = messages.ros_header(ImageHeader("", 5_000_000_007, "camera"))
STATUSES = {
    name: getattr(QueryService.Response, name)
    for name in dir(QueryService.Response)
    if name.isupper() and isinstance(getattr(QueryService.Response, name), int)
}


def test_the_statuses_are_those_of_the_message():
    assert {status.name: status.value for status in Status} == STATUSES


def test_every_status_but_those_of_an_answer_is_an_exception():
    assert set(FAILURES) == {status for status in Status if not status.is_answer}
    assert len(set(FAILURES.values())) == len(FAILURES)
    assert all(issubclass(failure, QueryFailed) for failure in FAILURES.values())


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
    absent = msg.Grounding(text="zorb", score=0.25, unknown=["zorb"])
    fields = {"header": HEADER, "image_height": 4, "image_width": 9, "reused": True}
    return to_answer(QueryService.Response(groundings=[grounding, absent], **fields), "left")


def test_masks_are_read_without_their_padding_and_put_in_their_place():
    mug, spoon = answer(region_message()).groundings
    assert (mug.box, mug.best.box, mug.best.id) == ((5, 1, 3, 2), (5, 1, 3, 2), 4)
    np.testing.assert_array_equal(mug.best.crop, [[1, 0, 1], [0, 1, 0]])
    full = mug.best.mask
    assert full.shape == (4, 9)
    assert np.argwhere(full).tolist() == [[1, 5], [1, 7], [2, 6]]
    assert (spoon.found, spoon.box, spoon.best, spoon.score) == (False, None, None, 0.25)
    assert (mug.unknown, spoon.unknown) == ((), ("zorb",))


def test_a_reply_without_masks_says_so():
    """Fault 36."""
    region = region_message()
    region.mask = Image()
    best = answer(region).groundings[0].best
    assert best.box == (5, 1, 3, 2)
    with pytest.raises(ValueError, match="without masks"):
        _ = best.mask


def test_an_answer_has_what_the_reply_has():
    reply = answer(region_message())
    assert reply.reused
    assert reply.image == ImageHeader("left", 5_000_000_007, "camera")
    assert all(grounding.image == reply.image for grounding in reply.groundings)
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
    assert read.image == ImageHeader("", 5_000_000_007, "camera")
    assert (read.groundings[0].text, read.query_ms) == ("mug", 2.0)


@given(
    box=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(1, 4)),
    seed=st.integers(0, 99),
    stamp=st.integers(0, (1 << 31) * 10**9 - 1),
)
def test_an_answer_comes_back_from_its_message(box, seed, stamp):
    random = np.random.default_rng(seed)
    header = ImageHeader("left", stamp, "camera")
    pose = Pose(*(random.normal(size=length) for length in (3, 3, 4, 3)))
    fill = random.random((box[3], box[2])) > 0.5
    region = region_of(box, fill=fill, pose=pose)
    scene = scene_of(np.zeros((8, 9, 3), np.uint8), header=header)
    sent = answer_of(scene, grounding_of("mug", region), grounding_of("spoon"), reused=True)
    read = to_answer(messages.fill_answer(QueryService.Response(), sent), "left")
    assert (read.image, read.reused, read.scene) == (header, True, None)
    assert (read.encode_ms, read.query_ms) == (12.0, 3.0)
    for one, other in zip(read.groundings, sent.groundings, strict=True):
        assert (one.text, one.found, one.score) == (other.text, other.found, other.score)
        assert (one.box, len(one.regions)) == (other.box, len(other.regions))
    again = read.groundings[0].best
    assert (again.id, again.box, again.image_size) == (region.id, box, (8, 9))
    assert (again.score, again.margin) == (region.score, region.margin)
    np.testing.assert_array_equal(again.mask, region.mask)
    np.testing.assert_array_equal(again.pose.matrix, pose.matrix)


@given(
    st.builds(
        Query,
        st.lists(st.text(st.characters(codec="ascii"))).map(tuple),
        st.lists(st.text(st.characters(codec="ascii"))).map(tuple),
        st.none() | st.integers(0, 1000).map(lambda number: number / 1000),
        st.none() | st.integers(0, 2**31 - 1),
    )
)
def test_standing_queries_come_back_from_their_message(query):
    standing = StandingQueries(3, query)
    assert to_standing_queries(messages.queries_message(standing)) == standing


def test_vectors_come_back_from_their_message():
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    read = to_embedding(messages.fill_vectors(Embed.Response(), "an encoder", vectors))
    assert read.encoder == "an encoder"
    np.testing.assert_array_equal(read.vectors, vectors)
    read.vectors[0] = 0.0  # nobody else's


def test_how_a_text_was_read_comes_back_from_its_message():
    scene = scene_of(np.zeros((40, 60, 3), np.uint8), [(1, 2, 5, 4), (20, 3, 6, 5)])
    mug, ball = (region_of(scene.box(k), k, size=(40, 60)) for k in range(2))
    sent = replace(
        grounding_of("the mug left of the ball", mug),
        reading="mug · left of · ball",
        anchors=(ball,),
        parts=(Part("mug", 0.75), Part("left of", 1.0, flat=True)),
        ambiguous=True,
    )
    absent = replace(grounding_of("the mug on the tray"), missing="tray")
    reply = messages.fill_answer(QueryService.Response(), answer_of(scene, sent, absent))
    back, gone = to_answer(reply).groundings
    assert (back.reading, back.ambiguous, back.flat) == (sent.reading, True, True)
    assert back.parts == sent.parts
    assert [anchor.box for anchor in back.anchors] == [ball.box]
    np.testing.assert_array_equal(back.anchors[0].mask, ball.mask)
    assert (gone.found, gone.missing) == (False, "tray")
    nothing = messages.fill_answer(QueryService.Response(), answer_of(scene, absent))
    assert 'there is no "tray"' in nothing.message

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header

from textregion_ros.node import messages
from textregion_ros.node.answers import Answer, Question, Refusal
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.regions import Grounding, Region
from textregion_ros.srv import Query

HEADER = Header(frame_id="camera")
FRAME = Frame(to_message(np.zeros((8, 9, 3), np.uint8), HEADER))


def region(box, fill=None, size=(8, 9)):
    x, y, width, height = box
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True if fill is None else fill
    return Region(3, box, mask, 0.75, 0.25)


@given(
    box=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(1, 4)),
    seed=st.integers(0, 99),
)
def test_the_mask_is_cropped_to_the_box(box, seed):
    width, height = box[2:]
    fill = np.random.default_rng(seed).random((height, width)) > 0.5
    message = messages.region_message(region(box, fill), HEADER)
    roi = message.box
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == box
    assert (message.mask.width, message.mask.height, message.mask.step) == (width, height, width)
    assert message.mask.encoding == "mono8"
    assert message.mask.header == HEADER
    pixels = np.frombuffer(message.mask.data, np.uint8).reshape(height, width)
    np.testing.assert_array_equal(pixels, np.where(fill, 255, 0))


def test_a_region_has_its_number_and_scores_and_no_pose():
    message = messages.region_message(region((1, 2, 3, 4)), HEADER)
    assert (message.id, message.score, message.margin) == (3, 0.75, 0.25)
    assert not message.has_pose


def test_numpy_numbers_are_taken():
    box = tuple(np.array([1, 2, 3, 4], np.int32))
    one = Region(np.int64(3), box, np.ones((8, 9), bool), np.float32(0.5), np.float32(0.5))
    grounding = Grounding("red mug", np.bool_(True), np.float32(0.5), (one,), box)
    message = messages.grounding_message(grounding, HEADER)
    assert (message.found, message.score, message.box.height) == (True, 0.5, 4)


def answer(*scores):
    return Answer(
        FRAME,
        [Grounding(f"text {i}", score >= 0.5, score, (), None) for i, score in enumerate(scores)],
        encode_ms=12.0,
        query_ms=3.0,
    )


def test_an_answer_with_something_found():
    response = messages.fill_answer(Query.Response(), answer(0.25, 0.75))
    assert (response.status, response.message) == (Query.Response.OK, "")
    assert [g.text for g in response.groundings] == ["text 0", "text 1"]
    assert [g.found for g in response.groundings] == [False, True]
    assert (response.encode_ms, response.query_ms) == (12.0, 3.0)
    assert response.header == HEADER


def test_an_answer_with_nothing_found_is_not_an_error():
    response = messages.fill_answer(Query.Response(), answer(0.25, 0.375))
    assert response.status == Query.Response.NOT_FOUND
    assert response.message == 'nothing was found; the best was "text 1", 0.375'
    assert len(response.groundings) == 2


def test_a_refusal_has_a_status_and_a_sentence():
    refusal = Refusal(Query.Response.STALE, "too old")
    response = messages.fill_refusal(Query.Response(), refusal)
    assert (response.status, response.message) == (Query.Response.STALE, "too old")
    assert response.groundings == []


def test_standing_answers_name_their_queries():
    message = messages.grounding_array(answer(0.75), revision=7)
    assert message.revision == 7
    assert message.header == HEADER
    assert message.groundings[0].found


def test_standing_queries_are_told():
    message = messages.queries_message(Question(("mug",), ("table",), 0.25, 2), revision=4)
    assert (message.revision, message.threshold, message.top_k) == (4, 0.25, 2)
    assert (message.texts, message.negatives) == (["mug"], ["table"])
    assert messages.queries_message(Question(("mug",)), 5).threshold == pytest.approx(0.0)

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from textregion_ros.geometry import RegionShape
from textregion_ros.node import messages
from textregion_ros.node.answers import Answer, Question, Refusal
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.regions import EncodedFrame, Grounding, Region
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
    message = messages.grounding_message(grounding, HEADER, {})
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


# In space

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)


def shape(pixels, z=0.5):
    """Points at the pixels, all z away, in a box turned half around the camera's axis."""
    v, u = np.divmod(np.array(pixels, np.int32), 9)
    points = np.stack([u / 10, v / 10, np.full(len(u), z)], 1).astype(np.float32)
    return RegionShape(
        points=points,
        pixels=np.array(pixels, np.int32),
        centroid=points.mean(0, dtype=np.float64),
        position=np.array([0.1, 0.2, 0.6]),
        orientation=np.array([0.0, 0.0, 1.0, 0.0]),
        size=np.array([0.3, 0.2, 0.0]),
    )


def numbered(number, box, score=0.75):
    return Region(number, box, region(box).mask, score, 0.25)


def answer_in_space(shapes, *groundings):
    found = [Grounding(text, bool(rs), 0.5, tuple(rs), None) for text, *rs in groundings]
    frame = Frame(to_message(COLOURS, HEADER))
    return Answer(frame, found, 12.0, 3.0, shapes=shapes, reused=True)


def test_a_region_with_a_shape_has_centroid_pose_and_size():
    message = messages.region_message(region((1, 2, 3, 4)), HEADER, shape([0, 1], 0.5))
    assert message.has_pose
    assert message.centroid.x == pytest.approx(0.05)
    assert message.centroid.z == pytest.approx(0.5)
    position, turn = message.pose.position, message.pose.orientation
    assert (position.x, position.y, position.z) == (0.1, 0.2, 0.6)
    assert (turn.x, turn.y, turn.z, turn.w) == (0.0, 0.0, 1.0, 0.0)
    assert (message.size.x, message.size.y, message.size.z) == (0.3, 0.2, 0.0)


def test_only_regions_with_a_shape_have_a_pose_in_every_kind_of_answer():
    pair = ("mug", numbered(1, (0, 0, 2, 2)), numbered(2, (4, 4, 2, 2)))
    found = answer_in_space({2: shape([40, 41])}, pair)
    for message in (
        messages.fill_answer(Query.Response(), found),
        messages.grounding_array(found, 1),
    ):
        assert [r.has_pose for r in message.groundings[0].regions] == [False, True]
        assert message.reused


def test_markers_clear_what_was_and_have_names_of_their_own():
    one, two = numbered(1, (0, 0, 2, 2)), numbered(2, (4, 4, 2, 2))
    found = answer_in_space(
        {1: shape([0]), 2: shape([40])}, ("mug", one, two), ("cup", one), ("mug", one), ("bowl",)
    )
    clear, *shown = messages.markers(found).markers
    assert clear.action == Marker.DELETEALL
    assert all(marker.header == HEADER for marker in (clear, *shown))
    assert len({(marker.ns, marker.id) for marker in shown}) == len(shown) == 6
    assert {marker.ns for marker in shown} == {"mug", "cup"}
    assert all(marker.lifetime.sec > 0 and marker.action == Marker.ADD for marker in shown)
    boxes = [marker for marker in shown if marker.type == Marker.CUBE]
    labels = [marker for marker in shown if marker.type == Marker.TEXT_VIEW_FACING]
    assert len(boxes) == len(labels) == 3
    # RViz refuses a box without extent.
    assert all(axis > 0 for box in boxes for axis in (box.scale.x, box.scale.y, box.scale.z))
    assert boxes[0].pose.position.z == 0.6
    assert labels[0].text == "mug 0.75"
    assert boxes[0].color != boxes[2].color


def test_markers_of_an_answer_without_shapes_only_clear():
    found = answer_in_space({}, ("mug", numbered(1, (0, 0, 2, 2))))
    assert [marker.action for marker in messages.markers(found).markers] == [Marker.DELETEALL]


@given(st.lists(st.sets(st.integers(0, 71), min_size=1), max_size=4))
def test_a_cloud_holds_every_pixel_of_the_shapes_once_in_its_colour(groups):
    shapes = {n: shape(sorted(pixels)) for n, pixels in enumerate(groups)}
    cloud = messages.object_points(answer_in_space(shapes))
    pixels = sorted(set().union(*groups))
    assert (cloud.height, cloud.width, cloud.point_step) == (1, len(pixels), 16)
    assert (cloud.row_step, len(cloud.data)) == (16 * len(pixels), 16 * len(pixels))
    assert [(f.name, f.offset, f.datatype) for f in cloud.fields] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("rgb", 12, 7),
    ]
    assert cloud.header == HEADER
    assert cloud.is_dense
    points = sorted(
        struct.iter_unpack("=fffI", cloud.data.tobytes()), key=lambda point: (point[1], point[0])
    )
    for pixel, (x, y, z, packed) in zip(pixels, points, strict=True):
        v, u = divmod(pixel, 9)
        assert (x, y, z) == pytest.approx((u / 10, v / 10, 0.5))
        assert ((packed >> 16) & 255, (packed >> 8) & 255, packed & 255) == tuple(COLOURS[v, u])


def test_a_label_image_has_the_number_of_the_best_text():
    found = answer_in_space(
        {}, ("mug", numbered(0, (0, 0, 4, 4), 0.9)), ("cup", numbered(1, (2, 2, 4, 4), 0.6)), ("x",)
    )
    message = messages.label_image(found)
    assert (message.encoding, message.step, message.header) == ("mono16", 18, HEADER)
    labels = np.frombuffer(message.data, "=u2").reshape(8, 9)
    assert labels[3, 3] == 1
    assert labels[5, 5] == 2
    assert labels[7, 8] == 0
    assert np.unique(labels).tolist() == [0, 1, 2]


def test_tokens_come_with_their_boxes_and_encoder():
    tokens = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    boxes = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [1, 1, 1, 1]], np.int32)
    encoded = EncodedFrame(
        (8, 9), np.zeros((3, 4, 4), np.float16), boxes, tokens, np.eye(3), {}, "e"
    )
    message = messages.region_tokens(Answer(FRAME, (), 1.0, 0.0, encoded))
    assert (message.encoder, message.dimension, list(message.ids)) == ("e", 5, [0, 1, 2])
    np.testing.assert_array_equal(np.reshape(message.tokens, (3, 5)), tokens)
    assert (message.boxes[1].x_offset, message.boxes[1].height) == (4, 7)
    none = EncodedFrame((8, 9), encoded.masks[:0], boxes[:0], tokens[:0], np.eye(0), {}, "e")
    message = messages.region_tokens(Answer(FRAME, (), 1.0, 0.0, none))
    assert (message.dimension, len(message.ids), len(message.tokens)) == (5, 0, 0)


def test_detections_name_a_region_once_with_all_it_answers(monkeypatch):
    if messages.Detection2DArray is None:
        stand_in_for_vision_msgs(monkeypatch)
    one, worse, two = (
        numbered(1, (2, 3, 4, 2), 0.9),
        numbered(1, (2, 3, 4, 2), 0.6),
        numbered(2, (0, 0, 1, 1)),
    )
    found = answer_in_space({1: shape([0])}, ("cup", worse), ("mug", one, two))
    message = messages.detections(found)
    first, second = message.detections
    assert message.header == first.header == HEADER
    assert (first.id, second.id) == ("1", "2")
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (4.0, 4.0)
    assert (first.bbox.size_x, first.bbox.size_y) == (4.0, 2.0)
    hypotheses = [(r.hypothesis.class_id, r.hypothesis.score) for r in first.results]
    assert hypotheses == [("mug", 0.9), ("cup", 0.6)]
    assert first.results[0].pose.pose.position.z == 0.6


def stand_in_for_vision_msgs(monkeypatch):
    """Classes with the fields of vision_msgs 4, which is not to be had everywhere."""

    def detection(**fields):
        centre = SimpleNamespace(position=SimpleNamespace(x=0.0, y=0.0), theta=0.0)
        bbox = SimpleNamespace(center=centre, size_x=0.0, size_y=0.0)
        return SimpleNamespace(**fields, results=[], bbox=bbox)

    def hypothesis():
        pose = SimpleNamespace(pose=None, covariance=np.zeros(36))
        return SimpleNamespace(hypothesis=SimpleNamespace(class_id="", score=0.0), pose=pose)

    def array(**fields):
        return SimpleNamespace(**fields, detections=[])

    monkeypatch.setattr(messages, "Detection2DArray", array)
    monkeypatch.setattr(messages, "Detection2D", detection, raising=False)
    monkeypatch.setattr(messages, "ObjectHypothesisWithPose", hypothesis, raising=False)

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from visualization_msgs.msg import Marker

from test.support.answers import answer_of, grounding_of, region_of, scene_of
from textregion_ros.core import errors
from textregion_ros.core.palette import colour
from textregion_ros.core.query import Query, StandingQueries
from textregion_ros.core.results import (
    Answer,
    Grounding,
    ImageHeader,
    Pose,
    Region,
    RegionShape,
)
from textregion_ros.core.status import Status
from textregion_ros.node.conversions import messages, regions, spatial
from textregion_ros.srv import Embed
from textregion_ros.srv import Query as QueryService

IMAGE = ImageHeader("left", 12_000_000_034, "camera")
HEADER = messages.ros_header(IMAGE)
BLACK = np.zeros((8, 9, 3), np.uint8)


@given(
    box=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(1, 4)),
    seed=st.integers(0, 99),
)
def test_the_mask_is_cropped_to_the_box(box, seed):
    width, height = box[2:]
    fill = np.random.default_rng(seed).random((height, width)) > 0.5
    message = messages.region_message(region_of(box, fill=fill), HEADER)
    roi = message.box
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == box
    assert (message.mask.width, message.mask.height, message.mask.step) == (width, height, width)
    assert message.mask.encoding == "mono8"
    assert message.mask.header == HEADER
    pixels = np.frombuffer(message.mask.data, np.uint8).reshape(height, width)
    np.testing.assert_array_equal(pixels, np.where(fill, 255, 0))


def test_a_region_has_its_number_and_scores_and_no_pose():
    message = messages.region_message(region_of((1, 2, 3, 4)), HEADER)
    assert (message.id, message.score, message.margin) == (3, 0.75, 0.25)
    assert not message.has_pose


def test_numpy_numbers_are_taken():
    box = tuple(np.array([1, 2, 3, 4], np.int32))
    half = np.float32(0.5)
    one = Region(np.int64(3), box, np.ones((4, 3), bool), (8, 9), half, half)
    grounding = Grounding("red mug", np.bool_(True), half, (one,), box)
    message = messages.grounding_message(grounding, HEADER)
    assert (message.found, message.score, message.box.height) == (True, 0.5, 4)


def answer(*scores):
    found = [
        Grounding(f"text {number}", score >= 0.5, score, unknown=("zorb",) if score == 0 else ())
        for number, score in enumerate(scores)
    ]
    return answer_of(scene_of(BLACK, header=IMAGE), *found)


def test_an_answer_with_something_found():
    response = messages.fill_answer(QueryService.Response(), answer(0.25, 0.75, 0.0))
    assert (response.status, response.message) == (Status.OK, "")
    assert [g.text for g in response.groundings] == ["text 0", "text 1", "text 2"]
    assert [g.found for g in response.groundings] == [False, True, False]
    assert [list(g.unknown) for g in response.groundings] == [[], [], ["zorb"]]
    assert (response.encode_ms, response.query_ms) == (12.0, 3.0)
    assert response.header == HEADER
    assert (response.header.stamp.sec, response.header.stamp.nanosec) == (12, 34)
    assert (response.image_height, response.image_width) == (8, 9)


def test_an_answer_with_nothing_found_is_not_an_error():
    response = messages.fill_answer(QueryService.Response(), answer(0.25, 0.375))
    assert response.status == Status.NOT_FOUND
    assert response.message == 'nothing was found; the best was "text 1", 0.375'
    assert len(response.groundings) == 2


def test_words_that_the_profile_does_not_know_are_named():
    """Fault 18."""
    response = messages.fill_answer(QueryService.Response(), answer(0.0, 0.25, 0.0))
    assert response.message.endswith('0.250; the profile does not know "zorb"')


def test_masks_can_be_left_out():
    """Fault 36."""
    found = answer_of(scene_of(BLACK), grounding_of("mug", region_of((1, 2, 3, 4))))
    whole = messages.fill_answer(QueryService.Response(), found).groundings[0].regions[0]
    light = messages.fill_answer(QueryService.Response(), found, masks=False)
    light = light.groundings[0].regions[0]
    assert (len(whole.mask.data), len(light.mask.data)) == (12, 0)
    assert light.mask == type(light.mask)()
    assert (light.box, light.score) == (whole.box, whole.score)


def test_an_answer_out_of_a_message_cannot_be_sent():
    with pytest.raises(ValueError, match="has no scene"):
        messages.fill_answer(QueryService.Response(), Answer(IMAGE))


@pytest.mark.parametrize("kind", [QueryService.Response, Embed.Response])
def test_a_failure_has_a_status_and_a_sentence(kind):
    response = messages.fill_failure(kind(), errors.Stale("too old"))
    assert (response.status, response.message) == (Status.STALE, "too old")
    without = messages.fill_failure(kind(), errors.Unavailable("gone"))
    assert without.status == Status.ERROR


def test_what_a_failure_says_cannot_forge_a_log():
    """Fault 28."""
    failure = errors.NodeError("\x1b[2J\nERROR " + 5000 * "x")
    response = messages.fill_failure(QueryService.Response(), failure)
    assert response.message.isprintable()
    assert response.message.startswith("\\x1b[2J\\nERROR x")
    assert len(response.message) <= 1000


def test_vectors_are_sent_with_their_encoder():
    vectors = np.random.default_rng(0).normal(size=(2, 5))
    response = messages.fill_vectors(Embed.Response(), "an encoder", vectors)
    assert (response.status, response.encoder, response.dimension) == (Status.OK, "an encoder", 5)
    np.testing.assert_array_equal(np.reshape(response.vectors, (2, 5)), vectors.astype(np.float32))


def test_standing_answers_name_their_queries():
    message = messages.grounding_array(answer(0.75), revision=7)
    assert message.revision == 7
    assert message.header == HEADER
    assert (message.image_height, message.image_width) == (8, 9)
    assert message.groundings[0].found


def test_standing_queries_are_told():
    standing = StandingQueries(4, Query(("mug",), ("table",), 0.25, 2))
    message = messages.queries_message(standing)
    assert (message.revision, message.threshold, message.top_k) == (4, 0.25, 2)
    assert (message.texts, message.negatives) == (["mug"], ["table"])


def test_what_standing_queries_leave_open_is_negative():
    message = messages.queries_message(StandingQueries(5, Query(("mug",))))
    assert (message.threshold, message.top_k) == (-1.0, -1)


# In space

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)


def shape(pixels, z=0.5):
    """Points at the pixels, all z away, in a box turned half around the camera's axis."""
    v, u = np.divmod(np.array(pixels, np.int32), 9)
    points = np.stack([u / 10, v / 10, np.full(len(u), z)], 1).astype(np.float32)
    return RegionShape(
        points=points,
        pixels=np.array(pixels, np.int32),
        pose=Pose(
            centroid=points.mean(0, dtype=np.float64),
            position=np.array([0.1, 0.2, 0.6]),
            orientation=np.array([0.0, 0.0, 1.0, 0.0]),
            size=np.array([0.3, 0.2, 0.0]),
        ),
    )


BOXES = [(0, 0, 2, 2), (2, 3, 4, 2), (4, 4, 2, 2), (0, 0, 1, 1)]


def answer_in_space(shapes, **texts):
    """An answer whose texts found the regions of those numbers, with scores where given."""
    scene = scene_of(COLOURS, BOXES, shapes, header=IMAGE)

    def found(entry):
        number, score = entry if isinstance(entry, tuple) else (entry, 0.75)
        known = shapes.get(number)
        return region_of(BOXES[number], number, score=score, pose=known and known.pose)

    groundings = [grounding_of(text, *map(found, entries)) for text, entries in texts.items()]
    return answer_of(scene, *groundings, reused=True)


def test_a_region_with_a_pose_has_centroid_pose_and_size():
    posed = region_of((1, 2, 3, 4), pose=shape([0, 1]).pose)
    message = messages.region_message(posed, HEADER)
    assert message.has_pose
    assert message.centroid.x == pytest.approx(0.05)
    assert message.centroid.z == pytest.approx(0.5)
    position, turn = message.pose.position, message.pose.orientation
    assert (position.x, position.y, position.z) == (0.1, 0.2, 0.6)
    assert (turn.x, turn.y, turn.z, turn.w) == (0.0, 0.0, 1.0, 0.0)
    assert (message.size.x, message.size.y, message.size.z) == (0.3, 0.2, 0.0)


def test_only_regions_with_a_pose_have_one_in_every_kind_of_answer():
    found = answer_in_space({2: shape([40, 41])}, mug=[1, 2])
    for message in (
        messages.fill_answer(QueryService.Response(), found),
        messages.grounding_array(found, 1),
    ):
        assert [r.has_pose for r in message.groundings[0].regions] == [False, True]
        assert message.reused


def test_markers_clear_what_was_and_have_names_of_their_own():
    shapes = {1: shape([0]), 2: shape([40])}
    found = answer_in_space(shapes, mug=[1, 2], cup=[1], bowl=[])
    twice = answer_of(found.scene, *found.groundings, found.groundings[0])
    clear, *shown = spatial.markers(twice).markers
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
    for box, number in zip(boxes, (0, 0, 1), strict=True):
        shade = (box.color.r, box.color.g, box.color.b)
        assert shade == pytest.approx(np.divide(colour(number), 255))


def test_markers_of_an_answer_without_shapes_only_clear():
    shown = spatial.markers(answer_in_space({}, mug=[1])).markers
    assert [marker.action for marker in shown] == [Marker.DELETEALL]


@given(st.lists(st.sets(st.integers(0, 71), min_size=1), max_size=4))
def test_a_cloud_holds_every_pixel_of_the_shapes_once_in_its_colour(groups):
    shapes = {number: shape(sorted(pixels)) for number, pixels in enumerate(groups)}
    cloud = spatial.object_points(answer_in_space(shapes, mug=list(shapes), cup=list(shapes)[:1]))
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


def test_a_cloud_holds_nothing_that_was_not_found():
    cloud = spatial.object_points(answer_in_space({0: shape([0]), 1: shape([40, 41])}, mug=[0]))
    assert cloud.width == 1


def test_a_label_image_has_the_number_of_the_best_text():
    circle = np.array([[False, True], [True, True]])
    mug, cup = region_of((0, 0, 4, 4), score=0.9), region_of((2, 2, 4, 4), score=0.6)
    spoon = region_of((6, 6, 2, 2), fill=circle, score=0.1)
    texts = [grounding_of("mug", mug), grounding_of("cup", cup), grounding_of("x")]
    found = answer_of(scene_of(BLACK, header=IMAGE), *texts, grounding_of("spoon", spoon))
    message = regions.label_image(found)
    assert (message.encoding, message.step, message.header) == ("mono16", 18, HEADER)
    labels = np.frombuffer(message.data, "=u2").reshape(8, 9)
    expected = np.zeros((8, 9), int)
    expected[2:6, 2:6] = 2
    expected[:4, :4] = 1
    expected[6:, 6:8][circle] = 4
    np.testing.assert_array_equal(labels, expected)


def test_tokens_come_with_their_boxes_and_encoder():
    tokens = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    scene = scene_of(BLACK, [(0, 1, 2, 3), (4, 5, 6, 7), (1, 1, 1, 1)], tokens=tokens)
    message = regions.region_tokens(answer_of(scene))
    assert (message.encoder, message.dimension) == ("an encoder", 5)
    assert list(message.ids) == [0, 1, 2]
    np.testing.assert_array_equal(np.reshape(message.tokens, (3, 5)), tokens)
    assert (message.boxes[1].x_offset, message.boxes[1].height) == (4, 7)
    message = regions.region_tokens(answer_of(scene_of(BLACK)))
    assert (message.dimension, len(message.ids), len(message.tokens)) == (5, 0, 0)


def test_detections_name_a_region_once_with_all_it_answers(monkeypatch):
    if regions.Detection2DArray is None:
        stand_in_for_vision_msgs(monkeypatch)
    found = answer_in_space({1: shape([0])}, cup=[(1, 0.6)], mug=[(1, 0.9), 3])
    message = regions.detections(found)
    first, second = message.detections
    assert message.header == first.header == HEADER
    assert (first.id, second.id) == ("1", "3")
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

    monkeypatch.setattr(regions, "Detection2DArray", array)
    monkeypatch.setattr(regions, "Detection2D", detection, raising=False)
    monkeypatch.setattr(regions, "ObjectHypothesisWithPose", hypothesis, raising=False)

import itertools

import numpy as np
import pytest
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from test.support.colour_node import COLOURS
from test.support.messages import header, picture, seconds_of, values_of
from test.support.waiting import repeat_until, wait_for
from textregion_ros.msg import GroundingArray
from textregion_ros.node.conversions.images import to_message, to_rgb

RED, BLUE = COLOURS["red"], COLOURS["blue"]
SCENE = picture((RED, 10, 20, 30, 40))
NUMBERS = itertools.count()


def publish_until(robot, condition, seconds):
    """Publish images, each with a later stamp, until the condition holds."""

    def publish():
        nonlocal seconds
        seconds += 0.125
        robot.publish(SCENE, seconds)

    return repeat_until(condition, publish)


def test_standing_queries_are_set_answered_and_cleared(robot):
    heard = robot.listen(GroundingArray, "textregion/groundings")
    before = robot.set_queries([]).queries.revision
    reply = robot.set_queries(["red block", "blue block"], top_k=1)
    assert (reply.success, reply.message) == (True, "")
    assert list(reply.queries.texts) == ["red block", "blue block"]
    assert reply.queries.top_k == 1
    assert reply.queries.revision == before + 1

    publish_until(robot, lambda: len(heard) >= 3, seconds=1.0)
    last = heard[-1]
    assert last.revision == before + 1
    assert [(g.text, g.found) for g in last.groundings] == [
        ("red block", True),
        ("blue block", False),
    ]
    assert last.header.frame_id == "camera"
    assert last.groundings[0].regions[0].mask.header == last.header
    stamps = [seconds_of(message.header.stamp) for message in heard]
    assert stamps == sorted(set(stamps))

    assert list(robot.set_queries([]).queries.texts) == []
    robot.query_published(SCENE, ["red block"], seconds=20.0)
    # What is published is published in order: an answer between the two would be heard by now.
    robot.set_queries(["red block"])
    publish_until(robot, lambda: heard[-1].revision == before + 3, seconds=21.0)
    assert {message.revision for message in heard} == {before + 1, before + 3}
    robot.set_queries([])


def test_a_change_is_answered_about_the_image_that_is_there(robot):
    heard = robot.listen(GroundingArray, "textregion/groundings")
    robot.query_published(SCENE, ["red block"], seconds=30.0)
    publish_until(robot, lambda: robot.set_queries(["red block"]).success and heard, seconds=30.0)
    heard.clear()
    revision = robot.set_queries(["blue block"]).queries.revision
    answer = wait_for(lambda: next((m for m in heard if m.revision == revision), None))
    assert not answer.groundings[0].found
    robot.set_queries([])


def test_bad_standing_queries_leave_the_others_in_force(robot):
    robot.set_queries(["red block"])
    reply = robot.set_queries(["blue block", " "])
    assert not reply.success
    assert reply.message == "text 2 is blank"
    assert list(reply.queries.texts) == ["red block"]
    robot.set_queries([])


def test_a_standing_query_that_fails_is_survived(robot):
    heard = robot.listen(GroundingArray, "textregion/groundings")
    failures = count(robot, "model", "failures")
    robot.set_queries(["break"])
    publish_until(robot, lambda: count(robot, "model", "failures") > failures, seconds=40.0)
    robot.set_queries(["red block"])
    publish_until(robot, lambda: heard, seconds=50.0)
    assert heard[-1].groundings[0].found
    robot.set_queries([])


def test_the_overlay_shows_the_answer_to_a_query(robot):
    heard = robot.listen(Image, "textregion/overlay")
    image = to_message(SCENE, header(60.0, "wrist"))
    wait_for(lambda: robot.query(["red block"], image=image) and heard)
    overlay = heard[-1]
    assert (overlay.encoding, overlay.header) == ("rgb8", image.header)
    drawn = to_rgb(overlay)
    assert drawn.shape == SCENE.shape
    changed = (drawn != SCENE).any(axis=2)
    assert changed[18:62, 8:42].any()
    assert not changed[30, 25]  # an outline leaves a thing its colour
    np.testing.assert_array_equal(drawn[70:], SCENE[70:])


def count(robot, name, key):
    """A number of the node's diagnostics."""
    return int(values_of(robot.diagnostics(name)())[key])


def encoded_of_new_images(robot, seconds):
    """How many frames are encoded while images come that the node has not seen yet."""
    before, images = count(robot, "model", "frames encoded"), count(robot, "camera", "images")

    def publish():
        number = next(NUMBERS)
        block = (RED, number % 90, number // 90 % 80, 30, 40)
        robot.publish(picture(block), seconds + number / 100)

    repeat_until(lambda: count(robot, "camera", "images") >= images + 3, publish)
    return count(robot, "model", "frames encoded") - before


def test_nothing_is_encoded_where_nobody_listens_and_nobody_asks(robot):
    robot.stop_listening()
    assert robot.set_queries(["red block"]).success
    # Until the node knows that nobody listens any more.
    wait_for(lambda: encoded_of_new_images(robot, seconds=100.0) == 0)

    robot.set_queries([])
    robot.listen(GroundingArray, "textregion/groundings")
    robot.listen(Image, "textregion/overlay")
    assert encoded_of_new_images(robot, seconds=110.0) == 0

    before = count(robot, "model", "frames encoded")
    robot.query_published(picture((BLUE, 1, 1, 50, 60)), ["red block"], seconds=120.0)
    assert count(robot, "model", "frames encoded") == before + 1
    robot.stop_listening()


@pytest.mark.parametrize(
    ("topic", "message_type"),
    [
        ("groundings", GroundingArray),
        ("label_image", Image),
        ("overlay", Image),
        ("markers", MarkerArray),
        ("object_points", PointCloud2),
    ],
)
def test_one_listener_is_enough(robot, topic, message_type):
    robot.set_queries(["blue block", "red block"])
    heard = robot.listen(message_type, f"textregion/{topic}")
    publish_until(robot, lambda: heard, seconds=130.0)
    robot.set_queries([])
    robot.stop_listening()
    if topic == "label_image":
        assert (heard[-1].encoding, heard[-1].header.frame_id) == ("mono16", "camera")
        labels = np.frombuffer(heard[-1].data, np.uint16).reshape(SCENE.shape[:2])
        np.testing.assert_array_equal(labels, 2 * (SCENE == RED).all(axis=2))


def test_other_packages_get_the_same_answers_as_detections(robot):
    vision = pytest.importorskip("vision_msgs.msg")
    heard = robot.listen(vision.Detection2DArray, "textregion/detections")
    robot.set_queries(["red block"])
    publish_until(robot, lambda: heard, seconds=90.0)
    (block,) = heard[-1].detections
    assert block.header == heard[-1].header
    assert block.header.frame_id == "camera"
    assert (block.bbox.center.position.x, block.bbox.center.position.y) == (25.0, 40.0)
    assert (block.bbox.size_x, block.bbox.size_y) == (30.0, 40.0)
    assert [result.hypothesis.class_id for result in block.results] == ["red block"]
    robot.set_queries([])

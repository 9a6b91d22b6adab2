import time

import numpy as np
import pytest
from fake_model_node import COLOURS
from robot import header, picture, values_of, wait_for
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from textregion_ros.msg import GroundingArray
from textregion_ros.node.images import to_message, to_rgb

RED, BLUE = COLOURS["red"], COLOURS["blue"]
SCENE = picture((RED, 10, 20, 30, 40))


def publish_until(robot, condition, seconds):
    """Publish images, each with a later stamp, until the condition holds."""

    def publish_and_look():
        nonlocal seconds
        seconds += 0.125
        robot.publish(SCENE, seconds)
        time.sleep(0.05)
        return condition()

    return wait_for(publish_and_look)


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
    stamps = [message.header.stamp.sec + message.header.stamp.nanosec / 1e9 for message in heard]
    assert stamps == sorted(set(stamps))

    assert list(robot.set_queries([]).queries.texts) == []
    time.sleep(0.5)
    heard.clear()
    robot.query_published(SCENE, ["red block"], seconds=20.0)
    assert heard == []


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
    robot.set_queries(["break"])
    for number in range(5):
        robot.publish(SCENE, 40.0 + number)
        time.sleep(0.05)
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
    assert (drawn[30, 25] != SCENE[30, 25]).any()
    np.testing.assert_array_equal(drawn[70:], SCENE[70:])


def encoded(robot):
    return int(values_of(robot.diagnostics("model")())["frames encoded"])


def publish_new(robot, count, seconds):
    """Publish images that the node has not seen yet."""
    for number in range(count):
        robot.publish(picture((RED, 10 + number, 20, 30, int(seconds) % 60 + 1)), seconds + number)
        time.sleep(0.1)


def test_nothing_is_encoded_where_nobody_listens_and_nobody_asks(robot):
    robot.stop_listening()
    assert robot.set_queries(["red block"]).success
    wait_for(lambda: robot.node.count_subscribers("/textregion/groundings") == 0)
    time.sleep(1.0)  # until the node knows that nobody listens any more
    before = encoded(robot)
    publish_new(robot, 5, seconds=100.0)
    assert encoded(robot) == before

    robot.set_queries([])
    robot.listen(GroundingArray, "textregion/groundings")
    robot.listen(Image, "textregion/overlay")
    publish_new(robot, 5, seconds=110.0)
    assert encoded(robot) == before

    robot.query_published(picture((BLUE, 1, 1, 50, 60)), ["red block"], seconds=120.0)
    assert encoded(robot) == before + 1
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

import time

import numpy as np
from fake_model_node import COLOURS
from robot import header, picture, wait_for
from sensor_msgs.msg import Image

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

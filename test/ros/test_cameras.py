"""Two cameras with compressed images on one model, in a namespace and with remapped topics."""

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from test.support.colour_node import COLOURS
from test.support.messages import header, picture, values_of
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import repeat_until, wait_for
from textregion_ros.msg import GroundingArray, RegionTokens
from textregion_ros.srv import Query

RED, BLUE = COLOURS["red"], COLOURS["blue"]
LEFT, RIGHT = picture((RED, 10, 20, 30, 40)), picture((BLUE, 60, 50, 20, 10))
TOPICS = {"left": "/front/image_raw/compressed", "right": "/arm/right/image/compressed"}
ARGUMENTS = ros_arguments(
    "__ns:=/arm",
    "__node:=eyes",
    "left/image:=/front/image_raw",
    cameras="[left,right]",
    transport="compressed",
    static_threshold=12.0,
)


@pytest.fixture(scope="module")
def robot():
    with Robot(FAKE, ARGUMENTS, node="arm/eyes") as robot:
        robot.wait_for_service()
        for topic in TOPICS.values():
            wait_for(robot.publisher(CompressedImage, topic).get_subscription_count)
        yield robot


def show(robot, camera, rgb, seconds):
    done, data = cv2.imencode(".png", rgb[..., ::-1])
    assert done
    message = CompressedImage(header=header(seconds, camera), format="rgb8; png compressed bgr8")
    message.data = data.tobytes()
    robot.publisher(CompressedImage, TOPICS[camera]).publish(message)


def ask_shown(robot, camera, rgb, seconds, text):
    """Show an image until it is the one that a query is answered about."""
    pending = robot.ask([text], newer_than=seconds - 0.001, timeout=60.0, camera=camera)
    repeat_until(pending.done, lambda: show(robot, camera, rgb, seconds))
    return pending.result()


def test_the_request_names_the_camera(robot):
    for camera, rgb, text in (("left", LEFT, "red block"), ("right", RIGHT, "blue block")):
        reply = ask_shown(robot, camera, rgb, 1.0, text)
        assert (reply.status, reply.message) == (Query.Response.OK, "")
        assert reply.header == header(1.0, camera)


@pytest.mark.parametrize(
    ("camera", "sentence"),
    [
        ("", 'camera is empty and there are several: "left", "right"'),
        ("top", 'there is no camera "top"; there are "left", "right"'),
    ],
)
def test_a_camera_that_is_not_there(robot, camera, sentence):
    reply = robot.query(["red block"], camera=camera)
    assert (reply.status, reply.message) == (Query.Response.BAD_REQUEST, sentence)


def test_a_camera_that_rests_is_not_encoded_again(robot):
    noise = np.random.default_rng(1).integers(0, 3, LEFT.shape, np.uint8)
    ask_shown(robot, "left", LEFT, 10.0, "red block")
    reply = ask_shown(robot, "left", LEFT + noise, 11.0, "red block")
    assert (reply.reused, reply.encode_ms) == (True, 0.0)
    assert reply.header == header(11.0, "left")
    moved = ask_shown(robot, "left", picture((RED, 90, 20, 30, 40)), 12.0, "red block")
    assert not moved.reused
    assert moved.groundings[0].regions[0].box.x_offset == 90


def play(robot, cameras, seconds, until):
    """Show new images of the cameras, all different, until the condition holds."""
    rng = np.random.default_rng(int(seconds))

    def show_next():
        nonlocal seconds
        seconds += 0.05
        for camera in cameras:
            x, y = rng.integers(0, 90, 2).tolist()
            show(robot, camera, picture((RED, x, y, 30, 20)), seconds)

    return repeat_until(until, show_next)


def test_all_cameras_have_their_turn(robot):
    heard = {
        camera: robot.listen(GroundingArray, f"/arm/eyes/{camera}/groundings") for camera in TOPICS
    }
    assert robot.set_queries(["red block"]).success
    play(robot, TOPICS, 20.0, lambda: min(map(len, heard.values())) >= 5)
    counts = [len(messages) for messages in heard.values()]
    assert max(counts) - min(counts) <= 2
    for camera, messages in heard.items():
        assert {message.header.frame_id for message in messages} == {camera}
        assert all(m.groundings[0].found for m in messages if m.header.stamp.sec >= 20)


def test_a_camera_without_images_does_not_hold_up_the_other(robot):
    heard = robot.listen(GroundingArray, "/arm/eyes/right/groundings")
    play(robot, ["right"], 40.0, lambda: len(heard) >= 3)
    robot.set_queries([])


def test_each_camera_has_its_diagnostics(robot):
    for camera, topic in TOPICS.items():
        values = values_of(robot.diagnostics(f"camera {camera}")())
        assert values["topic"] == topic
        assert int(values["images"]) > 0
        assert int(values["images used"]) > 0
        assert values["look (ms)"] == "1.500"


def test_tokens_need_no_query(robot):
    heard = robot.listen(RegionTokens, "/arm/eyes/left/tokens")
    before = int(values_of(robot.diagnostics("model")())["frames encoded"])
    play(robot, ["left", "right"], 60.0, lambda: len(heard) >= 3)
    last = heard[-1]
    assert (last.encoder, last.dimension, last.header.frame_id) == ("colours", 4, "left")
    np.testing.assert_array_equal(last.tokens, [1.0, 0.0, 0.0, 0.0])
    assert (last.boxes[0].width, last.boxes[0].height) == (30, 20)
    encoded = int(values_of(robot.diagnostics("model")())["frames encoded"]) - before
    assert encoded <= len(heard) + 1  # and none of the camera that nobody listens to


def test_nothing_is_absolute_but_diagnostics(robot):
    """Further trap, absolute names: but for /diagnostics and ROS's own, all is in the namespace."""
    own = {name for name, _ in robot.node.get_publisher_names_and_types_by_node("eyes", "/arm")}
    assert own - {"/diagnostics", "/rosout", "/parameter_events"}
    outside = {name for name in own if not name.startswith("/arm/eyes/")}
    assert outside == {"/diagnostics", "/rosout", "/parameter_events"}
    inputs = robot.node.get_subscriber_names_and_types_by_node("eyes", "/arm")
    names = {name for name, _ in inputs if not name.startswith("/parameter_events")}
    assert names == {
        *TOPICS.values(),
        *(f"/arm/{camera}/{topic}" for camera in TOPICS for topic in ("depth", "camera_info")),
    }
    assert robot.node.count_publishers("/image") == 1  # the test's own; nobody listens
    assert robot.publisher(Image, "image").get_subscription_count() == 0

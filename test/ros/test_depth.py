"""Regions in space: depth and camera_info by their stamps, and what is published of them."""

import time

import numpy as np
import pytest
from fake_model_node import COLOURS
from robot import depth_message, header, info_message, picture, wait_for
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from textregion_ros.node.images import to_message
from textregion_ros.srv import Query

SIZE = (120, 160)
BLOCK = (40, 40, 40, 30)  # x y w h
SCENE = picture((COLOURS["red"], *BLOCK), size=SIZE)
OK = Query.Response.OK


def depth_of(block=0.8):
    """A wall 1 m away, and the block, m, before it."""
    metres = np.ones(SIZE, np.float32)
    x, y, width, height = BLOCK
    metres[y : y + height, x : x + width] = block
    return metres


def show(robot, seconds, apart=0.0, block=0.8):
    """Publish depth and camera_info, `apart` from the image, and ask about the image."""
    robot.send(info_message(SIZE, seconds + apart), "camera_info")
    robot.send(depth_message(depth_of(block), seconds + apart), "depth")
    time.sleep(0.3)
    reply = robot.query_published(SCENE, ["red block"], seconds)
    assert (reply.status, reply.header) == (OK, header(seconds))
    return reply.groundings[0].regions[0]


def check_block(region, metres=0.8):
    """With 100 px of focal length, the middle of the block is at pixel (59.5, 54.5)."""
    assert region.has_pose
    centroid, position = region.centroid, region.pose.position
    expected = np.array([59.5, 54.5, 100.0]) * metres / 100
    np.testing.assert_allclose([centroid.x, centroid.y, centroid.z], expected, atol=0.01)
    np.testing.assert_allclose([position.x, position.y, position.z], expected, atol=0.02)
    extent = sorted([region.size.x, region.size.y, region.size.z])[1:]
    np.testing.assert_allclose(extent, [0.3 * metres, 0.4 * metres], atol=0.03)


def test_a_region_has_the_pose_that_its_depth_gives(robot):
    check_block(show(robot, seconds=200.0))


def test_depth_within_the_tolerance_is_taken(robot):
    check_block(show(robot, seconds=201.0, apart=0.015))


@pytest.mark.parametrize("apart", [-0.5, 0.5])
def test_depth_of_another_moment_gives_no_pose(robot, apart):
    """Pitfall 5, wrong stamps: no pose rather than a wrong one."""
    status = robot.diagnostics("camera")
    region = show(robot, seconds=210.0 + 4 * apart, apart=apart)
    wait_for(lambda: "not within depth_tolerance" in status().message)
    assert not region.has_pose
    assert (region.pose.position.z, region.centroid.z, region.size.x) == (0.0, 0.0, 0.0)
    assert region.mask.width == BLOCK[2]


def test_depth_that_comes_after_the_question_is_waited_for(robot):
    pending = robot.ask(["red block"], newer_than=219.0, timeout=60.0)
    robot.send(info_message(SIZE, 220.0), "camera_info")
    robot.publish(SCENE, 220.0)
    time.sleep(0.05)
    robot.send(depth_message(depth_of(0.6), 220.0), "depth")
    robot.result(pending)
    check_block(robot.query(["red block"], newer_than=219.0).groundings[0].regions[0], 0.6)


def test_missing_depth_gives_no_pose(robot):
    assert not show(robot, seconds=230.0, block=np.nan).has_pose
    assert not show(robot, seconds=231.0, block=0.0).has_pose


def test_depth_that_is_not_aligned_gives_no_pose_and_a_warning(robot):
    status = robot.diagnostics("camera")
    robot.send(info_message(SIZE, 240.0), "camera_info")
    robot.send(depth_message(np.ones((60, 80), np.float32), 240.0), "depth")
    time.sleep(0.3)
    reply = robot.query_published(SCENE, ["red block"], 240.0)
    assert reply.status == OK
    assert not reply.groundings[0].regions[0].has_pose
    sentence = "depth is 80×60 px and the image 160×120: they must be aligned"
    wait_for(lambda: status().message == sentence)


def test_a_request_brings_its_own_depth(robot):
    fields = {"depth": depth_message(depth_of(0.5)), "camera_info": info_message(SIZE)}
    image = to_message(SCENE, header(7.0, "wrist"))
    reply = robot.query(["red block"], image=image, **fields)
    assert reply.header == image.header
    check_block(reply.groundings[0].regions[0], 0.5)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"depth": depth_message(depth_of())}, "depth came without camera_info"),
        (
            {"depth": depth_message(depth_of()), "camera_info": info_message((60, 80))},
            "camera_info is 80×60 px",
        ),
        (
            {
                "depth": Image(encoding="rgb8", height=1, width=1),
                "camera_info": CameraInfo(k=[1.0] * 9),
            },
            "not supported for a depth image",
        ),
    ],
)
def test_bad_depth_in_a_request(robot, fields, sentence):
    reply = robot.query(["red block"], image=to_message(SCENE, header()), **fields)
    assert reply.status == Query.Response.BAD_REQUEST
    assert sentence in reply.message


def test_depth_without_its_image_in_a_request(robot):
    reply = robot.query(["red block"], depth=depth_message(depth_of()))
    assert reply.status == Query.Response.BAD_REQUEST
    assert "without the image" in reply.message


def test_markers_and_points_of_an_answer(robot):
    """Pitfall 5 again: all that is published has the header of the very image."""
    markers = robot.listen(MarkerArray, "textregion/markers")
    clouds = robot.listen(PointCloud2, "textregion/object_points")
    fields = {"depth": depth_message(depth_of(0.5)), "camera_info": info_message(SIZE)}
    image = to_message(SCENE, header(9.0, "wrist"))
    wait_for(lambda: robot.query(["red block"], image=image, **fields) and markers and clouds)
    first, *shown = markers[-1].markers
    assert first.action == Marker.DELETEALL
    assert {marker.header.frame_id for marker in shown} == {"wrist"}
    assert {marker.ns for marker in shown} == {"red block"}
    assert clouds[-1].header == image.header
    assert clouds[-1].width * clouds[-1].height > 0.8 * BLOCK[2] * BLOCK[3]

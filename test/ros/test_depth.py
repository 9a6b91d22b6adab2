"""Regions in space: depth and camera_info by their stamps, and what is published of them."""

import itertools
import struct
from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from test.support.colour_node import COLOURS
from test.support.messages import depth_message, header, info_message, picture
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import repeat_until, wait_for
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

SIZE = (120, 160)
BLOCK = (40, 40, 40, 30)  # x y w h
# The blue block lies in the wall: where it has a pose, the depth has come.
SCENE = picture((COLOURS["red"], *BLOCK), (COLOURS["blue"], 100, 80, 30, 30), size=SIZE)
OK = Query.Response.OK


def depth_of(block=0.8):
    """A wall 1 m away, and the red block, m, before it."""
    metres = np.ones(SIZE, np.float32)
    x, y, width, height = BLOCK
    metres[y : y + height, x : x + width] = block
    return metres


def partners(seconds, metres):
    """The messages that belong to an image of this moment."""
    return {"camera_info": info_message(SIZE, seconds), "depth": depth_message(metres, seconds)}


def blocks(reply):
    """The regions of the red and of the blue block."""
    assert reply.status == OK, reply.message
    return [found.regions[0] for found in reply.groundings]


def ask_until(robot, seconds, metres, fits, apart=0.0):
    """Publish an image, and its depth `apart` from it; return the red block once the answer fits.

    fits: of the regions of the red and of the blue block.
    """
    reply = robot.query_published(
        SCENE,
        ["red block", "blue block"],
        seconds,
        partners=partners(seconds + apart, metres),
        fits=lambda reply: fits(*blocks(reply)),
    )
    assert reply.header == header(seconds)
    return blocks(reply)[0]


def depth_has_come(_red, blue):
    return blue.has_pose


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
    check_block(ask_until(robot, 200.0, depth_of(), depth_has_come))


def test_depth_within_the_tolerance_is_taken(robot):
    check_block(ask_until(robot, 201.0, depth_of(), depth_has_come, apart=0.015))


@pytest.mark.parametrize("apart", [-0.5, 0.5])
def test_depth_of_another_moment_gives_no_pose(robot, apart):
    """Pitfall 5, wrong stamps: no pose rather than a wrong one."""
    status = robot.diagnostics("camera")

    def depth_is_of_another_moment(*_):
        return "not within depth_tolerance" in status().message

    region = ask_until(robot, 210 + 4 * apart, depth_of(), depth_is_of_another_moment, apart)
    assert not region.has_pose
    assert (region.pose.position.z, region.centroid.z, region.size.x) == (0.0, 0.0, 0.0)
    assert region.mask.width == BLOCK[2]


def test_depth_that_comes_after_its_image_is_waited_for(robot):
    def camera():
        for seconds in itertools.count(220):
            info, depth = partners(seconds, depth_of(0.6)).values()
            robot.publisher(CameraInfo, "camera_info").publish(info)
            robot.publish(SCENE, seconds)
            yield
            robot.publisher(Image, "depth").publish(depth)
            yield

    messages = camera()

    def ask():
        pending = robot.ask(["red block"], newer_than=219.5, timeout=60.0)
        repeat_until(pending.done, lambda: next(messages))
        (red,) = blocks(pending.result())
        return red.has_pose and red

    check_block(wait_for(ask), 0.6)


@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_missing_depth_gives_no_pose(robot, missing):
    region = ask_until(robot, 231.0 if missing else 232.0, depth_of(missing), depth_has_come)
    assert not region.has_pose


def test_depth_that_is_not_aligned_gives_no_pose_and_a_warning(robot):
    status = robot.diagnostics("camera")
    sentence = "depth is 80×60 px and the image 160×120: they must be aligned"
    region = ask_until(
        robot, 240.0, np.ones((60, 80), np.float32), lambda *_: status().message == sentence
    )
    assert not region.has_pose


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
                "camera_info": CameraInfo(width=1, height=1, k=[1.0] * 9),
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


def test_compressed_depth_gives_poses_too():
    """Depth was listened to as Image only."""
    arguments = ros_arguments(depth_transport="compressedDepth")
    with Robot(FAKE, arguments) as robot:
        robot.wait_until_ready()
        png = cv2.imencode(".png", np.round(1000 * depth_of()).astype(np.uint16))[1].tobytes()
        packed = CompressedImage(
            header=header(300.0),
            format="16UC1; compressedDepth png",
            data=array("B", struct.pack("<iff", 0, 0.0, 0.0) + png),
        )
        reply = robot.query_published(
            SCENE,
            ["red block", "blue block"],
            300.0,
            partners={
                "camera_info": info_message(SIZE, 300.0),
                "depth/compressedDepth": packed,
            },
            fits=lambda reply: depth_has_come(*blocks(reply)),
        )
        check_block(blocks(reply)[0])

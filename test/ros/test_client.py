"""The typed client, against the node with the colour model, over DDS."""

import asyncio
import time
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Empty

from test.support.colour_node import COLOURS
from test.support.messages import header, picture
from test.support.robot import FAKE, Robot
from test.support.waiting import wait_for
from textregion_ros.client import (
    BadRequest,
    NodeError,
    Query,
    Stale,
    TextRegionClient,
    Timeout,
    Unavailable,
)
from textregion_ros.core.results import ImageHeader
from textregion_ros.node.conversions.headers import image_header
from textregion_ros.node.conversions.images import to_message

RED, BLUE = COLOURS["red"], COLOURS["blue"]
SCENE = picture((RED, 10, 20, 30, 40), (RED, 100, 80, 8, 6), (BLUE, 90, 50, 20, 10))


@pytest.fixture(scope="module")
def robot():
    """A node whose camera only these tests show things to."""
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        yield robot


@pytest.fixture(scope="module")
def program(robot):
    """A robot program of its own: a node that nobody spins, and its client."""
    node = Node("program", context=robot.context)
    with TextRegionClient(node) as client:
        yield SimpleNamespace(node=node, client=client)
    node.destroy_node()


@pytest.fixture(scope="module")
def client(program):
    return program.client


def show(robot, rgb, seconds):
    """Publish a camera image until it is the newest one."""
    robot.query_published(rgb, ["red block"], seconds)


def test_one_thing_is_found_in_a_picture_of_ones_own(client):
    red = client.find("red block", image=SCENE, top_k=0)
    assert (red.text, red.found, red.box) == ("red block", True, (10, 20, 98, 66))
    assert red.score == pytest.approx(0.9)
    assert [region.box for region in red.regions] == [(10, 20, 30, 40), (100, 80, 8, 6)]
    assert red.best is red.regions[0]
    assert red.best.margin == pytest.approx(0.8)
    assert red.best.pose is None
    assert red.best.crop.shape == (40, 30)
    assert red.best.crop.dtype == bool
    full = np.logical_or(*(region.mask for region in red.regions))
    np.testing.assert_array_equal(full, (SCENE == RED).all(axis=2))


def test_what_is_not_there_is_no_error(client):
    green = client.find("green block", image=SCENE)
    assert (green.found, green.regions, green.box, green.best) == (False, (), None, None)
    assert green.score == pytest.approx(0.1)


def test_several_things_are_answered_in_their_order(client):
    answer = client.find_all(["blue block", "green block", "red block"], image=SCENE, top_k=1)
    assert [g.text for g in answer.groundings] == ["blue block", "green block", "red block"]
    assert [len(g.regions) for g in answer.groundings] == [1, 0, 1]
    assert answer.query_ms > 0
    assert not answer.reused


def test_threshold_and_negatives_are_passed_on(client):
    assert client.find("red block", image=SCENE, threshold=0.5).found
    assert not client.find("red block", image=SCENE, threshold=0.95).found
    assert not client.find("red block", image=SCENE, negatives=["red block"]).found


def test_a_message_is_a_picture_of_ones_own_too(client):
    message = to_message(SCENE, header(7.5, "wrist"))
    assert client.find("blue block", image=message).image == ImageHeader("", 7_500_000_000, "wrist")


def test_the_cameras_picture_is_waited_for_by_its_stamp(robot, client):
    show(robot, SCENE, 20.0)
    pending = client.find_async("blue block", newer_than=Time(seconds=20), timeout=60.0)
    time.sleep(0.2)
    assert not pending.done()
    while not pending.done():
        robot.publish(picture((BLUE, 1, 2, 3, 4)), 21.0)
        time.sleep(0.1)
    blue = pending.result()
    assert blue.image == image_header(header(21.0))
    assert blue.box == (1, 2, 3, 4)
    assert client.find("blue block", newer_than=header(20.5).stamp).image == blue.image


def test_a_region_with_depth_has_a_pose(client):
    depth = np.full(SCENE.shape[:2], 1000, np.uint16)
    depth[20:60, 10:40] = 800
    info = CameraInfo(width=160, height=120, k=[100.0, 0, 80, 0, 100, 60, 0, 0, 1])
    image = Image(height=120, width=160, encoding="16UC1", step=320, data=depth.tobytes())
    pose = client.find("red block", image=SCENE, depth=image, camera_info=info).best.pose
    # A flat patch at 0.8 m: x from 10 to 40 px of 100 px a metre at one metre, y from 20 to 60.
    np.testing.assert_allclose(pose.centroid, [-0.44, -0.16, 0.8], atol=0.01)
    np.testing.assert_allclose(pose.position, [-0.44, -0.16, 0.8], atol=0.02)
    np.testing.assert_allclose(np.sort(pose.size)[1:], [0.24, 0.32], atol=0.04)
    assert np.linalg.norm(pose.orientation) == pytest.approx(1.0)


# Whoever spins, and whoever does not


def test_calls_return_while_the_programs_node_is_spun_elsewhere(robot):
    with TextRegionClient(robot.node) as client:  # which the robot spins in its own thread
        assert client.find("red block", image=SCENE).found


def test_calls_return_inside_a_callback_of_a_single_threaded_executor(robot, program):
    found = []
    executor = SingleThreadedExecutor(context=robot.context)
    node = Node("caller", context=robot.context)
    executor.add_node(node)
    ask = lambda _: found.append(program.client.find("red block", image=SCENE))  # noqa: E731
    node.create_subscription(Empty, "go", ask, 1)
    go = robot.node.create_publisher(Empty, "go", 1)
    wait_for(go.get_subscription_count)
    go.publish(Empty())
    end = time.monotonic() + 60
    while not found and time.monotonic() < end:
        executor.spin_once(0.1)
    executor.shutdown()
    node.destroy_node()
    assert found[0].found


def test_calls_from_several_threads_get_their_own_answers(client):
    scenes = [picture((BLUE, 10 * i, 5, 8, 9)) for i in range(6)]
    pending = [client.find_async("blue block", image=scene) for scene in scenes]
    boxes = [future.result(60).box for future in pending]
    assert boxes == [(10 * i, 5, 8, 9) for i in range(6)]


def test_a_coroutine_can_await_an_answer(client):
    async def ask():
        return await asyncio.wrap_future(client.find_async("red block", image=SCENE))

    assert asyncio.run(ask()).found


# What goes wrong


def test_each_status_is_an_exception_of_its_own(robot, client):
    show(robot, SCENE, 30.0)
    with pytest.raises(Stale, match="not newer than newer_than"):
        client.find("red block", newer_than=Time(seconds=1000), timeout=0.2)
    with pytest.raises(BadRequest, match="there is no camera"):
        client.find("red block", camera="nowhere")
    with pytest.raises(NodeError, match="the model broke"):
        client.find("break")
    with pytest.raises(Timeout, match="no answer within"):
        client.find("slow block", timeout=0.3)


def test_names_follow_the_programs_namespace_and_remaps(robot):
    remap = ["--ros-args", "-r", "eyes/query:=/textregion/query", "-r", "__node:=renamed"]
    node = Node("arm", namespace="arm", context=robot.context, cli_args=remap)
    with TextRegionClient(node, "eyes") as client:
        assert client.find("red block", image=SCENE).found
        with pytest.raises(Unavailable, match="no node offers /arm/eyes/set_queries"):
            client.set_queries([], timeout=0.2)
    node.destroy_node()


# Standing queries


def test_standing_queries_are_replaced(client):
    now = client.set_queries(["red block", "spoon"], negatives=["table"], threshold=0.25, top_k=2)
    assert now.query == Query(("red block", "spoon"), ("table",), 0.25, 2)
    after = client.set_queries([])
    assert (after.query, after.revision) == (Query(()), now.revision + 1)


def test_masks_can_be_left_out(client):
    light = client.find("red block", image=SCENE, masks=False).best
    assert light.box == (10, 20, 30, 40)
    with pytest.raises(ValueError, match="without masks"):
        _ = light.mask

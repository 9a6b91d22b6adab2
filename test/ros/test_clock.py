"""A simulation that starts anew: the clock goes back."""

import pytest
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from test.support.colour_node import COLOURS
from test.support.messages import header, picture
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import repeat_until
from textregion_ros.srv import Query

SCENE = picture((COLOURS["red"], 10, 20, 30, 40))


@pytest.fixture
def robot():
    with Robot(FAKE, ros_arguments(use_sim_time="true")) as robot:
        robot.wait_until_ready()
        yield robot


def test_images_from_before_the_clock_was_set_back_are_not_used(robot):
    """The old picture counted as fresh, however long ago it was."""
    clock = robot.node.create_publisher(Clock, "/clock", QoSProfile(depth=1))

    def tick(seconds):
        clock.publish(Clock(clock=header(seconds).stamp))

    def status(**fields):
        return robot.query(["red block"], **fields).status

    def show():
        tick(100.0)
        robot.publish(SCENE, 99.5)

    repeat_until(lambda: status(max_age=5.0) == Query.Response.OK, show)
    repeat_until(lambda: status() == Query.Response.NO_IMAGE, lambda: tick(10.0))
    repeat_until(
        lambda: status(max_age=5.0) == Query.Response.OK, lambda: robot.publish(SCENE, 10.0)
    )

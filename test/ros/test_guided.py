"""A node that compiles its networks, and looks at first only for what a text speaks of."""

import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile

from test.support.colour_node import COLOURS
from test.support.messages import header, picture, values_of
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import wait_for
from textregion_ros.msg import RegionTokens
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

RED, BLUE = COLOURS["red"], COLOURS["blue"]
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Where all regions are known, red comes before blue.
BLUE_ALONE, BLUE_OF_ALL = 0, 1


def scene(number):
    return picture((RED, 10, 20, 30, 40), (BLUE, 90, 50, 20, 10 + number))


@pytest.fixture(scope="module")
def robot():
    arguments = ros_arguments(guided="true", compile_size="[48, 64]")
    with Robot(FAKE, arguments) as robot:
        robot.wait_until_ready()
        yield robot


@pytest.fixture(scope="module")
def log(robot):
    return robot.listen(Log, "/rosout", LATCHED)


def said(log, words):
    return wait_for(lambda: [line.level for line in log if words in line.msg])


def blue(reply):
    """The number that the blue block has."""
    assert reply.status == Query.Response.OK, reply.message
    return reply.groundings[0].regions[0].id


def counts(robot):
    return values_of(robot.diagnostics("model")())


def test_compiling_is_reported(robot, log):
    assert said(log, "the networks were compiled in 48.0 s") == [20]  # info
    assert counts(robot)["compiled in (s)"] == "48.000"


def test_the_next_query_about_a_picture_finds_the_rest(robot):
    image = to_message(scene(1), header())
    before = int(counts(robot)["frames encoded"])
    first = robot.query(["blue block"], image=image)
    assert blue(first) == BLUE_ALONE
    both = robot.query(["blue block", "red block"], image=image)
    assert blue(both) == BLUE_OF_ALL
    assert both.groundings[1].found
    assert both.encode_ms > 0.0
    assert robot.query(["blue block"], image=image).encode_ms == 0.0
    assert int(counts(robot)["frames encoded"]) == before + 1


def test_tokens_are_those_of_all_regions(robot):
    shown = robot.query_published(scene(2), ["blue block"], seconds=10.0)
    assert blue(shown) == BLUE_ALONE
    heard = robot.listen(RegionTokens, "textregion/tokens")
    # Until the node knows of the listener.
    wait_for(lambda: robot.query_published(scene(2), ["red block"], seconds=20.0) and heard)
    assert {len(tokens.ids) for tokens in heard} == {2}
    listened = robot.query_published(scene(3), ["blue block"], seconds=30.0)
    assert blue(listened) == BLUE_OF_ALL
    own = robot.query(["blue block"], image=to_message(scene(4), header()))
    assert blue(own) == BLUE_ALONE


def test_it_can_be_turned_off_at_any_time(robot):
    assert robot.set_parameter("guided", False).successful
    assert blue(robot.query(["blue block"], image=to_message(scene(5), header()))) == BLUE_OF_ALL


def test_what_cannot_be_compiled_runs_as_it_is(robot, log):
    for transition in ("deactivate", "cleanup"):
        assert robot.change_state(transition)
    assert counts(robot)["compiled in (s)"] == "not compiled"
    assert robot.set_parameter("compile_size", [1, 1]).successful  # the fake's size for that
    for transition in ("configure", "activate"):
        assert robot.change_state(transition)
    assert said(log, "the networks cannot be compiled here") == [30]  # warning
    assert counts(robot)["compiled in (s)"] == "not compiled"
    assert robot.query(["red block"], image=to_message(scene(6), header())).status == 0

"""However the node is ended, whoever waits gets a reply, and soon."""

import signal
import time

import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile

from test.support.colour_node import COLOURS
from test.support.messages import header, picture
from test.support.robot import FAKE, Robot
from test.support.waiting import wait_for
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

SCENE = to_message(picture((COLOURS["red"], 10, 20, 30, 40)), header())
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LONGEST = 2.0  # s from the signal to the end of the process; more where other work takes the cores


def begin(robot, count=3):
    """Have queries that wait for an image, and queries that are being answered."""
    waiting = [robot.ask(["red block"], newer_than=1e6, timeout=60.0) for _ in range(count)]
    working = [robot.ask(["slow block"], image=SCENE, timeout=60.0) for _ in range(count)]
    # Replies come in order of priority and arrival: all of the above have come in by then.
    robot.query(["red block"], newer_than=1e6)
    return [*waiting, *working]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_ends_the_node_with_everybody_answered(number, times, capfd):
    """What was worked on had no reply, and several signals made a traceback."""
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        pending = begin(robot)
        start = time.monotonic()
        for _ in range(times):
            robot.process.send_signal(number)
        statuses = {robot.result(future).status for future in pending}
        assert statuses <= {Query.Response.NOT_READY, Query.Response.NOT_FOUND}
        assert Query.Response.NOT_READY in statuses
        assert robot.process.wait(60) == 0
        assert time.monotonic() - start < 5 * LONGEST
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_model_is_loaded(number, capfd):
    """The state became "errorprocessing", and an error was logged."""
    with Robot(FAKE, LOAD_SECONDS="60") as robot:
        robot.wait_for_service()
        log = robot.listen(Log, "/rosout", LATCHED)
        waiting = robot.ask(["red block"], image=SCENE, timeout=60.0)
        assert robot.query(["red block"]).message == "the model is still being loaded"
        robot.process.send_signal(number)
        reply = robot.result(waiting)
        assert (reply.status, reply.message) == (
            Query.Response.NOT_READY,
            "the node is shutting down",
        )
        assert robot.process.wait(60) == 0
        assert [line.msg for line in log if line.level >= 40] == []
    output = capfd.readouterr().err
    assert "Traceback" not in output
    assert "error" not in output.lower()


@pytest.mark.parametrize("transition", ["active_shutdown", "deactivate"])
def test_a_transition_during_queries_leaves_the_node_alive(transition):
    """Shutting the node down during a query ended its process, and the client never heard."""
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        for _ in range(3):
            pending = begin(robot)
            assert robot.change_state(transition)
            assert {robot.result(future).status for future in pending} <= {
                Query.Response.NOT_READY,
                Query.Response.NOT_FOUND,
            }
            robot.is_running()
            if transition == "active_shutdown":
                break
            assert robot.change_state("activate")
        wait_for(robot.is_running)


def test_a_step_that_takes_long_does_not_hold_the_end():
    with Robot(FAKE, ENCODE_SECONDS="30") as robot:
        robot.wait_for_service()
        pending = robot.ask(["red block"], image=SCENE, timeout=60.0)
        wait_for(lambda: robot.query(["red block"]).status == Query.Response.NO_IMAGE)
        robot.process.send_signal(signal.SIGINT)
        assert robot.result(pending).status == Query.Response.NOT_READY
        assert robot.process.wait(20) == 0

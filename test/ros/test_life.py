from contextlib import ExitStack

import pytest

from test.support.messages import header, picture
from test.support.robot import FAKE, Robot, ros_arguments
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query


@pytest.fixture
def start():
    """Start nodes that end with the test."""
    with ExitStack() as robots:

        def start(arguments=(), **more):
            robot = robots.enter_context(Robot(FAKE, arguments, **more))
            robot.wait_for_service()
            return robot

        yield start


def test_a_model_that_cannot_be_loaded_is_told_and_the_node_stays(start):
    """Pitfall 10, weights at run time: the reply says at once what is wrong with the model."""
    robot = start(ros_arguments(profile="nothing"))
    for timeout in (20.0, 0.0):
        reply = robot.query(["red block"], image=to_message(picture(), header()), timeout=timeout)
        assert reply.status == Query.Response.NOT_READY
        assert "could not be loaded: there is no profile nothing" in reply.message
    assert robot.process.poll() is None


def test_the_node_ends_on_request_while_a_query_waits(start):
    robot = start()
    robot.ask(["red block"], timeout=600.0)
    robot.query(["red block"])  # the reply says that the query before it has come in
    robot.process.terminate()
    assert robot.process.wait(60) == 0


def test_the_node_ends_on_request_while_the_model_is_being_loaded(start):
    robot = start(LOAD_SECONDS="5")
    reply = robot.query(["red block"])
    assert reply.status == Query.Response.NOT_READY
    assert reply.message == "the model is still being loaded"
    robot.process.terminate()
    assert robot.process.wait(60) == 0

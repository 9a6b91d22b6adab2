import pytest
from robot import FAKE, Robot, header, picture

from textregion_ros.node.images import to_message
from textregion_ros.srv import Query


@pytest.fixture
def start():
    robots = []

    def start(*arguments):
        robots.append(Robot(FAKE, ["--ros-args", *arguments]))
        assert robots[-1].query_client.wait_for_service(90)
        return robots[-1]

    yield start
    for robot in robots:
        robot.close()


def test_a_model_that_cannot_be_loaded_is_told_and_the_node_stays(start):
    robot = start("-p", "profile:=nothing")
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

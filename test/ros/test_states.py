"""The managed node, from state to state."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from test.support.colour_node import COLOURS
from test.support.messages import header, picture, seconds_of, values_of
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import repeat_until, wait_for
from textregion_ros.msg import GroundingArray, Queries
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

SCENE = picture((COLOURS["red"], 10, 20, 30, 40))
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NOT_READY = Query.Response.NOT_READY


def managed(**parameters):
    """A node that waits for its manager."""
    return Robot(FAKE, ros_arguments(autostart="false", **parameters))


@pytest.fixture(scope="module")
def shared():
    """A node that wants its images reliable, in whatever state the last test left it."""
    with managed(reliable="true", image_timeout=0.5) as robot:
        robot.wait_for_service()
        yield robot


@pytest.fixture
def robot(shared):
    """A node as it is before it is configured."""
    shared.bring_to("unconfigured")
    shared.stop_listening()
    assert shared.set_queries([]).success
    return shared


class Rosout:
    """What the node has logged since the test began."""

    def __init__(self, robot):
        self.start = seconds_of(robot.node.get_clock().now().to_msg())
        self.lines = robot.listen(Log, "/rosout", LATCHED)

    def said(self, words):
        return [
            line.msg
            for line in self.lines
            if line.name == "textregion" and words in line.msg
            if seconds_of(line.stamp) >= self.start
        ]


@pytest.fixture
def log(robot):
    return Rosout(robot)


def ask(robot, **fields):
    return robot.query(["red block"], image=to_message(SCENE, header()), **fields)


def test_before_it_is_configured(robot):
    reply = ask(robot, timeout=30.0)
    assert (reply.status, reply.message) == (NOT_READY, "the node is not configured")
    status = robot.diagnostics("model")()
    assert (status.level, status.message) == (DiagnosticStatus.OK, "the node is not configured")


def test_standing_queries_can_be_set_before_and_are_latched(robot):
    assert robot.set_queries(["red block"]).success
    heard = robot.listen(Queries, "textregion/queries", LATCHED)
    wait_for(lambda: heard and list(heard[-1].texts) == ["red block"])


def test_a_model_that_cannot_be_loaded_fails_to_configure():
    """Pitfall 10, weights: what is missing is said at the start, by states and diagnostics."""
    with managed(profile="nothing") as robot:
        robot.wait_for_service()
        assert robot.state() == "unconfigured"
        assert not robot.change_state("configure")
        assert robot.state() == "unconfigured"
        sentence = "the model could not be loaded: there is no profile nothing"
        assert ask(robot).message == sentence
        status = robot.diagnostics("model")()
        assert (status.level, status.message) == (DiagnosticStatus.ERROR, sentence)
        assert robot.set_parameter("profile", "demo").successful
        robot.bring_to("active")
        assert ask(robot).status == Query.Response.OK


def test_configured_it_is_loaded_and_does_nothing(robot):
    assert robot.change_state("configure")
    assert robot.state() == "inactive"
    reply = ask(robot, timeout=30.0)
    assert (reply.status, reply.message) == (NOT_READY, "the node is not active: activate it")
    assert robot.images.get_subscription_count() == 0
    assert robot.diagnostics("model")().level == DiagnosticStatus.OK
    result = robot.set_parameter("profile", "clip")
    assert not result.successful
    assert "clean the node up" in result.reason


def test_active_it_answers(robot):
    robot.bring_to("inactive")
    assert robot.change_state("activate")
    assert robot.state() == "active"
    assert ask(robot).status == Query.Response.OK
    status = robot.diagnostics("model")()
    assert (status.level, status.message) == (DiagnosticStatus.OK, "active")
    values = values_of(status)
    assert (values["profile"], values["frames encoded"]) == ("demo", "1")
    assert float(values["memory (MiB)"]) > 10.0
    assert values["failures"] == "0"


def test_a_publisher_that_does_not_fit_is_warned_of(robot, log):
    """Pitfall 3, a reliable subscriber: the warning names the topic and the policy."""
    robot.bring_to("active")
    sentence = wait_for(lambda: next(iter(log.said("RELIABILITY")), None))
    assert "/image " in sentence
    assert "see the parameter reliable" in sentence


def test_silence_is_warned_of(robot, log):
    """Pitfall 3: that no images come is said with the topic's name, and not for every second."""
    robot.bring_to("active")
    sentence = wait_for(lambda: next(iter(log.said("no image for")), None))
    assert "on /image (reliable); 1 publish there: compare their QoS" in sentence
    status = robot.diagnostics("camera")()
    assert (status.level, status.message[:12]) == (DiagnosticStatus.WARN, "no image for")
    for _ in range(3):
        assert robot.diagnostics("camera")().level == DiagnosticStatus.WARN
    assert len(log.said("no image for")) == 1


def test_a_reliable_publisher_fits(robot):
    robot.bring_to("active")
    reliable = robot.node.create_publisher(Image, "image", 1)
    wait_for(reliable.get_subscription_count)
    pending = robot.ask(["red block"], newer_than=4.0, timeout=60.0)
    repeat_until(pending.done, lambda: reliable.publish(to_message(SCENE, header(5.0))))
    assert pending.result().header == header(5.0)
    assert int(values_of(robot.diagnostics("camera")())["images"]) >= 1
    robot.node.destroy_publisher(reliable)


def test_a_failing_model_is_seen_in_the_diagnostics(robot):
    """Pitfall 2, a worker that dies silently: its failure is counted, told and survived."""
    robot.bring_to("active")
    image = to_message(SCENE, header())
    assert robot.query(["break"], image=image).status == Query.Response.ERROR
    status = robot.diagnostics("model")()
    assert status.level == DiagnosticStatus.ERROR
    assert values_of(status)["failures"] == "1"
    assert values_of(status)["last error"] == "RuntimeError: the model broke"
    assert ask(robot).status == Query.Response.OK
    assert robot.diagnostics("model")().level == DiagnosticStatus.OK


def test_deactivated_it_stops_and_sends_away_who_waits(robot):
    robot.bring_to("active")
    heard = robot.listen(GroundingArray, "textregion/groundings")
    waiting = robot.ask(["red block"], newer_than=1e6, timeout=600.0)
    ask(robot)  # the reply says that the query before it has come in
    assert robot.change_state("deactivate")
    reply = robot.result(waiting)
    assert (reply.status, reply.message) == (NOT_READY, "the node is not active: activate it")
    wait_for(lambda: robot.images.get_subscription_count() == 0)
    assert ask(robot).status == NOT_READY
    assert heard == []


def test_active_again_it_knows_no_image_from_before(robot):
    robot.bring_to("active")
    ask(robot)
    robot.bring_to("inactive")
    robot.bring_to("active")
    assert robot.query(["red block"]).status == Query.Response.NO_IMAGE
    assert ask(robot).encode_ms == 0.0  # but it knows the picture


def test_cleaned_up_it_can_be_configured_anew(robot):
    robot.bring_to("active")
    ask(robot)
    robot.bring_to("unconfigured")
    assert ask(robot).message == "the node is not configured"
    wait_for(lambda: robot.node.count_publishers("/textregion/groundings") == 0)
    assert robot.set_parameter("kept_frames", 2).successful
    robot.bring_to("active")
    assert ask(robot).encode_ms > 0.0


def test_a_transition_that_does_not_fit_is_refused(robot):
    robot.bring_to("active")
    assert not robot.change_state("configure")
    assert robot.state() == "active"
    assert ask(robot).status == Query.Response.OK


def test_shut_down_it_is_at_its_end():
    with managed() as robot:
        robot.wait_for_service()
        robot.bring_to("active")
        assert robot.change_state("active_shutdown")
        assert robot.state() == "finalized"
        assert ask(robot).message == "the node was shut down"
        robot.process.terminate()
        assert robot.process.wait(60) == 0

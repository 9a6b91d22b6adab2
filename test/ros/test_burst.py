"""Many queries at once: each gets a reply, and nobody starves."""

from collections import Counter
from contextlib import ExitStack

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile

from test.support.colour_node import COLOURS
from test.support.messages import duration, header, picture
from test.support.robot import FAKE, Robot
from test.support.waiting import wait_for
from textregion_ros.core.status import Status
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

SCENE = to_message(picture((COLOURS["red"], 10, 20, 30, 40)), header())


@pytest.fixture(scope="module")
def robot():
    """The node; a new picture takes it 20 ms."""
    with Robot(FAKE, ENCODE_SECONDS="0.02") as robot:
        robot.wait_until_ready()
        yield robot


class Asker:
    """A client of its own participant, with room for its unanswered requests."""

    def __init__(self, robot, cleanup):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=robot.domain)
        cleanup.callback(rclpy.shutdown, context=self.context)
        self.node = Node("asker", context=self.context)
        cleanup.callback(self.node.destroy_node)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.client = self.node.create_client(
            Query, "textregion/query", qos_profile=QoSProfile(depth=100)
        )
        wait_for(self.client.service_is_ready)
        # The node may not know the client yet; then the middleware drops the reply.
        wait_for(lambda: self.is_answered(*self.ask(1)))

    def is_answered(self, pending):
        """Whether a reply comes within two seconds."""
        self.executor.spin_until_future_complete(pending, 2.0)
        return pending.done()

    def ask(self, count, **fields):
        request = Query.Request(texts=["red block"], image=SCENE, **fields)
        return [self.client.call_async(request) for _ in range(count)]

    def wait(self, pending):
        wait_for(lambda: self.executor.spin_once(0.01) or all(f.done() for f in pending))
        return [future.result().status for future in pending]


@pytest.fixture
def asker(robot):
    with ExitStack() as cleanup:
        yield Asker(robot, cleanup)


@pytest.mark.parametrize("count", [12, 30, 100])
def test_every_request_of_a_burst_gets_a_reply(asker, count):
    """Of a burst of 12 one in eight had none, of 30 two in three."""
    statuses = Counter(asker.wait(asker.ask(count, timeout=duration(30.0))))
    assert set(statuses) <= {Status.OK, Status.BUSY}
    assert statuses[Status.OK] >= min(count, 20)
    assert sum(statuses.values()) == count


def test_after_a_burst_the_node_answers_as_before(asker):
    asker.wait(asker.ask(100, timeout=duration(30.0)))
    assert asker.wait(asker.ask(1, timeout=duration(30.0))) == [Status.OK]


def test_dead_clients_that_wait_for_an_image_keep_nobody_from_an_answer(robot, asker):
    """Eight of them had everybody told that the node was not ready, for as long as they liked."""
    with ExitStack() as cleanup:
        dead = Asker(robot, cleanup)
        later = Query.Request(texts=["red block"], timeout=duration(2**31 - 1.0))
        later.newer_than = header(2e9).stamp
        for _ in range(40):
            dead.client.call_async(later)
        assert Status.BUSY in dead.wait([dead.client.call_async(later) for _ in range(40)][-1:])
    assert asker.wait(asker.ask(3, timeout=duration(5.0))) == [Status.OK] * 3

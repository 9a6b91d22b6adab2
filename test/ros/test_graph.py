"""Nodes in a graph: bursts of images, several clients, restarts, late joiners, other domains."""

import signal
import threading
import time

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from test.support.colour_node import COLOURS
from test.support.messages import header, picture, seconds_of, values_of
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import repeat_until, wait_for
from textregion_ros.msg import GroundingArray, Queries
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

RED, BLUE = COLOURS["red"], COLOURS["blue"]
SCENE = to_message(picture((RED, 10, 20, 30, 40)), header())
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OK = Query.Response.OK
ENCODE_SECONDS, PERIOD = 0.4, 1 / 30


@pytest.fixture(scope="module")
def robot():
    """A node that takes its time for every frame, and knows from the start what to look for."""
    arguments = ros_arguments(queries="[red block]", cameras="[left]", max_rate=2.0)
    with Robot(FAKE, arguments, ENCODE_SECONDS=str(ENCODE_SECONDS)) as robot:
        robot.wait_for_service()
        yield robot


@pytest.fixture(scope="module")
def other(robot):
    """Another node in the same graph, with a name of its own."""
    with named("other", robot.domain) as other:
        other.wait_until_ready()
        yield other


def named(name, domain):
    """A node of that name in the graph of another."""
    return Robot(FAKE, ros_arguments(f"__node:={name}"), node=name, domain=domain)


class Burst:
    """A camera that sends 1280×720 images, each different, 30 times a second."""

    def __init__(self, robot, topic):
        self.publisher = robot.publisher(Image, topic)
        self.images = [
            to_message(picture((RED, 40 * step, 300, 200, 100), size=(720, 1280)), header())
            for step in range(20)
        ]
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        count = 0
        while not self.end.wait(PERIOD):
            image = self.images[count % len(self.images)]
            image.data[0] = count // len(self.images) % 256  # so that none is known already
            image.header = header(time.time(), "left")
            self.publisher.publish(image)
            count += 1

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def test_answers_in_a_burst_of_images_are_about_new_ones(robot):
    """Pitfall 1, a queue of images: an answer's image is newer than the question before the last.

    Twelve images come while one is encoded; from a queue each answer would be eleven later. The
    median, since a busy machine may hold up one image or another.
    """
    wait_for(robot.publisher(Image, "left/image").get_subscription_count)
    camera = robot.diagnostics("camera left")
    asked, taken = [], []

    def more_came_than_were_used():
        values = values_of(camera())
        return int(values["images"]) > int(values["images used"]) > 5

    with Burst(robot, "left/image"):
        robot.query(["red block"], timeout=60.0)

        def enough():
            asked.append(time.time())
            reply = robot.query(["red block"], timeout=60.0)
            assert reply.status == OK, reply.message
            assert reply.groundings[0].regions[0].box.width == 200
            taken.append(seconds_of(reply.header.stamp))
            return len(set(taken)) >= 8

        wait_for(enough)
        wait_for(more_came_than_were_used)
    # A machine that loses images for a moment answers about the one that it has, which is no queue.
    late = [asked[k - 2] - taken[k] for k in range(2, len(taken)) if taken[k] != taken[k - 1]]
    assert np.median(late) < 0.0


def test_the_newest_image_is_kept_and_not_the_oldest(robot):
    """Pitfall 2, dropping the newest: what came last is what the next answer is about."""
    publisher = robot.publisher(Image, "left/image")
    slow = robot.ask(["slow block"], image=SCENE)
    for number in range(10):
        publisher.publish(to_message(picture((BLUE, number, 0, 9, 9)), header(2e9 + number)))
    last = robot.ask(["blue block"], newer_than=2e9 + 9.5, timeout=60.0)
    newest = to_message(picture((BLUE, 50, 0, 9, 9)), header(2e9 + 10))
    repeat_until(last.done, lambda: publisher.publish(newest))
    assert robot.result(slow).status == Query.Response.NOT_FOUND
    assert last.result().header == header(2e9 + 10)
    assert robot.query(["blue block"]).header == header(2e9 + 10)


def test_two_clients_at_once_have_their_own_answers(robot):
    """Pitfall 8, untied answers: each reply has the texts, and the header, of its own request."""
    with_other = robot.node.create_client(Query, "textregion/query")
    assert with_other.wait_for_service(60)
    pending = []
    for number in range(6):
        colour = ("red", "blue")[number % 2]
        image = to_message(picture((COLOURS[colour], 10, 9 + number, 30, 40)), header(number))
        request = Query.Request(texts=[f"{colour} block"], image=image)
        client = (robot.query_client, with_other)[number % 2]
        pending.append((client.call_async(request), request))
    for future, request in pending:
        reply = robot.result(future)
        assert (reply.status, reply.header) == (OK, request.image.header)
        assert [found.text for found in reply.groundings] == list(request.texts)
    robot.node.destroy_client(with_other)


def test_who_joins_late_learns_what_is_looked_for(robot):
    """Pitfall 8, global prompt: what is in force is latched, and answers name its revision."""
    heard = robot.listen(Queries, "textregion/queries", LATCHED)
    wait_for(lambda: heard)
    assert (list(heard[0].texts), heard[0].revision) == (["red block"], 1)
    answers = robot.listen(GroundingArray, "textregion/left/groundings")
    with Burst(robot, "left/image"):
        wait_for(lambda: len(answers) >= 3)
    assert {answer.revision for answer in answers} == {1}
    _before, *burst = [answer.header.stamp for answer in answers]
    stamps = [stamp.sec + stamp.nanosec / 1e9 for stamp in burst]
    assert np.diff(stamps).min() > 0.3  # max_rate


def test_two_nodes_in_one_graph_answer_for_themselves(robot, other):
    assert other.query(["red block"], image=SCENE).status == OK
    assert other.set_queries(["blue block"]).queries.revision == 2
    heard = robot.listen(Queries, "textregion/queries", LATCHED)
    wait_for(lambda: heard)
    assert list(heard[-1].texts) == ["red block"]
    names = {status.name for status in (other.diagnostics("model")(), robot.diagnostics("model")())}
    assert names == {"/other: model", "/textregion: model"}


def test_another_domain_hears_nothing(robot):
    elsewhere = Robot(["sleep", "600"], node="textregion")
    with elsewhere:
        assert elsewhere.domain != robot.domain
        assert not elsewhere.query_client.wait_for_service(1.0)
        assert elsewhere.node.count_publishers("/diagnostics") == 0


def test_a_node_restarted_in_the_middle_of_a_query(monkeypatch):
    """Pitfall 4, a client that waits for ever: its own time limit ends it, and it can ask again."""
    # What a killed process leaves in shared memory can hide its successor: eProsima/Fast-DDS#5053.
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    with Robot(FAKE) as robot, named("other", robot.domain) as other:
        robot.wait_until_ready()
        other.wait_until_ready()
        lost = robot.ask(["slow block"], image=SCENE)
        other.query(["red block"], image=SCENE)
        robot.process.send_signal(signal.SIGKILL)
        assert robot.process.wait(60) == -signal.SIGKILL
        assert not lost.done()
        assert other.query(["red block"], image=SCENE).status == OK
        wait_for(lambda: not robot.query_client.service_is_ready())
        robot.start()
        robot.wait_for_service()
        assert robot.query(["red block"], image=SCENE, timeout=60.0).status == OK
        assert not lost.done()

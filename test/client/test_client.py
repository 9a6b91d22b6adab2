"""The client against services in this process, over DDS."""

import asyncio
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Empty, Header

from test.support import fake_node
from test.support.domains import free_domain
from test.support.fake_node import FakeNode, found_all
from test.support.waiting import wait_for
from textregion_ros import client as package
from textregion_ros.client import (
    BadImage,
    BadQuery,
    BadRequest,
    BadText,
    Busy,
    Intrinsics,
    NodeError,
    QueryFailed,
    TextRegionClient,
    Timeout,
    Unavailable,
)
from textregion_ros.core.errors import FAILURES
from textregion_ros.core.results import ImageHeader
from textregion_ros.core.status import Status
from textregion_ros.node.conversions.headers import nanoseconds
from textregion_ros.node.conversions.images import to_message, to_rgb

RGB = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@pytest.fixture(scope="module")
def domain():
    with free_domain() as number:
        yield number


class Program:
    """A robot program: a context and a node that nobody spins."""

    def __init__(self, domain, name="program"):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = Node(name, context=self.context)

    def close(self):
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def program(domain):
    made = Program(domain)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_node(domain):
    with FakeNode(domain) as node:
        yield node


@pytest.fixture
def node(shared_node):
    """The services, as if nobody had asked them yet."""
    shared_node.asked.clear()
    shared_node.answering = found_all
    return shared_node


@pytest.fixture(scope="module")
def shared_client(domain, shared_node):
    """A client that has found the node."""
    program = Program(domain, "shared_program")
    with TextRegionClient(program.node) as made:
        made.find("red mug", timeout=120.0)
        made.set_queries([], timeout=120.0)
        made.embed(["red mug"], timeout=120.0)
        yield made
    program.close()


@pytest.fixture
def client(shared_client, node):
    return shared_client


# What is asked


def test_what_is_left_out_is_left_to_the_node(client, node):
    assert client.find("red mug").found
    (request,) = node.asked
    assert (request.texts, request.negatives, request.camera) == (["red mug"], [], "")
    assert (request.threshold, request.top_k, request.without_masks) == (-1.0, -1, False)
    assert (len(request.image.data), nanoseconds(request.newer_than)) == (0, 0)
    assert nanoseconds(request.max_age) == 0
    assert 20.0 < nanoseconds(request.timeout) / 1e9 <= 30.0


def test_every_option_is_passed_on(client, node):
    """Fault 17: a threshold of 0 can be said; fault 36: masks can be left out."""
    answer = client.find_all(
        ["mug", "cup"],
        negatives=["table"],
        threshold=0,
        top_k=np.int64(0),
        masks=False,
        camera="left",
        newer_than=Time(seconds=3),
        max_age=np.float32(0.5),
        timeout=7,
    )
    (request,) = node.asked
    assert (request.texts, request.negatives) == (["mug", "cup"], ["table"])
    assert (request.threshold, request.top_k, request.without_masks) == (0.0, 0, True)
    assert (request.camera, request.newer_than.sec) == ("left", 3)
    assert nanoseconds(request.max_age) == 500_000_000
    assert 0 < nanoseconds(request.timeout) <= 7_000_000_000
    assert [grounding.text for grounding in answer.groundings] == ["mug", "cup"]
    assert answer.image.camera == "left"


def test_a_picture_of_ones_own_is_sent_with_its_depth(client, node):
    depth, camera = np.full((4, 6), 0.5), Intrinsics(100.0, 100.0, 2.5, 1.5, 6, 4)
    client.find("mug", image=RGB, depth=depth, camera_info=camera)
    (request,) = node.asked
    np.testing.assert_array_equal(to_rgb(request.image), RGB)
    assert (request.depth.encoding, request.camera_info.width) == ("32FC1", 6)


def test_the_answer_is_about_the_picture_that_was_asked_about(client):
    header = Header(frame_id="wrist")
    header.stamp.sec = 7
    mug = client.find("mug", image=to_message(RGB, header))
    assert mug.image == ImageHeader("", 7_000_000_000, "wrist")


def test_standing_queries_are_replaced(client, node):
    now = client.set_queries(["mug", "cup"], negatives=["table"], threshold=0.3, top_k=2)
    assert now.query == package.Query(("mug", "cup"), ("table",), 0.3, 2)
    after = client.set_queries([])
    assert (after.query, after.revision) == (package.Query(()), now.revision + 1)
    with pytest.raises(BadRequest, match="refused"):
        client.set_queries(["refuse"])
    assert len(node.asked) == 3


def test_texts_have_vectors(client):
    """Fault 35."""
    found = client.embed(["mug", "spoon"])
    assert found.encoder == "an encoder"
    np.testing.assert_array_equal(found.vectors, [[3, 1], [5, 1]])


# What is refused before it is sent


WRONG = [
    ({"text": None}, TypeError),
    ({"text": b"red"}, TypeError),
    ({"text": 3}, TypeError),
    ({"text": "red\0"}, BadText),
    ({"text": " "}, BadText),
    ({"negatives": [1]}, TypeError),
    ({"negatives": "table"}, TypeError),
    ({"negatives": [""]}, BadText),
    ({"top_k": 1.0}, TypeError),
    ({"top_k": -1}, BadQuery),
    ({"top_k": 2**32}, BadQuery),
    ({"threshold": "0.5"}, TypeError),
    ({"threshold": float("nan")}, BadQuery),
    ({"masks": None}, TypeError),
    ({"camera": None}, TypeError),
    ({"camera": "left\0"}, BadText),
    ({"image": [1]}, TypeError),
    ({"image": RGB[..., 0]}, BadImage),
    ({"depth": RGB[..., 0] / 1.0}, BadImage),
    ({"image": RGB, "depth": RGB[..., 0] / 1.0}, BadImage),
    ({"camera_info": 3}, TypeError),
    ({"newer_than": 1.5}, TypeError),
    ({"newer_than": -1}, BadQuery),
    ({"max_age": 1e12}, BadQuery),
    ({"max_age": -1}, BadQuery),
    ({"timeout": 0}, BadQuery),
    ({"timeout": float("inf")}, BadQuery),
    ({"timeout": None}, TypeError),
    ({"unheard_of": 1}, TypeError),
]


@pytest.mark.parametrize("form", ["find", "find_async"])
@pytest.mark.parametrize(("options", "kind"), WRONG)
def test_what_is_wrong_is_refused_at_once_and_the_program_goes_on(
    client, node, options, kind, form
):
    """Fault 3: seven of twelve wrong types ended the process."""
    assert issubclass(kind, (TypeError, ValueError))
    with pytest.raises(kind):
        getattr(client, form)(**{"text": "red mug", **options})
    assert client.find("red mug").found
    assert len(node.asked) == 1


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda client: client.find_all("red mug"), TypeError),
        (lambda client: client.find_all([]), BadText),
        (lambda client: client.set_queries("red mug"), TypeError),
        (lambda client: client.set_queries([], threshold=float("nan")), BadQuery),
        (lambda client: client.set_queries([], negatives=[" "]), BadText),
        (lambda client: client.set_queries(["mug"], top_k=True), TypeError),
        (lambda client: client.set_queries(["mug"], timeout=-1), BadQuery),
        (lambda client: client.embed("mug"), TypeError),
        (lambda client: client.embed([]), BadText),
        (lambda client: client.embed(["mug"], timeout=0), BadQuery),
        (lambda client: TextRegionClient(None), TypeError),
    ],
)
def test_other_calls_check_what_they_get_too(client, node, call, kind):
    with pytest.raises(kind):
        call(client)
    assert not node.asked


@pytest.mark.parametrize(("name", "kind"), [(3, TypeError), ("no name!", ValueError)])
def test_a_name_that_is_none_is_refused(program, name, kind):
    with pytest.raises(kind):
        TextRegionClient(program.node, name)


# What is answered


@pytest.mark.parametrize("status", [status for status in Status if not status.is_answer])
def test_each_status_is_an_exception_of_its_own(client, node, status):
    def fail(_request, response):
        response.status, response.message = status, "as it is"

    node.answering = fail
    with pytest.raises(FAILURES[status], match="as it is"):
        client.find("mug", timeout=0.3)


def test_a_status_that_nobody_knows_is_an_error_of_the_node(client, node):
    def fail(_request, response):
        response.status = 250

    node.answering = fail
    with pytest.raises(NodeError):
        client.find("mug")


@pytest.mark.parametrize("status", [Status.BUSY, Status.NO_IMAGE, Status.STALE, Status.TIMEOUT])
def test_what_may_change_is_asked_again_while_there_is_time(client, node, status):
    def third_time(request, response):
        response.status = status
        if len(node.asked) == 3:
            found_all(request, response)

    node.answering = third_time
    assert client.find("mug").found
    times = [nanoseconds(request.timeout) for request in node.asked]
    assert times == sorted(times, reverse=True)


def test_what_does_not_change_is_not_asked_again(client, node):
    def fail(_request, response):
        response.status = Status.NOT_READY

    node.answering = fail
    with pytest.raises(QueryFailed):
        client.find("mug", timeout=30.0)
    assert len(node.asked) == 1


def test_a_node_that_stays_busy_is_said_to_be_so(client, node):
    def fail(_request, response):
        response.status, response.message = Status.BUSY, "too many"

    node.answering = fail
    with pytest.raises(Busy, match="too many"):
        client.find("mug", timeout=1.0)
    assert len(node.asked) > 1


def test_a_node_that_says_nothing(client, node):
    release = threading.Event()
    node.answering = lambda *_: release.wait(60)
    start = time.monotonic()
    with pytest.raises(Timeout, match="/textregion/query did not reply in time"):
        client.find("mug", timeout=0.5)
    assert 0.5 <= time.monotonic() - start < 30
    release.set()
    assert len(node.asked) == 1


def test_a_name_that_nobody_answers_to(program):
    client = TextRegionClient(program.node, "nobody")
    with client, pytest.raises(Unavailable, match="no node offers /nobody/query"):
        client.find("red block", timeout=0.3)


def test_names_follow_the_programs_namespace_and_remaps(program, node):
    remap = ["--ros-args", "-r", "eyes/query:=/textregion/query", "-r", "__node:=renamed"]
    arm = Node("arm", namespace="arm", context=program.context, cli_args=remap)
    with TextRegionClient(arm, "eyes") as client:
        assert client.find("red block").found
        with pytest.raises(Unavailable, match="no node offers /arm/eyes/set_queries"):
            client.set_queries([], timeout=0.2)
    arm.destroy_node()


# Whoever spins, and whoever does not


def test_calls_return_inside_a_callback_of_a_single_threaded_executor(program, client):
    found = []
    executor = SingleThreadedExecutor(context=program.context)
    executor.add_node(program.node)
    program.node.create_subscription(Empty, "go", lambda _: found.append(client.find("mug")), 1)
    go = program.node.create_publisher(Empty, "go", 1)
    wait_for(go.get_subscription_count)
    go.publish(Empty())
    wait_for(lambda: executor.spin_once(0.1) or found)
    executor.shutdown()
    assert found[0].found


def test_calls_from_several_threads_get_their_own_answers(client):
    pending = [client.find_async(f"mug {number}") for number in range(20)]
    assert [future.result(60).text for future in pending] == [f"mug {n}" for n in range(20)]


def test_a_coroutine_can_await_an_answer(client):
    async def ask():
        return await asyncio.wrap_future(client.find_all_async(["mug"]))

    assert asyncio.run(ask()).groundings[0].found


# A node that ends and comes back


class Killed:
    """The services in a process of their own, which can be killed."""

    def __init__(self, domain):
        self.command = [sys.executable, "-m", fake_node.__name__, str(domain)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait()


@pytest.fixture
def lonely():
    """A domain in which nobody is."""
    with free_domain() as number:
        yield number


@pytest.fixture
def mortal(lonely, monkeypatch):
    # What a killed process leaves in shared memory can hide its successor: eProsima/Fast-DDS#5053.
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    node = Killed(lonely)
    yield node
    node.kill()


def test_a_call_right_after_a_hard_restart_is_answered(lonely, mortal):
    """Fault 9: the dead endpoint counts as ready for some 20 s; what it is sent is lost."""
    program = Program(lonely)
    with TextRegionClient(program.node) as client:
        assert client.find("red mug", timeout=60.0).found
        mortal.kill()
        pending = client.find_async("red mug", timeout=120.0)
        standing = threading.Thread(target=client.set_queries, args=(["red mug"],), daemon=True)
        standing.start()
        mortal.start()
        assert pending.result(120).found
        standing.join(60)
        assert not standing.is_alive()
        assert client.find("red mug", timeout=60.0).found
    program.close()


def test_a_node_that_is_not_there_yet_is_waited_for(lonely):
    program = Program(lonely)
    with TextRegionClient(program.node) as client:
        pending = client.find_async("red mug", timeout=60.0)
        with FakeNode(lonely) as node:
            assert pending.result(60).found
            assert len(node.asked) == 1
    program.close()


def test_a_node_that_goes_away_while_it_is_asked(lonely):
    program = Program(lonely)
    node, release = FakeNode(lonely), threading.Event()
    node.answering = lambda *_: release.wait(60)
    with TextRegionClient(program.node) as client:
        pending = client.find_async("red mug", timeout=15.0)
        wait_for(lambda: node.asked)
        node.node.destroy_node()
        with pytest.raises(Unavailable, match="went away while it was asked"):
            pending.result(60)
    release.set()
    node.close()
    program.close()


# Closing


def hold(node):
    """Have the node say nothing until the event is set."""
    release = threading.Event()
    node.answering = lambda *_: release.wait(60)
    return release


def test_closing_gives_up_the_calls_that_wait(program, node):
    client, release = TextRegionClient(program.node), hold(node)
    pending = [client.find_async("red mug", timeout=600.0) for _ in range(12)]
    wait_for(lambda: node.asked)
    client.close()
    release.set()
    for future in pending:
        with pytest.raises(Unavailable, match="the client is closed"):
            future.result(60)


CALLS = [
    lambda client: client.find("red mug"),
    lambda client: client.find_async("red mug"),
    lambda client: client.find_all_async(["red mug"]),
    lambda client: client.embed(["red mug"]),
    lambda client: client.set_queries([]),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_client_is_unavailable(program, call):
    """Fault 30."""
    client = TextRegionClient(program.node)
    client.close()
    client.close()
    with pytest.raises(Unavailable, match="the client is closed"):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_without_its_context_a_client_is_unavailable(program, call):
    """Fault 30."""
    client = TextRegionClient(program.node)
    rclpy.shutdown(context=program.context)
    with pytest.raises(Unavailable, match="context is shut down"):
        call(client)
    with pytest.raises(Unavailable, match="context is shut down"):
        TextRegionClient(program.node)
    client.close()


def test_a_context_that_goes_away_gives_up_the_calls_that_wait(program, node):
    client, release = TextRegionClient(program.node), hold(node)
    pending = client.find_async("red mug", timeout=600.0)
    wait_for(lambda: node.asked)
    rclpy.shutdown(context=program.context)
    with pytest.raises(Unavailable):
        pending.result(60)
    client.close()
    release.set()


def test_a_callback_of_the_clients_own_thread_may_close_it(program, node):
    """Fault 30: it stopped half-way."""
    client, closed = TextRegionClient(program.node), threading.Event()

    def close(_future):
        client.close()
        closed.set()

    client.find_async("red mug").add_done_callback(close)
    assert closed.wait(60)
    wait_for(lambda: "program_textregion_client" not in program.node.get_node_names())
    with pytest.raises(Unavailable, match="closed"):
        client.find("red mug")


def test_several_threads_may_close_at_once(program, node):
    client, release = TextRegionClient(program.node), hold(node)
    pending = [client.find_async("red mug") for _ in range(4)]
    for future in pending:
        future.add_done_callback(lambda _: client.close())
    wait_for(lambda: node.asked)
    threads = [threading.Thread(target=client.close, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    release.set()
    assert not any(thread.is_alive() for thread in threads)
    assert all(isinstance(future.exception(60), Unavailable) for future in pending)
    wait_for(lambda: "program_textregion_client" not in program.node.get_node_names())


def test_what_the_package_offers_is_there():
    assert all(hasattr(package, name) for name in package.__all__)
    assert {failure.__name__ for failure in FAILURES.values()} <= set(package.__all__)

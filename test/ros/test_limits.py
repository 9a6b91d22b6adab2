"""What a request may ask for at most, and what it leaves behind."""

import psutil
import pytest

from test.support.colour_node import COLOURS
from test.support.messages import header, picture
from test.support.robot import FAKE, Robot, ros_arguments
from test.support.waiting import wait_for
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Embed, Query, SetQueries

SCENE = to_message(picture((COLOURS["red"], 10, 20, 30, 40)), header())
BAD_REQUEST = Query.Response.BAD_REQUEST


@pytest.fixture(scope="module")
def robot():
    arguments = ros_arguments(
        max_texts=10, max_text_length=100, max_image_pixels=500_000, max_reply_mib=1
    )
    with Robot(FAKE, arguments, EMBED_SECONDS="0.05") as robot:
        robot.wait_until_ready()
        yield robot


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"texts": ["x"] * 11}, "11 texts and negatives are more than max_texts, 10"),
        ({"texts": ["x"], "negatives": ["y"] * 10}, "11 texts and negatives are more"),
        ({"texts": ["a" * 1_000_000]}, "1000000 characters, more than max_text_length, 100"),
        (
            {"texts": ["x"], "image": to_message(picture(size=(800, 800)), header())},
            "at most 500000",
        ),
    ],
)
def test_more_than_is_allowed_is_refused_at_once(robot, fields, sentence):
    reply = robot.query(**fields)
    assert reply.status == BAD_REQUEST
    assert sentence in reply.message
    assert len(reply.message) < 300


def test_a_reply_too_large_is_refused_and_says_what_to_do(robot):
    rgb = picture((COLOURS["red"], 0, 0, 700, 700), size=(700, 700))
    texts, image = ["red block"] * 3, to_message(rgb, header())
    reply = robot.query(texts, image=image)
    assert (reply.status, "without_masks" in reply.message) == (BAD_REQUEST, True)
    assert robot.query(texts, image=image, without_masks=True).status == Query.Response.OK
    assert robot.query(texts[:2], image=image).status == Query.Response.OK


def test_texts_are_given_up_when_the_time_is_up(robot):
    """They were encoded to the end, and nobody else was answered meanwhile."""
    many = [f"new thing {number}" for number in range(10)]
    assert robot.query(many, image=SCENE, timeout=0.07).status == Query.Response.TIMEOUT
    assert robot.query(["red block"], image=SCENE, timeout=30.0).status == Query.Response.OK


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"texts": ["x" * 65]}, "longer than 64"),
        ({"texts": ["x" * 101]}, "max_text_length"),
        ({"texts": ["x"] * 11}, "max_texts"),
        ({"texts": [], "threshold": 5.0}, "threshold is 5"),
        ({"texts": [], "threshold": float("nan")}, "threshold is nan"),
        ({"texts": [], "negatives": [" "]}, "negative 1 is blank"),
    ],
)
def test_standing_queries_that_can_never_be_answered_are_refused(robot, fields, sentence):
    """They were taken, and a text that was too long kept the others from an answer."""
    good = robot.set_queries(["red block"])
    assert good.success
    reply = robot.call(SetQueries, "set_queries", SetQueries.Request(**fields))
    assert not reply.success
    assert sentence in reply.message
    assert (list(reply.queries.texts), reply.queries.revision) == (
        ["red block"],
        good.queries.revision,
    )


def test_vectors_of_texts(robot):
    reply = robot.call(Embed, "embed", Embed.Request(texts=["red block", "blue block"]))
    assert (reply.status, reply.message, reply.encoder) == (Query.Response.OK, "", "colours")
    assert (reply.dimension, list(reply.vectors)) == (4, [1.0, 0, 0, 0, 0, 0, 1.0, 0])


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "texts is empty"),
        ([" "], "text 1 is blank"),
        (["x" * 65], "longer"),
        (["x"] * 11, "max"),
    ],
)
def test_vectors_that_cannot_be_made(robot, texts, sentence):
    reply = robot.call(Embed, "embed", Embed.Request(texts=texts))
    assert (reply.status, sentence in reply.message) == (BAD_REQUEST, True)


def test_the_memory_of_a_large_reply_is_given_back():
    """It stayed: 1.2 GB of 2.3."""
    rgb = picture((COLOURS["red"], 0, 0, 2000, 1500), size=(1500, 2000))
    image = to_message(rgb, header())
    with Robot(FAKE) as robot:
        robot.wait_until_ready()
        process = psutil.Process(robot.process.pid)
        robot.query(["red block"] * 20, image=image)
        before = process.memory_info().rss
        for _ in range(3):
            assert robot.query(["red block"] * 20, image=image).status == Query.Response.OK
        wait_for(lambda: process.memory_info().rss < before + (40 << 20))

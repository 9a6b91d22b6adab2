import time
from array import array

import numpy as np
import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from test.support.colour_node import COLOURS, LONGEST_TEXT
from test.support.messages import header, mask_of, picture
from test.support.waiting import repeat_until
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query

RED, BLUE, GREEN = COLOURS["red"], COLOURS["blue"], COLOURS["green"]
SIZE = (120, 160)
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SCENE = picture((RED, 10, 20, 30, 40), (BLUE, 90, 50, 20, 10), size=SIZE)
OK, NOT_FOUND = Query.Response.OK, Query.Response.NOT_FOUND
BAD_REQUEST, STALE, TIMEOUT = (
    Query.Response.BAD_REQUEST,
    Query.Response.STALE,
    Query.Response.TIMEOUT,
)


def box_of(found):
    return found.box.x_offset, found.box.y_offset, found.box.width, found.box.height


def test_what_is_there_is_found(robot):
    reply = robot.query_published(SCENE, ["blue block", "green block", "red block"], seconds=1.25)
    assert (reply.status, reply.message) == (OK, "")
    assert reply.header == header(1.25)
    blue, green, red = reply.groundings
    assert [g.text for g in (blue, green, red)] == ["blue block", "green block", "red block"]
    assert [g.found for g in (blue, green, red)] == [True, False, True]
    assert not green.regions
    assert green.score < 0.5 < red.score
    (region,) = red.regions
    assert box_of(region) == (10, 20, 30, 40)
    assert box_of(red) == (10, 20, 30, 40)
    assert region.mask.header == reply.header
    expected = (SCENE == RED).all(axis=2)
    np.testing.assert_array_equal(mask_of(region, SIZE), expected)


def test_what_is_not_there_is_not_found(robot):
    reply = robot.query_published(SCENE, ["green block"], seconds=2.0)
    assert reply.status == NOT_FOUND
    assert "green block" in reply.message
    assert reply.header == header(2.0)
    assert not reply.groundings[0].found


def test_another_sentence_about_the_same_image_encodes_nothing(robot):
    scene = picture((RED, 1, 2, 3, 4))
    assert robot.query_published(scene, ["red block"], seconds=3.0).encode_ms > 0.0
    reply = robot.query(["red block", "blue block"])
    assert reply.header == header(3.0)
    assert reply.encode_ms == 0.0
    assert reply.query_ms > 0.0


def test_the_regions_come_best_first_and_top_k_cuts_them(robot):
    scene = to_message(
        picture((RED, 5, 5, 10, 10), (RED, 50, 5, 30, 30), (RED, 5, 60, 20, 20)), header()
    )
    boxes = [(50, 5, 30, 30), (5, 60, 20, 20), (5, 5, 10, 10)]
    every = robot.query(["red block"], image=scene, top_k=0).groundings[0]
    assert [box_of(region) for region in every.regions] == boxes
    assert (every.box.x_offset, every.box.y_offset, every.box.width, every.box.height) == (
        5,
        5,
        75,
        75,
    )
    two = robot.query(["red block"], image=scene, top_k=2).groundings[0]
    assert [box_of(region) for region in two.regions] == boxes[:2]
    best = robot.query(["red block"], image=scene).groundings[0]
    assert [box_of(region) for region in best.regions] == boxes[:1]


def test_the_threshold_of_the_request(robot):
    scene = to_message(SCENE, header())
    assert robot.query(["red block"], image=scene, threshold=0.89).status == OK
    assert robot.query(["red block"], image=scene, threshold=0.91).status == NOT_FOUND
    # 0 could not be said: it was the node's own.
    assert robot.set_parameter("threshold", 0.95).successful
    assert robot.query(["red block"], image=scene).status == NOT_FOUND
    assert robot.query(["red block"], image=scene, threshold=0.0).status == OK
    assert robot.set_parameter("threshold", -1.0).successful


def test_the_negatives_of_the_request(robot):
    scene = to_message(SCENE, header())
    reply = robot.query(["red block"], image=scene, negatives=["red block"])
    assert reply.status == NOT_FOUND


def test_an_image_in_the_request_is_the_one_that_is_used(robot):
    robot.query_published(SCENE, ["red block"], seconds=4.0)
    own = to_message(picture((GREEN, 70, 30, 20, 10)), header(1.0, "wrist"))
    reply = robot.query(["green block", "red block"], image=own, newer_than=100.0, max_age=0.001)
    assert reply.status == OK
    assert reply.header == own.header
    assert [g.found for g in reply.groundings] == [True, False]


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_every_encoding_gives_the_same_answer(robot, encoding):
    """Pitfall 6, channel order by assumption: the encoding and the step say how to read it."""
    order = ["rgba".index(channel) for channel in encoding[:-1]]
    alpha = np.full((*SIZE, 1), 255, np.uint8)
    pixels = np.concatenate([SCENE, alpha], axis=2)[..., order].reshape(SIZE[0], -1)
    rows = np.pad(pixels, [(0, 0), (0, 7)])
    image = Image(height=SIZE[0], width=SIZE[1], encoding=encoding, step=rows.shape[1])
    image.data = array("B", rows.tobytes())
    reply = robot.query(["blue block"], image=image)
    assert reply.status == OK, reply.message
    assert box_of(reply.groundings[0].regions[0]) == (90, 50, 20, 10)


def test_mono_is_taken(robot):
    image = to_message(np.full(SIZE, 128, np.uint8), header())
    assert image.encoding == "mono8"
    assert robot.query(["red block"], image=image).status == NOT_FOUND


def bad_image(**fields):
    image = to_message(SCENE, header())
    for name, value in fields.items():
        setattr(image, name, value)
    return image


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (bad_image(encoding="32FC3"), '"32FC3" is not supported'),
        (bad_image(encoding=""), '"" is not supported'),
        (bad_image(step=481), "step 481 × height 120"),
        (bad_image(step=100), "step is 100 bytes"),
        (bad_image(data=array("B", b"123")), "data's length, 3 bytes"),
        (bad_image(height=0, data=array("B")), "no pixel"),
        (bad_image(width=0), "no pixel"),
    ],
)
def test_a_bad_image_in_the_request(robot, image, sentence):
    reply = robot.query(["red block"], image=image)
    assert reply.status == BAD_REQUEST
    assert sentence in reply.message
    assert not reply.groundings


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"texts": []}, "texts is empty"),
        ({"texts": ["red block", "  "]}, "text 2 is blank"),
        ({"texts": ["red block"], "negatives": [""]}, "negative 1 is blank"),
        ({"texts": ["x" * (LONGEST_TEXT + 1)]}, f"longer than {LONGEST_TEXT}"),
        ({"texts": ["red block"], "threshold": 1.5}, "threshold is 1.5"),
        ({"texts": ["red block"], "threshold": float("nan")}, "threshold is nan"),
        ({"texts": ["red block"], "timeout": -1.0}, "timeout is negative"),
        ({"texts": ["red block"], "max_age": -1.0}, "max_age is negative"),
    ],
)
def test_a_bad_request(robot, fields, sentence):
    reply = robot.query(image=to_message(SCENE, header()), **fields)
    assert reply.status == BAD_REQUEST
    assert sentence in reply.message


def test_a_camera_image_that_cannot_be_read_is_an_error_and_the_next_one_is_fine(robot):
    raw = bad_image(encoding="32FC3")
    raw.header = header(20.0)
    pending = robot.ask(["red block"], newer_than=19.0, timeout=60.0)
    repeat_until(pending.done, lambda: robot.images.publish(raw))
    assert pending.result().status == Query.Response.ERROR
    assert '"32FC3" is not supported' in pending.result().message
    assert robot.query_published(SCENE, ["red block"], seconds=21.0).status == OK


def test_a_failing_model_is_an_error_and_the_node_goes_on(robot):
    """Pitfall 4, exceptions or silence: a failure is a status and a sentence, never no answer."""
    image = to_message(SCENE, header())
    for _ in range(3):
        reply = robot.query(["break"], image=image)
        assert reply.status == Query.Response.ERROR
        assert reply.message == "RuntimeError: the model broke"
    assert robot.query(["red block"], image=image).status == OK
    assert robot.process.poll() is None


def test_an_image_that_is_not_new_enough_is_stale(robot):
    robot.query_published(SCENE, ["red block"], seconds=30.0)
    reply = robot.query(["red block"], newer_than=30.0)
    assert reply.status == STALE
    assert "newer_than" in reply.message
    assert not reply.groundings


def test_an_image_that_is_too_old_is_stale(robot):
    robot.query_published(SCENE, ["red block"], seconds=time.time() - 3600)
    reply = robot.query(["red block"], max_age=60.0, timeout=0.05)
    assert reply.status == STALE
    assert "max_age, 60.000 s" in reply.message
    now = time.time()
    assert robot.query_published(SCENE, ["red block"], now, max_age=60.0).status == OK


def test_a_query_that_takes_too_long(robot):
    reply = robot.query(["slow block"], image=to_message(SCENE, header()), timeout=0.1)
    assert reply.status == TIMEOUT
    assert "0.100 s" in reply.message
    assert robot.query(["red block"], image=to_message(SCENE, header())).status == OK


def test_the_newest_image_wins_over_those_that_came_meanwhile(robot):
    slow = robot.ask(["slow block"], image=to_message(SCENE, header()))
    for number in range(10):
        robot.publish(picture((BLUE, number, 0, 10, 10)), seconds=50.0 + number)
    reply = robot.query_published(picture((RED, 70, 60, 10, 10)), ["red block"], seconds=60.0)
    assert robot.result(slow).status == NOT_FOUND
    assert reply.header == header(60.0)
    assert box_of(reply.groundings[0].regions[0]) == (70, 60, 10, 10)
    assert robot.query(["red block"]).header == header(60.0)


def test_images_come_in_while_many_queries_wait_for_them(robot):
    pending = [robot.ask(["red block"], newer_than=70.0, timeout=60.0) for _ in range(8)]
    repeat_until(
        lambda: all(future.done() for future in pending), lambda: robot.publish(SCENE, seconds=71.0)
    )
    assert {future.result().status for future in pending} == {OK}


def test_masks_are_left_out_where_they_are_not_wanted(robot):
    reply = robot.query(["red block"], image=to_message(SCENE, header()), without_masks=True)
    (region,) = reply.groundings[0].regions
    assert box_of(region) == (10, 20, 30, 40)
    assert (region.mask.width, len(region.mask.data)) == (0, 0)
    assert (reply.image_height, reply.image_width) == SIZE


def test_text_from_outside_cannot_forge_a_log_or_move_a_cursor(robot):
    forged = "mug\n[ERROR] forged\x1b[2J\u202e"
    for fields in ({"texts": [forged]}, {"texts": ["mug"], "camera": forged}):
        image = None if "camera" in fields else to_message(SCENE, header())
        message = robot.query(image=image, **fields).message
        assert "mug" in message
        assert message.isprintable()


def test_a_thousand_failures_are_a_few_lines_of_the_log(robot):
    log = robot.listen(Log, "/rosout", LATCHED)
    image = to_message(SCENE, header())
    before = len(log)
    for _ in range(50):
        assert robot.query(["break"], image=image).status == Query.Response.ERROR
    errors = [line for line in log[before:] if "the model broke" in line.msg]
    assert len(errors) <= 3

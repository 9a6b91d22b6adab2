"""What it costs to fill messages, counted in steps of Python and not in time."""

import sys

import numpy as np
import pytest
from std_msgs.msg import Header

from textregion_ros.geometry import Camera, region_shape
from textregion_ros.node import messages
from textregion_ros.node.answers import Answer
from textregion_ros.node.frames import Frame
from textregion_ros.node.images import to_message
from textregion_ros.regions import EncodedFrame, Grounding, Region
from textregion_ros.srv import Query

FILL = {
    "reply": lambda answer: messages.fill_answer(Query.Response(), answer),
    "groundings": lambda answer: messages.grounding_array(answer, 1),
    "tokens": messages.region_tokens,
    "label_image": messages.label_image,
    "markers": messages.markers,
    "object_points": messages.object_points,
}


def answer_at(height, width):
    """Two regions with shapes in a picture of that size, and tokens as long as it is wide."""
    camera = Camera(width, width, width / 2, height / 2, width, height)
    regions = []
    for number in range(2):
        mask = np.zeros((height, width), bool)
        rows = slice(number * height // 2, (2 * number + 1) * height // 4)
        mask[rows, : width // 2] = True
        box = (0, rows.start, width // 2, rows.stop - rows.start)
        regions.append(Region(number, box, mask, 0.9 - number / 10, 0.5))
    depth = np.ones((height, width), np.float32)
    shapes = {region.id: region_shape(region.mask, depth, camera, None) for region in regions}
    assert all(shapes.values())
    masks = np.zeros((2, 4, 4), np.float16)
    boxes = np.array([region.box for region in regions], np.int32)
    tokens = np.ones((2, width), np.float32)
    encoded = EncodedFrame((height, width), masks, boxes, tokens, np.eye(2))
    frame = Frame(to_message(np.zeros((height, width, 3), np.uint8), Header()))
    grounding = Grounding("red mug", True, 0.9, tuple(regions), regions[0].box)
    return Answer(frame, [grounding], 1.0, 1.0, encoded, shapes)


def steps(function, *arguments):
    """How many lines of Python run, those of the message classes included."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", FILL)
def test_a_larger_picture_takes_no_more_steps(name):
    """Pitfall 9, slow messages: no Python per pixel, point or value, here or in a setter."""
    small, large = answer_at(48, 64), answer_at(480, 640)
    FILL[name](small), FILL[name](large)  # what is worked out only once
    assert steps(FILL[name], large) <= steps(FILL[name], small) + 10


def test_steps_are_counted_where_python_looks_at_every_value():
    few, many = (steps(lambda n=n: [int(value) for value in range(n)]) for n in (10, 1000))
    assert many > few + 900

"""What it costs to fill messages, counted in steps of Python and not in time."""

import sys

import numpy as np
import pytest

from test.support.answers import answer_of, grounding_of, region_of, scene_of
from textregion_ros.core.camera import Intrinsics
from textregion_ros.core.results import Pose, RegionShape
from textregion_ros.node.conversions import messages, regions, spatial
from textregion_ros.srv import Embed, Query

FILL = {
    "reply": lambda answer: messages.fill_answer(Query.Response(), answer),
    "groundings": lambda answer: messages.grounding_array(answer, 1),
    "vectors": lambda answer: messages.fill_vectors(Embed.Response(), "", answer.scene.tokens),
    "tokens": regions.region_tokens,
    "label_image": regions.label_image,
    "markers": spatial.markers,
    "object_points": spatial.object_points,
}


def answer_at(height, width):
    """Two regions with shapes in a picture of that size, and tokens as long as it is wide."""
    camera = Intrinsics(width, width, width / 2, height / 2, width, height)
    boxes = [(0, n * height // 2, width // 2, height // 4) for n in range(2)]
    shapes = {number: shape_at(box, camera) for number, box in enumerate(boxes)}
    tokens = np.ones((2, width), np.float32)
    scene = scene_of(np.zeros((height, width, 3), np.uint8), boxes, shapes, tokens)
    found = [
        region_of(box, number, size=(height, width), pose=shapes[number].pose)
        for number, box in enumerate(boxes)
    ]
    return answer_of(scene, grounding_of("red mug", *found))


def shape_at(box, camera):
    """The pixels of a box, all of them 1 m away."""
    x, y, w, h = box
    v, u = (np.ravel(axis) for axis in np.mgrid[y : y + h, x : x + w])
    points = camera.points(u, v, np.ones(len(u)))
    pose = Pose(points.mean(0), points.mean(0), np.array([0, 0, 0, 1.0]), np.ptp(points, 0))
    return RegionShape(points, (v * camera.width + u).astype(np.int32), pose)


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

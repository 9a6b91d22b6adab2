"""The pick example of docs/client.md."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from textregion_ros import client
from textregion_ros.client import FindOptions, Pose, TextRegionClient
from textregion_ros.core.errors import FAILURES

DOCUMENT = (Path(__file__).parents[2] / "docs/client.md").read_text()


@pytest.fixture(scope="module")
def grasp():
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names = {"__name__": "pick"}
    exec(program, names)
    return names["grasp"]


def test_a_box_is_taken_from_the_cameras_side_across_its_narrow_side(grasp):
    pose = Pose(
        np.zeros(3), np.array([0.1, 0.0, 0.8]), np.array([0, 0, 0, 1.0]), np.array([0.2, 0.05, 0.1])
    )
    point, approach, closing, width = grasp(pose)
    np.testing.assert_array_equal(point, [0.1, 0.0, 0.8])
    np.testing.assert_allclose(approach, [0, 0, 1])
    np.testing.assert_allclose(np.abs(closing), [0, 1, 0])
    assert width == 0.05


def test_a_turned_box_gives_the_same_grasp_turned(grasp):
    turn = Rotation.from_euler("zxy", [200, 25, -15], degrees=True)
    position = turn.apply([0.02, 0.03, 0.7])
    pose = Pose(position, position, turn.as_quat(), np.array([0.04, 0.2, 0.1]))
    _, approach, closing, width = grasp(pose)
    np.testing.assert_allclose(approach, turn.apply([0, 0, 1]), atol=1e-9)
    np.testing.assert_allclose(np.abs(closing), np.abs(turn.apply([1, 0, 0])), atol=1e-9)
    assert width == 0.04


NAMES = set(re.findall(r"`(\w+)`", DOCUMENT))


def test_everything_that_the_client_offers_is_in_the_document():
    calls = {name for name in vars(TextRegionClient) if not name.startswith("_")} - {"close"}
    assert calls <= set(re.findall(r"`(\w+)", DOCUMENT))
    assert set(FindOptions.__annotations__) <= NAMES
    assert {failure.__name__ for failure in FAILURES.values()} | {"Unavailable"} <= NAMES
    assert {"to_answer", "to_standing_queries", "QueryFailed"} <= NAMES


def test_the_fields_of_the_document_are_there():
    for kind in ("Grounding", "Answer", "Embedding", "Region", "Pose", "ImageHeader"):
        (row,) = re.findall(rf"^\|(?: [^|]*\|)? `{kind}`.*$", DOCUMENT, re.MULTILINE)
        fields = set(re.findall(r"`([a-z]\w*)`", row))
        known = {*dir(getattr(client, kind)), *getattr(client, kind).__dataclass_fields__}
        assert fields
        assert fields <= known

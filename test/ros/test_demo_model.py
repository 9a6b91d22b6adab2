"""The node with its bundled models: rendered scenes in, sentences in, masks out."""

import sys
from pathlib import Path

import numpy as np
import pytest

from test.support.messages import header, mask_of, values_of
from test.support.robot import Robot
from textregion_ros.node.conversions.images import to_message
from textregion_ros.srv import Query
from training.evaluate import read_scenes

ROOT = Path(__file__).parents[2]
MODELS_MIB = 50  # 14 M parameters of 4 bytes; what else goes comes on top


@pytest.fixture(scope="module")
def robot():
    with Robot([sys.executable, str(ROOT / "scripts/textregion_node")]) as robot:
        robot.wait_for_service()
        yield robot


@pytest.fixture(scope="module")
def scenes():
    return list(read_scenes(ROOT / "test/data/scenes"))[:3]


def test_answers_over_dds_are_those_of_the_library(robot, scenes, demo_model):
    for scene in scenes:
        texts = [f"{item['colour']} {item['category']}" for item in scene.objects]
        image = to_message(scene.rgb, header(4.5, "left_camera"))
        reply = robot.query(texts, image=image, threshold=0.01, top_k=1, timeout=120.0)
        assert reply.status in (Query.Response.OK, Query.Response.NOT_FOUND)
        assert reply.header == image.header
        frame = demo_model.encode(scene.rgb)
        expected = demo_model.ground(frame, texts, threshold=0.01)
        assert [g.text for g in reply.groundings] == texts
        for ours, theirs in zip(expected, reply.groundings, strict=True):
            assert theirs.found == ours.found
            assert theirs.score == pytest.approx(ours.score, abs=1e-3)
            for a, b in zip(ours.regions, theirs.regions, strict=True):
                agree = a.mask == mask_of(b, scene.rgb.shape[:2])
                assert agree.mean() > 0.999


def test_an_image_without_anything_on_it_is_answered(robot):
    blank = np.full((48, 64, 3), 90, np.uint8)
    reply = robot.query(["red mug"], image=to_message(blank, header()), timeout=120.0)
    assert reply.status in (Query.Response.OK, Query.Response.NOT_FOUND)
    assert len(reply.groundings) == 1


def test_a_sentence_beyond_the_tokenizer_is_refused_and_the_node_stays(robot, scenes):
    image = to_message(scenes[0].rgb, header())
    reply = robot.query(["red " * 60], image=image, timeout=120.0)
    assert reply.status == Query.Response.BAD_REQUEST
    assert reply.message
    assert robot.process.poll() is None


def test_cleaning_up_frees_the_memory_of_the_models(robot):
    def held():
        return float(values_of(robot.diagnostics("model")())["memory (MiB)"])

    before = held()
    assert robot.change_state("deactivate")
    assert robot.change_state("cleanup")
    assert held() < before - MODELS_MIB
    assert robot.change_state("configure")

"""Texts that say which of several things is meant, through the library."""

import numpy as np
import pytest

from test.support.answers import scene_of
from textregion_ros.core.results import Pose, RegionShape
from textregion_ros.language import read
from textregion_ros.regions.referring import layout_of, refer

RGB = np.zeros((100, 200, 3), np.uint8)
MUG_LEFT, BALL, MUG_RIGHT = (10, 40, 20, 20), (80, 40, 20, 20), (150, 40, 20, 20)
BOXES = [MUG_LEFT, BALL, MUG_RIGHT]
SCORES = {"mug": [0.9, 0.1, 0.85], "red ball": [0.1, 0.8, 0.1], "spoon": [0.1, 0.1, 0.2]}


def scores(text):
    return np.array(SCORES[text], np.float32)


def ask(text, scene=None, threshold=0.5, top_k=1):
    scene = scene or scene_of(RGB, BOXES)
    return refer(scene, text, read(text), scores, threshold, top_k)


def test_one_of_several_by_what_it_stands():
    answer = ask("the mug left of the red ball")
    assert answer.found
    assert [region.box for region in answer.regions] == [MUG_LEFT]
    assert answer.box == MUG_LEFT
    assert answer.reading == "mug · left of · red ball"
    assert [anchor.box for anchor in answer.anchors] == [BALL]
    assert answer.anchors[0].score == pytest.approx(0.8)
    parts = {part.text: part.score for part in answer.parts}
    assert parts["mug"] == pytest.approx(0.9)
    assert parts["red ball"] == pytest.approx(0.8)
    assert (answer.ambiguous, answer.missing) == (False, "")
    assert answer.best.margin == pytest.approx(answer.score - 0.0, abs=0.2)
    assert ask("the mug right of the red ball").best.box == MUG_RIGHT


def test_an_anchor_that_is_not_there_is_named_and_nothing_is_found():
    answer = ask("the mug left of the spoon")
    assert not answer.found
    assert (answer.regions, answer.missing) == ((), "spoon")


def test_two_that_fit_as_well_are_both_returned_and_said_to_be_ambiguous():
    beside = scene_of(RGB, [(58, 40, 20, 20), BALL, (102, 40, 20, 20)])
    answer = ask("the mug next to the red ball", beside)
    assert answer.found
    assert answer.ambiguous
    assert {region.id for region in answer.regions} == {0, 2}


def test_a_text_that_says_how_many_has_as_many():
    assert {region.box for region in ask("both mugs").regions} == {MUG_LEFT, MUG_RIGHT}
    assert ask("the leftmost mug").best.box == MUG_LEFT
    assert not ask("the three mugs").found


def test_a_threshold_of_0_always_gives_the_best_region():
    answer = ask("the spoon left of the red ball", threshold=0.0)
    assert answer.found
    assert len(answer.regions) == 1
    assert ask("the mug left of the spoon", threshold=0.0).found


def test_where_things_are_is_worked_out_once_for_all_texts():
    scene = scene_of(RGB, BOXES)
    assert layout_of(scene) is layout_of(scene)
    ask("the mug left of the red ball", scene)
    assert layout_of(scene) is layout_of(scene)


def shape_at(x, z):
    points = np.array([[x, 0, z], [x + 0.05, 0.05, z + 0.05]], np.float32)
    pose = Pose(points.mean(0), points.mean(0), np.array([0, 0, 0, 1.0]), np.full(3, 0.05))
    return RegionShape(points, np.zeros(2, np.int32), pose)


def test_depth_says_what_the_picture_cannot():
    shapes = {0: shape_at(-0.3, 0.9), 1: shape_at(0.0, 0.7), 2: shape_at(0.3, 0.5)}
    near = ask("the nearest mug", scene_of(RGB, BOXES, shapes))
    assert (near.best.box, near.flat) == (MUG_RIGHT, False)
    assert near.best.pose is not None
    assert ask("the nearest mug").flat


def test_the_model_reads_texts_and_asks_for_the_others_as_they_stand(demo_model):
    rgb = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    scene = demo_model.encode(rgb)
    texts = ["the mug left of the red ball", "a red mug", "left-handed scissors"]
    read_, plain, whole = demo_model.ground(scene, texts, threshold=0.0)
    assert read_.reading == "mug · left of · red ball"
    assert (plain.reading, whole.reading) == ("", "")
    (literal,) = demo_model.ground(scene, texts[:1], threshold=0.0, language=False)
    assert literal.reading == ""


def test_a_read_text_is_looked_for_by_its_things(demo_model):
    rgb = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    guided = demo_model.encode_for(rgb, ["the mug left of the red ball"])
    assert not guided.encoded.complete
    names = demo_model.encode_for(rgb, ["mug", "red ball"])
    np.testing.assert_array_equal(guided.tokens, names.tokens)

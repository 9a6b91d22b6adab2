import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from textregion_ros.core.boxes import mask_box
from textregion_ros.core.masks import mask_boxes
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.regions.grounding import answer, distinct, mask_overlaps, relevancy


def scene_of(masks, size=(30, 40)):
    masks = np.asarray(masks, np.float16)
    encoded = EncodedFrame(
        image_size=size,
        masks=masks,
        boxes=mask_boxes(masks, size),
        tokens=np.eye(len(masks), 8, dtype=np.float32),
        overlaps=mask_overlaps(torch.from_numpy(masks)).numpy(),
    )
    return Scene(Observation(np.zeros((*size, 3), np.uint8)), encoded)


def square(y, x, side, size=16):
    logits = np.full((size, size), -4.0)
    logits[y : y + side, x : x + side] = 4.0
    return logits


def test_relevancy_is_the_worst_pairwise_softmax():
    rng = np.random.default_rng(0)
    tokens, texts = rng.normal(size=(5, 8)), rng.normal(size=(4, 8))
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    got = relevancy(tokens @ texts[0], tokens @ texts[1:].T, scale=20.0, bias=-3.0)
    pairs = np.exp(20.0 * tokens @ texts.T)
    expected = (pairs[:, :1] / (pairs[:, :1] + pairs[:, 1:])).min(1)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    alone = relevancy(tokens @ texts[0], tokens @ texts[:0].T, scale=20.0, bias=-3.0)
    np.testing.assert_allclose(alone, 1 / (1 + np.exp(3.0 - 20.0 * tokens @ texts[0])), rtol=1e-5)


def test_relevancy_of_extreme_logits_is_finite():
    tokens = np.array([[1.0], [-1.0]], np.float32)
    scores = relevancy(tokens[:, 0], np.zeros((2, 0)), scale=1e6, bias=0.0)
    assert scores.tolist() == [1.0, 0.0]


def test_best_first_with_margins_and_the_union():
    scene = scene_of([square(1, 1, 4), square(9, 9, 4), square(1, 9, 4)])
    found = answer(scene, "cup", np.array([0.6, 0.9, 0.2], np.float32), 0.5, top_k=0)
    assert found.found
    assert [region.id for region in found.regions] == [1, 0]
    assert found.score == pytest.approx(0.9)
    x, y, w, h = found.box
    both = found.regions[0].mask | found.regions[1].mask
    assert mask_box(both) == (x, y, w, h)


@pytest.mark.parametrize("top_k", [0, 2, 3])
def test_the_margin_is_the_score_less_that_of_the_best_other_region(top_k):
    scene = scene_of([square(1, 1, 4), square(9, 9, 4), square(1, 9, 4)])
    found = answer(scene, "cup", np.array([0.6, 0.9, 0.2], np.float32), 0.0, top_k)
    expected = [0.3, -0.3, -0.7][: top_k or None]
    assert [region.margin for region in found.regions] == pytest.approx(expected)


def test_top_k_keeps_the_true_runner_up():
    scene = scene_of([square(1, 1, 4), square(9, 9, 4)])
    (best,) = answer(scene, "cup", np.array([0.6, 0.9]), 0.0, top_k=1).regions
    assert (best.id, best.margin) == (1, pytest.approx(0.3))


def test_the_margin_of_an_only_region_is_its_score():
    twice = scene_of([square(1, 1, 4), square(1, 1, 4)])  # a near-duplicate is no other region
    for scene in (scene_of([square(1, 1, 4)]), twice):
        scores = np.array([0.6, 0.5], np.float32)[: len(scene)]
        (only,) = answer(scene, "cup", scores, 0.0, top_k=0).regions
        assert only.margin == pytest.approx(0.6)


def test_not_found_is_an_answer_with_its_score():
    scene = scene_of([square(1, 1, 4)])
    missed = answer(scene, "cup", np.array([0.4]), 0.5, top_k=1)
    assert (missed.found, missed.regions, missed.box) == (False, (), None)
    assert missed.score == pytest.approx(0.4)
    assert answer(scene, "cup", np.array([0.0]), 0.0, top_k=1).found


def test_near_duplicates_of_a_better_region_are_left_out():
    scene = scene_of([square(2, 2, 8), square(2, 3, 8), square(2, 2, 4)])
    found = answer(scene, "cup", np.array([0.8, 0.9, 0.7]), 0.5, top_k=0)
    assert [region.id for region in found.regions] == [1, 2]


@given(
    arrays(np.float32, st.integers(1, 12), elements=st.floats(0, 1, width=32)), st.integers(0, 5)
)
def test_distinct_falls_and_never_overlaps(scores, count):
    overlaps = np.abs(np.subtract.outer(np.arange(len(scores)), np.arange(len(scores)))) == 1
    chosen = distinct(scores, overlaps.astype(np.float32), count)
    assert scores[chosen[0]] == scores.max()
    assert (np.diff(scores[chosen]) <= 0).all()
    assert not overlaps[np.ix_(chosen, chosen)].any()
    assert len(chosen) <= count or count == 0

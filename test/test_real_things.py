"""The demo profile knows things of photographs by name, and what it was never taught."""

import pytest
import skimage.data

from textregion_ros.regions import load_profile


def best(model, rgb, texts):
    """The best region's score of each text."""
    scene = model.encode(rgb)
    return [answer.score for answer in model.ground(scene, texts, threshold=0)]


@pytest.mark.parametrize(
    ("photograph", "there", "absent"),
    [
        ("chelsea", "cat", ["truck", "dog", "red mug", "boat"]),
        ("coffee", "cup", ["cat", "truck", "bicycle", "green hammer"]),
    ],
)
def test_what_is_there_scores_above_what_is_not(demo_model, photograph, there, absent):
    first, *others = best(demo_model, getattr(skimage.data, photograph)(), [there, *absent])
    assert first > max(others)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("the crimson cup", ()),
        ("two tabby cats", ()),
        ("mug that is red", ()),
        ("laptop computer", ()),
        ("red unicorn", ("unicorn",)),
        ("a person's mug", ("person",)),
    ],
)
def test_words_that_were_never_taught_are_told(demo_model, text, unknown):
    assert demo_model.encoder.text.unknown(text) == unknown


def test_a_large_profile_knows_every_word():
    assert load_profile("clip").vocabulary is None


def test_the_demo_profile_is_calibrated():
    profile = load_profile("demo")
    assert profile.calibration.logit > 0
    assert 0 < profile.threshold < 1

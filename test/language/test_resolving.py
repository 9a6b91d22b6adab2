"""Readings on pictures drawn by hand: boxes with names, whose meaning anybody sees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textregion_ros.language import read
from textregion_ros.language.resolving import resolve
from textregion_ros.space.placement import Layout, Placement

THRESHOLD = 0.5


class Picture:
    """Things by name, place and size in the picture, px, and how likely each has its names."""

    def __init__(self, **things):
        self.names = list(things)
        boxes = [(x, y, *(size or (40, 40))) for x, y, *size in things.values()]
        self.layout = Layout.of([Placement(box) for box in boxes])
        self.unsure = {}

    def scores(self, noun):
        """A name "red_mug_2" is of a red mug, and of a mug."""
        scores = np.full(len(self.names), 0.02)
        for index, name in enumerate(self.names):
            words = [word for word in name.split("_") if not word.isdigit()]
            if set(noun.split()) <= set(words):
                scores[index] = self.unsure.get(name, 0.95)
        return scores

    def resolve(self, sentence, previous=()):
        numbers = [self.names.index(name) for name in previous]
        reading = read(sentence)
        return resolve(reading, self.scores, self.layout, THRESHOLD, previous=numbers)

    def ask(self, sentence, previous=()):
        return {self.names[index] for index in self.resolve(sentence, previous).regions}


@pytest.fixture
def row():
    """Four mugs in a row, a ball between the second and the third, a plate under the fourth."""
    return Picture(
        red_mug_1=(0, 100),
        blue_mug_2=(100, 100),
        red_ball=(200, 100),
        blue_mug_3=(300, 100),
        plate=(380, 110, 80, 40),
        mug_4=(400, 85, 60, 60),
    )


@pytest.mark.parametrize(
    ("sentence", "meant"),
    {
        "the red mug": {"red_mug_1"},
        "the leftmost mug": {"red_mug_1"},
        "the rightmost mug": {"mug_4"},
        "the second mug from the left": {"blue_mug_2"},
        "the second mug from the right": {"blue_mug_3"},
        "the last mug": {"mug_4"},
        "the largest mug": {"mug_4"},
        "the mug on the plate": {"mug_4"},
        "the red mug left of the ball": {"red_mug_1"},
        "the blue mug to the right of the ball": {"blue_mug_3"},
        "the ball between the blue mugs": {"red_ball"},
        "the ball between the red mug and the plate": {"red_ball"},
        "both blue mugs": {"blue_mug_2", "blue_mug_3"},
        "all mugs": {"red_mug_1", "blue_mug_2", "blue_mug_3", "mug_4"},
        "all mugs except the blue ones": {"red_mug_1", "mug_4"},
        "all mugs except the leftmost one": {"blue_mug_2", "blue_mug_3", "mug_4"},
        "the mug that is not blue and not on the plate": {"red_mug_1"},
        "the two leftmost mugs": {"red_mug_1", "blue_mug_2"},
        "the mug closest to the plate": {"mug_4"},
        "the mug farthest from the plate": {"red_mug_1"},
        "the red mug left of the ball between the blue mugs": {"red_mug_1"},
        "the blue mug left of the mug on the plate and right of the ball": {"blue_mug_3"},
        "the ball left of the mug left of the mug on the plate": {"red_ball"},
    }.items(),
)
def test_a_sentence_means(row, sentence, meant):
    answer = row.resolve(sentence)
    assert row.ask(sentence) == meant
    assert answer.found
    assert not answer.ambiguous
    assert answer.missing is None


def test_two_that_are_as_good_are_both_returned(row):
    answer = row.resolve("the mug left of the ball")
    assert row.ask("the mug left of the ball") == {"red_mug_1", "blue_mug_2"}
    assert answer.ambiguous
    assert row.resolve("the mug").ambiguous


def test_ends_that_cannot_be_told_apart_are_ambiguous():
    picture = Picture(mug_1=(100, 0), mug_2=(103, 200), mug_3=(300, 0))
    assert picture.ask("the leftmost mug") == {"mug_1", "mug_2"}
    assert picture.resolve("the leftmost mug").ambiguous
    assert picture.ask("the rightmost mug") == {"mug_3"}


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("the mug left of the bottle", "bottle"),
        ("the mug on the green plate", "green plate"),
        ("the mug left of the ball on the plate", "ball · on · plate"),
        ("the mug left of the ball on the tray", "tray"),
        ("the mug closest to the bottle", "bottle"),
        ("the mug between two balls", "ball · 2"),
        ("the mug between the ball and the bottle", "bottle"),
        ("the mug that is not on the tray", "tray"),
    ],
)
def test_an_anchor_that_is_not_there_is_named(row, sentence, missing):
    answer = row.resolve(sentence)
    assert answer.regions == ()
    assert answer.missing == missing


@pytest.mark.parametrize(
    "sentence",
    [
        "the bottle",
        "the bottle left of the ball",
        "the red mug right of the ball",
        "the fifth mug from the left",
        "both red balls",
        "the three blue mugs",
        "the other ball",
        "the ball that is not red",
    ],
)
def test_what_does_not_hold_is_not_found(row, sentence):
    answer = row.resolve(sentence)
    assert not answer.found
    assert answer.missing is None
    assert answer.parts == ()


def test_the_other_is_not_the_one_spoken_of(row):
    assert row.ask("the other blue mug", previous=["blue_mug_2"]) == {"blue_mug_3"}
    answer = row.resolve("the other blue mug")
    assert answer.ambiguous
    assert len(answer.regions) == 2


def test_more_than_were_counted_are_ambiguous(row):
    answer = row.resolve("the two mugs")
    assert answer.ambiguous
    assert len(answer.regions) == 4


def test_an_uncertain_anchor_does_not_decide_alone():
    picture = Picture(mug_1=(0, 0), ball_1=(100, 0), mug_2=(0, 300), ball_2=(100, 300))
    picture.unsure = {"ball_1": 0.55}
    answer = picture.resolve("the mug left of the ball")
    assert picture.ask("the mug left of the ball") == {"mug_2"}
    assert answer.anchors == (3,)
    picture.unsure = {"ball_1": 0.93}
    assert picture.resolve("the mug left of the ball").ambiguous


def test_the_answer_explains_itself(row):
    answer = row.resolve("the red mug left of the ball between the blue mugs")
    assert [part.text for part in answer.parts] == [
        "red mug",
        "left of",
        "ball",
        "between",
        "blue mug",
        "blue mug",
    ]
    assert [part.region for part in answer.parts] == [0, None, 2, None, 1, 3]
    assert set(answer.anchors) == {1, 2, 3}
    assert all(0 < part.score <= 1 for part in answer.parts)
    assert answer.score == pytest.approx(answer.probabilities[0])
    assert answer.score <= min(part.score for part in answer.parts)


def test_it_says_where_the_picture_stood_in_for_space(row):
    assert row.resolve("the mug on the plate").flat
    assert row.resolve("the nearest mug").flat
    assert not row.resolve("the red mug left of the ball").flat
    assert not row.resolve("the red mug").flat


def test_one_thing_in_two_regions_counts_once():
    picture = Picture(mug_1=(0, 0), mug_2=(2, 1, 40, 44), mug_3=(200, 0))
    assert len(picture.resolve("all mugs").regions) == 2
    assert not picture.resolve("both mugs").ambiguous
    assert picture.ask("the second mug from the left") == {"mug_3"}


def test_probabilities_are_there_where_nothing_is_found(row):
    row.unsure = {"red_mug_1": 0.4}
    answer = row.resolve("the red mug left of the ball")
    assert not answer.found
    assert answer.probabilities.argmax() == 0
    assert 0.2 < answer.score < THRESHOLD


def test_a_scene_without_regions_has_nothing():
    empty = Layout.of([])
    for sentence in ("the mug", "the mug left of the ball", "the largest mug", "both mugs"):
        answer = resolve(read(sentence), lambda noun: np.zeros(0), empty, 0.5)
        assert not answer.found
        assert answer.probabilities.shape == (0,)


def test_wrong_shapes_are_refused(row):
    with pytest.raises(ValueError, match="scores"):
        resolve(read("the mug"), lambda noun: np.zeros(3), row.layout, 0.5)
    with pytest.raises(ValueError, match="overlaps"):
        resolve(read("the mug"), row.scores, row.layout, 0.5, overlaps=np.eye(2))


SENTENCES = [
    "the mug",
    "all mugs left of the ball",
    "the second mug from the right",
    "the mug between the ball and the plate",
    "the spoon between two mugs",
    "the mug closest to the ball on the plate",
    "every mug except the largest one",
    "the other mug",
    "the mug that is not under the plate",
    "the three nearest mugs",
]


@given(
    sentence=st.sampled_from(SENTENCES),
    boxes=st.lists(st.tuples(*[st.integers(0, 200)] * 4), max_size=9),
    seed=st.integers(0, 2**32 - 1),
    threshold=st.floats(0, 1),
)
def test_any_scene_has_an_answer(sentence, boxes, seed, threshold):
    rng = np.random.default_rng(seed)
    nouns = {noun: rng.random(len(boxes)) for noun in read(sentence).noun_phrases()}
    layout = Layout.of([Placement(box) for box in boxes])
    answer = resolve(read(sentence), nouns.__getitem__, layout, threshold)
    again = resolve(read(sentence), nouns.__getitem__, layout, threshold)
    head = nouns[read(sentence).head.text]
    assert answer.regions == again.regions
    assert ((answer.probabilities >= 0) & (answer.probabilities <= head + 1e-12)).all()
    assert all(head[region] >= threshold for region in answer.regions)
    assert all(0 <= part.score <= 1 for part in answer.parts)
    assert len(set(answer.regions)) == len(answer.regions)

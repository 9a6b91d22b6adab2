import numpy as np
import pytest
import supervision as sv

from textregion_ros.drawing import draw
from textregion_ros.regions import Grounding, Region

GREY = np.full((120, 160, 3), 128, np.uint8)


def grounding(text, *boxes):
    regions = []
    for number, (x, y, width, height) in enumerate(boxes):
        mask = np.zeros(GREY.shape[:2], bool)
        mask[y : y + height, x : x + width] = True
        regions.append(Region(number, (x, y, width, height), mask, 0.9, 0.8))
    return Grounding(text, bool(regions), 0.9, tuple(regions), boxes[0] if boxes else None)


def test_a_found_region_is_tinted_and_the_rest_is_left_alone():
    before = GREY.copy()
    drawn = draw(GREY, [grounding("red mug", (40, 60, 30, 20))])
    np.testing.assert_array_equal(GREY, before)
    assert (drawn.shape, drawn.dtype) == (GREY.shape, np.uint8)
    assert (drawn[70, 55] != 128).any()
    np.testing.assert_array_equal(drawn[100:], GREY[100:])


@pytest.mark.parametrize("groundings", [[], [grounding("red mug")]])
def test_nothing_found_draws_nothing(groundings):
    np.testing.assert_array_equal(draw(GREY, groundings), GREY)


def test_a_text_keeps_its_colour_whatever_the_others_find():
    box = (40, 60, 30, 20)
    alone = draw(GREY, [grounding("one"), grounding("two", box)])[70, 55]
    both = draw(GREY, [grounding("one", (100, 60, 30, 20)), grounding("two", box)])[70, 55]
    other = draw(GREY, [grounding("one", box)])[70, 55]
    np.testing.assert_array_equal(alone, both)
    assert (alone != other).any()


def test_colours_are_rgb():
    drawn = draw(GREY, [grounding("one", (40, 60, 30, 20))])[70, 55].astype(int)
    colour = sv.ColorPalette.DEFAULT.by_idx(0).as_rgb()
    assert np.argsort(drawn).tolist() == np.argsort(colour).tolist()
    assert np.ptp(drawn) > 40


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (159, 119, 1, 1), (0, 0, 160, 120)])
def test_regions_at_the_edge(box):
    assert draw(GREY, [grounding("ß é 杯 " * 20, box)]).shape == GREY.shape

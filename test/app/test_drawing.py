import subprocess
import sys

import cv2
import numpy as np
import pytest

from textregion_ros.app.drawing import bright, draw
from textregion_ros.core.results import Grounding, Region

GREY = np.full((240, 320, 3), 128, np.uint8)


def grounding(text, *boxes, masks=True):
    """The answer of one text: a full rectangle in each box."""
    regions = tuple(
        Region(number, box, np.ones(box[::-1][:2] if masks else (0, 0), bool), (240, 320), 0.9, 0.8)
        for number, box in enumerate(boxes)
    )
    return Grounding(text, bool(regions), 0.93, regions, boxes[0] if boxes else None)


def plates(drawn):
    """The boxes x y w h of the labels, by the dark plates they are written on."""
    dark = (drawn == 24).all(2).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((1, 25), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(dark)
    return [tuple(row[:4].tolist()) for row in stats[1:] if row[4] > 200]


def test_a_thing_keeps_its_colour_and_gets_an_outline():
    red = GREY.copy()
    red[120:180, 80:160] = (200, 30, 30)
    before = red.copy()
    drawn = draw(red, [grounding("red mug", (80, 120, 80, 60))])
    np.testing.assert_array_equal(red, before)
    assert (drawn.shape, drawn.dtype) == (red.shape, np.uint8)
    np.testing.assert_array_equal(drawn[128:172, 88:152], red[128:172, 88:152])
    np.testing.assert_array_equal(drawn[190:], red[190:])
    np.testing.assert_array_equal(drawn[150, 80], bright(0))
    assert (drawn[150, 76:84] == 0).all(1).any()  # the halo


def test_an_outline_follows_the_mask_and_its_holes():
    crop = np.zeros((60, 80), bool)
    crop[:, :20] = crop[:20] = crop[40:] = True
    crop[:, 60:] = True
    region = Region(0, (80, 120, 80, 60), crop, (240, 320), 0.9, 0.8)
    drawn = draw(GREY, [Grounding("ring", True, 0.9, (region,), region.box)])
    assert (drawn[138:142, 120] == bright(0)).all(1).any()  # the upper border of the hole
    np.testing.assert_array_equal(drawn[150, 120], GREY[0, 0])


def test_an_answer_without_masks_is_drawn_by_its_box():
    box = (80, 120, 80, 60)
    np.testing.assert_array_equal(
        draw(GREY, [grounding("mug", box, masks=False)]), draw(GREY, [grounding("mug", box)])
    )


def test_nothing_asked_draws_nothing():
    np.testing.assert_array_equal(draw(GREY, []), GREY)


def test_what_was_not_found_is_written():
    missing = Grounding("black hammer", False, 0.02)
    drawn = draw(GREY, [missing])
    assert len(plates(drawn)) == 1
    unlike = draw(GREY, [Grounding("black hammer", False, 0.52)])
    assert (drawn != unlike).any()  # the score is
    unknown = draw(GREY, [Grounding("black hammer", False, 0.0, unknown=("hammer",))])
    assert plates(unknown)[0][2] > plates(drawn)[0][2]


def white(drawn):
    """How many pixels of letters there are."""
    return int((drawn == 255).all(2).sum())


def test_labels_do_not_collide():
    box = (100, 100, 60, 40)
    answers = [grounding(f"thing number {number}", box) for number in range(6)]
    answers += [Grounding(f"missing {number}", False, 0.1) for number in range(4)]
    together = draw(GREY, answers)
    assert white(together) == sum(white(draw(GREY, [answer])) for answer in answers)
    for number in range(len(answers)):
        assert (together == bright(number)).all(2).sum() >= 20  # its bar


def test_labels_stay_in_the_picture_and_near_their_thing():
    for box in ((0, 0, 30, 20), (290, 0, 30, 20), (0, 220, 30, 20), (290, 220, 30, 20)):
        (plate,) = plates(draw(GREY, [grounding("red mug", box)]))
        x, y, w, h = plate
        assert min(x, y) >= 0
        assert x + w <= 320
        assert y + h <= 240
        assert np.hypot(x + w / 2 - box[0] - 15, y + h / 2 - box[1] - 10) < 80


def test_a_text_keeps_its_colour_whatever_the_others_find():
    box = (80, 120, 80, 60)
    alone = draw(GREY, [grounding("one"), grounding("two", box)])[150, 80]
    both = draw(GREY, [grounding("one", (200, 120, 30, 20)), grounding("two", box)])[150, 80]
    np.testing.assert_array_equal(alone, both)
    np.testing.assert_array_equal(alone, bright(1))
    assert bright(0) != bright(1)
    assert all(max(bright(number)) == 255 for number in range(50))


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (319, 239, 1, 1), (0, 0, 320, 240)])
@pytest.mark.parametrize("text", ["ß é 杯 " * 20, "", "a\x1b[31m\nb"])
def test_regions_at_the_edge_and_odd_texts(box, text):
    assert draw(GREY, [grounding(text, box)]).shape == GREY.shape


@pytest.mark.parametrize("size", [(1, 1), (8, 2000), (2000, 8)])
def test_pictures_of_any_size(size):
    region = Region(0, (0, 0, 1, 1), np.ones((1, 1), bool), size, 0.9, 0.8)
    answers = [Grounding("mug", True, 0.9, (region,), region.box), Grounding("pan", False, 0.1)]
    assert draw(np.zeros((*size, 3), np.uint8), answers).shape == (*size, 3)


def test_drawing_is_light_to_import():
    heavy = "{'supervision', 'matplotlib', 'torch', 'scipy'}"
    code = f"import sys, textregion_ros.app.drawing; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Boxes x y w h."""

import numpy as np
import pytest

from textregion_ros.core.boxes import box_iou, mask_box, union_box
from textregion_ros.core.masks import mask_iou


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        ([0, 0, 4, 4], [0, 0, 4, 4], 1.0),
        ([0, 0, 4, 4], [2, 0, 4, 4], 8 / 24),
        ([0, 0, 4, 4], [4, 0, 4, 4], 0.0),
        ([0, 0, 4, 4], [9, 9, 4, 4], 0.0),
        ([0, 0, 4, 4], [1, 1, 2, 2], 4 / 16),
        ([3, 3, 0, 0], [3, 3, 0, 0], 0.0),
        ([0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5], 1.0),
    ],
)
def test_box_iou(a, b, iou):
    assert box_iou(a, b) == pytest.approx(iou)
    assert box_iou(b, a) == pytest.approx(iou)


def test_boxes_around_boxes_and_masks():
    assert union_box([]) is None
    assert union_box([(1, 2, 3, 4), (0, 5, 2, 2)]) == (0, 2, 4, 5)
    mask = np.zeros((5, 7), bool)
    assert mask_box(mask) == (0, 0, 0, 0)
    mask[1:3, 2:6] = True
    assert mask_box(mask) == (2, 1, 4, 2)


def test_mask_iou():
    a, b = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    assert mask_iou(a, b) == 0.0
    a[:, :2], b[0] = True, True
    assert mask_iou(a, b) == 2 / 6
    assert mask_iou(a, a) == 1.0

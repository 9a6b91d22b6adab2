import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from textregion_ros.core.boxes import box_iou, mask_box, union_box
from textregion_ros.core.masks import cut_mask, mask_boxes, mask_iou, whole_mask

BOX = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 30), st.integers(1, 30))


@examples(60)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_masks_and_boxes_are_those_of_the_resized_logits(side, h, w, seed):
    masks = np.random.default_rng(seed).normal(-1, 1, (4, side, side)).astype(np.float16)
    full = F.interpolate(torch.from_numpy(masks).float()[None], (h, w), mode="bilinear")[0] > 0
    for logits, box, mask in zip(masks, mask_boxes(masks, (h, w)), full.numpy(), strict=True):
        np.testing.assert_array_equal(cut_mask(logits, (h, w), (0, 0, w, h)), mask)
        assert tuple(box) == mask_box(mask)
        crop = cut_mask(logits, (h, w), tuple(box.tolist()))
        np.testing.assert_array_equal(whole_mask(crop, tuple(box.tolist()), (h, w)), mask)


@given(st.lists(BOX, min_size=1, max_size=6))
def test_the_union_holds_every_box_and_touches_them(boxes):
    x, y, w, h = union_box(boxes)
    assert x == min(box[0] for box in boxes)
    assert y == min(box[1] for box in boxes)
    assert x + w == max(box[0] + box[2] for box in boxes)
    assert y + h == max(box[1] + box[3] for box in boxes)


def test_nothing_has_no_union_and_no_boxes():
    assert union_box([]) is None
    assert mask_boxes(np.zeros((0, 4, 4), np.float16), (5, 5)).shape == (0, 4)
    assert mask_box(np.zeros((3, 4), bool)) == (0, 0, 0, 0)


@given(BOX, BOX)
def test_the_iou_of_boxes_is_that_of_their_masks(a, b):
    one, other = (whole_mask(np.ones(box[:1:-1], bool), box, (130, 130)) for box in (a, b))
    assert box_iou(a, b) == pytest.approx(mask_iou(one, other))
    assert box_iou(a, a) == 1.0

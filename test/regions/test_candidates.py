from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from textregion_ros.regions.bilinear import make_taps, sample
from textregion_ros.regions.proposers.candidates import (
    Passed,
    box_ious,
    fuse,
    greedy_groups,
    mask_boxes,
    min_sums,
    passing,
    stability,
    without_strays,
)
from textregion_ros.regions.proposers.prompts import grid
from textregion_ros.regions.settings import ProposalSettings

SETTINGS = ProposalSettings(
    points_per_side=4,
    pred_iou_thresh=0.5,
    stability_thresh=0.5,
    stability_offset=1.0,
    box_nms_thresh=0.9,
    min_mask_size=3,
    fuse_threshold=0.8,
)


def disk(y, x, radius, side=32, height=4.0):
    axis = torch.arange(side)
    distance = ((axis[:, None] - y) ** 2 + (axis - x) ** 2).float().sqrt()
    return ((radius - distance) * height).clamp(-32, 32)


def smooth_masks(count, side, seed):
    noise = torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(seed))
    return (6 * torch.nn.functional.avg_pool2d(noise, 5, 1, 2)[:, 0]).clamp(0, 3)


@examples(40)
@given(st.integers(2, 12), st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**31))
def test_min_sums_are_those_of_the_resized_masks(side, h, w, seed):
    soft = smooth_masks(5, side, seed)
    left, right = torch.triu_indices(5, 5, 1)
    rows, columns = make_taps(side, h), make_taps(side, w)
    full = sample(soft, rows, columns)
    expected = torch.minimum(full[left], full[right]).sum((1, 2))
    got = min_sums(soft, mask_boxes(soft > 0), left, right, rows, columns)
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)


def naive_groups(passed, size, settings):
    """The definition, on full-size masks."""
    soft = passed.logits.float().clamp(0, 3)
    full = sample(soft, *(make_taps(soft.shape[-1], side) for side in size))
    near, groups, count = box_ious(passed.boxes), [-1] * len(full), 0
    for i in range(len(full)):
        if groups[i] >= 0 or full[i].sum() == 0:
            continue
        groups[i], seed, count = count, full[i], count + 1
        for j in range(i + 1, len(full)):
            shared = torch.minimum(seed, full[j]).sum() / torch.minimum(seed.sum(), full[j].sum())
            if groups[j] < 0 and near[i, j] > 0.2 and shared > settings.fuse_threshold:
                groups[j] = groups[i]
    return groups


@pytest.mark.parametrize("seed", range(5))
def test_fusion_is_the_greedy_definition(seed):
    torch.manual_seed(seed)
    shapes = torch.rand(30, 3) * torch.tensor([24.0, 24.0, 9.0]) + torch.tensor([4.0, 4.0, 2.0])
    logits = torch.stack([disk(*shape) for shape in shapes.tolist()]).half()
    passed = Passed(logits, mask_boxes(logits > 0))
    for size in ((40, 70), (200, 90), (20, 20)):
        groups = fuse(passed, size, SETTINGS).tolist()
        assert groups == naive_groups(passed, size, SETTINGS)
        assert max(groups) < 29  # something was fused


def test_without_fusion_every_mask_is_a_region():
    logits = torch.stack([disk(10, 10, 6), disk(10, 10, 5), torch.full((32, 32), -5.0)]).half()
    passed = Passed(logits, mask_boxes(logits > 0))
    assert fuse(passed, (64, 64), SETTINGS).tolist() == [0, 0, -1]
    apart = replace(SETTINGS, fuse_threshold=None)
    assert fuse(passed, (64, 64), apart).tolist() == [0, 1, -1]


def test_partners_already_taken_stay_taken():
    assert greedy_groups([True, True, True, True], [[2], [2, 3], [], []]) == [0, 1, 0, 1]
    assert greedy_groups([False, True], [[1], []]) == [-1, 0]


def test_wholes_come_first_and_the_filters_hold():
    small, large, blurred = disk(8, 8, 3), disk(20, 20, 8), disk(20, 20, 8, height=0.1)
    logits = torch.stack([small, large, torch.full((32, 32), -9.0)])[None].repeat(3, 1, 1, 1)
    logits[1] = torch.stack([blurred, disk(8, 24, 4), disk(24, 8, 5)])
    logits[2] = torch.stack([disk(8, 8, 0.9), disk(2, 2, 1.5), disk(30, 2, 2)])
    ious = torch.tensor([[0.9, 0.8, 0.99], [0.95, 0.4, 0.6], [0.9, 0.9, 0.55]])
    kept = passing(logits, ious, SETTINGS)
    expected = [disk(24, 8, 5), disk(30, 2, 2), disk(2, 2, 1.5), large, small]
    torch.testing.assert_close(kept.logits.float(), torch.stack(expected), atol=0.02, rtol=1e-3)
    assert kept.boxes[4].tolist() == [6.0, 6.0, 10.0, 10.0]


def test_strays_are_taken_out_of_masks_and_boxes():
    blob, speck = disk(10, 10, 5), disk(28, 28, 2)
    logits = torch.stack([torch.maximum(blob, speck), blob, disk(24, 8, 4)])[None]
    ious = torch.tensor([[0.9, 0.3, 0.3]])
    assert passing(logits, ious, SETTINGS).boxes.tolist() == [[6, 6, 29, 29]]
    kept = passing(logits, ious, replace(SETTINGS, min_part=0.5))
    assert kept.boxes.tolist() == [[6, 6, 14, 14]]
    torch.testing.assert_close((kept.logits > 0)[0], blob > 0)
    small = replace(SETTINGS, min_part=0.1)  # the speck has a tenth of the blob
    assert passing(logits, ious, small).boxes.tolist() == [[6, 6, 29, 29]]


@examples(50)
@given(st.floats(0, 1), st.floats(0.2, 0.8), st.integers(0, 2**31))
def test_every_part_that_is_left_is_large_enough(share, filled, seed):
    logits = torch.rand(3, 9, 13, generator=torch.Generator().manual_seed(seed)) - 1 + filled
    kept = without_strays(logits, mask_boxes(logits > 0), share)
    torch.testing.assert_close(kept.abs(), logits.abs())
    for before, after in zip((logits > 0).numpy(), (kept > 0).numpy(), strict=True):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(before.astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        expected = 1 + np.flatnonzero(areas >= share * areas.max(initial=0))
        np.testing.assert_array_equal(after, np.isin(labels, expected))


@pytest.mark.parametrize("part", [0.0, 0.5])
@pytest.mark.parametrize("prompts", [0, 2])
def test_nothing_left_is_an_empty_answer(prompts, part):
    logits = torch.full((prompts, 3, 16, 16), -5.0)
    kept = passing(logits, torch.ones(prompts, 3), replace(SETTINGS, min_part=part))
    assert kept.logits.shape == (0, 16, 16)
    assert fuse(kept, (30, 40), SETTINGS).shape == (0,)


def test_stability_is_the_ratio_of_two_areas():
    logits = torch.tensor([[[2.0, 2.0], [0.0, -2.0]]]).half()
    assert stability(logits, 1.0).tolist() == pytest.approx([2 / 3])


@examples(50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_boxes_hold_exactly_their_masks(h, w, seed):
    masks = torch.rand(3, h, w, generator=torch.Generator().manual_seed(seed)) > 0.9
    for mask, (x0, y0, x1, y1) in zip(masks, mask_boxes(masks).int().tolist(), strict=True):
        if not mask.any():
            assert (x0, y0, x1, y1) == (0, 0, 0, 0)
            continue
        inside = mask[y0 : y1 + 1, x0 : x1 + 1]
        assert inside.sum() == mask.sum()
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_chunks_of_prompts_give_the_same_masks(model):
    proposer, points = model.proposer, 128 * grid(6, torch.device("cpu"))
    with torch.inference_mode():
        features = proposer.prepare(torch.rand(3, 100, 160))
        logits, ious = proposer.point_masks(features, points, 0.0)
        in_parts = replace(proposer.point_masks, chunk=5)(features, points, 0.0)
    assert logits.shape == (36, 3, 32, 32)
    torch.testing.assert_close(in_parts[0], logits, atol=2e-2, rtol=2e-3)
    torch.testing.assert_close(in_parts[1], ious)


def test_prompts_go_row_by_row():
    points = grid(6, torch.device("cpu"))
    assert points.shape == (36, 2)
    assert points[1].tolist() == pytest.approx([1.5 / 6, 0.5 / 6])
    assert points[6].tolist() == pytest.approx([0.5 / 6, 1.5 / 6])

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textregion_ros.regions.encoders import views

SIDE = st.integers(1, 4000)


@given(SIDE, SIDE)
def test_the_rescaled_size_fits_and_keeps_the_aspect(h, w):
    height, width = views.rescaled_size(h, w, (2016, 672))
    assert 1 <= min(height, width) <= 672
    assert max(height, width) <= 2016
    factor = min(2016 / max(h, w), 672 / min(h, w))
    assert abs(height - h * factor) <= 1
    assert abs(width - w * factor) <= 1


@pytest.mark.parametrize(
    ("size", "rescaled", "counts"),
    [
        ((480, 640), (672, 896), (2, 2)),
        ((720, 1280), (672, 1195), (2, 3)),
        ((1080, 1920), (672, 1195), (2, 3)),
    ],
)
def test_the_sizes_of_the_method(size, rescaled, counts):
    assert views.rescaled_size(*size, (2016, 672)) == rescaled
    assert views.window_counts(*rescaled, 336) == counts


@given(st.integers(1, 900), st.integers(1, 900), st.integers(40, 300))
def test_windows_are_equal_inside_and_cover_the_image(h, w, crop):
    rows, columns = views.window_counts(h, w, crop)
    windows = views.windows(h, w, crop)
    assert len(windows) == rows * columns
    covered = np.zeros((h, w), bool)
    for y, x in windows:
        assert 0 <= y.start < y.stop <= h
        assert 0 <= x.start < x.stop <= w
        assert (y.stop - y.start, x.stop - x.start) == (math.ceil(h / rows), math.ceil(w / columns))
        covered[y, x] = True
    assert covered.all()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (130, 200), (64, 64)])
def test_every_view_is_a_crop(size):
    image = torch.rand(3, *size)
    rows, columns = views.window_counts(*size, 64)
    stack = views.multi_resolution_views(image, 64, "bicubic")
    assert stack.shape == (1 + rows * columns, 3, 64, 64)
    assert torch.isfinite(stack).all()


def test_merging_puts_every_window_in_its_place():
    dim, counts = 3, (2, 3)
    values = torch.zeros(7, 4, dim)
    for view in range(1, 7):
        values[view] = torch.arange(4.0)[:, None] + 10 * view
    grid = views.merge_views(values, counts, global_weight=0.5)
    assert grid.shape == (4, 6, dim)
    assert grid[2:, 4:, 0].tolist() == [[60.0, 61.0], [62.0, 63.0]]
    assert grid[:2, 2:4, 0].tolist() == [[20.0, 21.0], [22.0, 23.0]]


def test_the_whole_view_is_weighted_and_a_single_one_is_not():
    whole = torch.ones(1, 4, 2)
    assert views.merge_views(whole, (1, 1), 0.5).unique().tolist() == [1.0]
    both = torch.cat([whole, torch.zeros(1, 4, 2)])
    assert views.merge_views(both, (1, 1), 0.5).unique().tolist() == [0.5]


def test_the_whole_image_in_two_halves():
    image = torch.rand(3, 130, 201)
    stack = views.multi_resolution_views(image, 64, "bilinear", global_views=2)
    rows, columns = views.window_counts(130, 201, 64)
    assert stack.shape == (2 + rows * columns, 3, 64, 64)
    for part, half in [(stack[0], image[:, :, :100]), (stack[1], image[:, :, 100:])]:
        assert (part.mean((1, 2)) - half.mean((1, 2))).abs().max() < 0.01


def test_each_half_is_spread_over_its_side_of_the_grid():
    values = torch.zeros(2 + 6, 4, 1)
    values[0], values[1] = 1.0, 5.0
    values[2] = 10.0  # the first window
    grid = views.merge_views(values, (2, 3), global_weight=0.5)[..., 0]
    assert grid[2].tolist() == [0.5, 0.5, 0.5, 2.5, 2.5, 2.5]
    assert grid[0].tolist() == [10.5, 10.5, 0.5, 2.5, 2.5, 2.5]

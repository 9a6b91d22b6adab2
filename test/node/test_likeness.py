import math

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from textregion_ros.node.likeness import BLOCKS, blocks, difference

seeds = st.integers(0, 2**31)


@pytest.fixture(scope="module")
def picture():
    return np.ascontiguousarray(skimage.data.astronaut()[16:496])  # 480×512


def differ(first, second):
    return difference(blocks(first), blocks(second))


@examples(60)
@given(st.integers(1, 200), st.integers(1, 200), seeds)
def test_an_image_does_not_differ_from_itself_and_the_order_does_not_matter(h, w, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 256, (2, h, w, 3), dtype=np.uint8)
    assert differ(first, first) == 0
    assert 0 <= differ(first, second) <= 255
    assert differ(first, second) == pytest.approx(differ(second, first), abs=0.01)
    assert max(blocks(first).shape[:2]) <= BLOCKS


@examples(20)
@given(seeds, st.floats(0.0, 5.0))
def test_sensor_noise_counts_little(picture, seed, sigma):
    rng = np.random.default_rng(seed)
    noisy = [picture + rng.normal(0, sigma, picture.shape) for _ in range(2)]
    assert differ(*(part.clip(0, 255).round().astype(np.uint8) for part in noisy)) < 8


@examples(20)
@given(st.tuples(*[st.floats(0.85, 1.0)] * 3))
def test_exposure_and_white_balance_count_little(picture, gains):
    changed = (picture * gains).astype(np.uint8)
    assert differ(picture, changed) < 8
    assert differ(changed, picture) < 8


@examples(40)
@given(st.integers(0, 466), st.integers(0, 498), st.integers(0, 2), seeds)
def test_a_small_object_of_one_colour_is_seen_anywhere(picture, y, x, channel, seed):
    noise = np.random.default_rng(seed).normal(0, 3, picture.shape)
    changed = picture.astype(float)
    patch = changed[y : y + 14, x : x + 14, channel]
    patch += np.where(patch > 127, -60, 60)
    changed = (changed + noise).clip(0, 255).astype(np.uint8)
    assert differ(picture, changed) > 15


def test_a_block_of_hand_computed_size():
    first = np.full((480, 640, 3), 100, np.uint8)
    second = first.copy()
    second[16:24, 32:36] = 150  # half of one block of 8×8 px
    assert blocks(first).shape == (60, 80, 3)
    assert differ(first, second) == 25
    assert differ(first, np.full_like(first, 200)) > 70  # no exposure explains twice the light


def test_other_shapes_are_never_alike():
    wide, tall = np.zeros((480, 640, 3), np.uint8), np.zeros((640, 480, 3), np.uint8)
    assert differ(wide, tall) == math.inf

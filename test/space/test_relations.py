"""Relations and orders: on tabletops whose answers are known, and what always holds of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test.support.block_truth import QUESTIONS
from test.support.relation_figures import outcomes, share
from textregion_ros.space.orders import ORDERS, order
from textregion_ros.space.placement import Layout, Placement
from textregion_ros.space.relations import RELATIONS, measure

SCENES = 100
# What the picture alone tells less well: a far thing looks small, and one on another far.
PERSPECTIVE = {"largest", "smallest", "tallest", "shortest", "nearest", "farthest"}
OPPOSITES = {"left of": "right of", "above": "below"}


@pytest.fixture(scope="module")
def counts():
    return outcomes(SCENES, seed=2024)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_with_depth_each_kind_of_question_is_answered(counts, kind):
    assert counts[kind, True].total() >= 15
    assert share(counts, "right", [kind], True) >= 0.97
    assert share(counts, "wrong", [kind], True) <= 0.01


@pytest.mark.parametrize("kind", sorted(set(QUESTIONS) - PERSPECTIVE))
def test_without_depth_the_picture_answers_too(counts, kind):
    assert share(counts, "right", [kind], False) >= 0.94


@pytest.mark.parametrize("kind", sorted(PERSPECTIVE))
def test_without_depth_what_a_picture_cannot_tell_is_seldom_wrong(counts, kind):
    assert share(counts, "right", [kind], False) >= 0.8
    assert share(counts, "wrong", [kind], False) <= 0.05


def test_without_depth_the_picture_answers_nearly_all(counts):
    assert share(counts, "right", set(QUESTIONS) - PERSPECTIVE, False) >= 0.98
    assert share(counts, "wrong", QUESTIONS, False) <= 0.01


BOXES = st.lists(st.tuples(*[st.integers(0, 300)] * 2, *[st.integers(1, 200)] * 2), min_size=1)
NUMBERS = st.floats(-2, 2)
SOLIDS = st.lists(
    st.tuples(NUMBERS, NUMBERS, st.floats(0.2, 4), *[st.floats(0, 0.5)] * 3), min_size=1, max_size=8
)


def flat_layout(boxes):
    return Layout.of([Placement(box) for box in boxes])


def solid_layout(solids, up=(0, -0.8, -0.6)):
    placements = []
    for x, y, z, *size in solids:
        middle, box = np.array([x, y, z]), (int(100 * x / z), int(100 * y / z), 10, 10)
        placements.append(Placement(box, None, middle, middle, np.array(size)))
    return Layout.of(placements, None if up is None else np.array(up))


def values(name, layout):
    anchors = (layout, layout) if name == "between" else (layout,)
    return measure(name, layout, *anchors)


@settings(deadline=None)
@given(name=st.sampled_from(sorted(RELATIONS)), boxes=BOXES, solids=SOLIDS, known=st.booleans())
def test_values_are_soft_and_finite(name, boxes, solids, known):
    layout = solid_layout(solids) if known else flat_layout(boxes)
    value, flat = values(name, layout)
    assert value.shape == flat.shape == (len(layout),) * value.ndim
    assert ((value >= 0) & (value <= 1)).all()
    assert flat.all() == (not known and RELATIONS[name].solid is not None)


@settings(deadline=None)
@given(name=st.sampled_from(sorted(OPPOSITES)), boxes=BOXES)
def test_opposites_mirror_each_other(name, boxes):
    layout = flat_layout(boxes)
    one, other = values(name, layout)[0], values(OPPOSITES[name], layout)[0]
    assert np.array_equal(one, other.T)
    assert (np.minimum(one, other) == 0).all()


@settings(deadline=None)
@given(boxes=BOXES, move=st.tuples(st.integers(0, 500), st.integers(0, 500)))
def test_where_the_picture_is_cut_changes_nothing(boxes, move):
    moved = [(x + move[0], y + move[1], w, h) for x, y, w, h in boxes]
    for name in RELATIONS:
        one, other = values(name, flat_layout(boxes))[0], values(name, flat_layout(moved))[0]
        assert np.allclose(one, other, atol=1e-6)


@settings(deadline=None)
@given(name=st.sampled_from(sorted(ORDERS)), solids=SOLIDS)
def test_orders_are_finite_and_the_same_every_time(name, solids):
    layout = solid_layout(solids)
    numbers, flat = order(name, layout)
    assert numbers.shape == (len(layout),)
    assert np.isfinite(numbers).all()
    assert not flat
    assert np.array_equal(numbers, order(name, layout)[0])


def test_space_is_used_only_where_it_is_known():
    lone = Placement((0, 0, 10, 10))
    placed = Placement(
        (50, 0, 10, 10), None, np.array([0, 0, 1.0]), np.array([0, 0, 1.0]), np.ones(3)
    )
    half = Layout.of([lone, placed], np.array([0, -1.0, 0]))
    assert measure("behind", half, half)[1].tolist() == [[True, True], [True, False]]
    assert order("nearest", half)[1]
    level = Layout.of([placed])
    assert not measure("behind", level, level)[1].any()
    assert measure("on", level, level)[1].all(), "the vertical is not known"


def test_the_mask_says_where_the_middle_is():
    mask = np.zeros((10, 20), bool)
    mask[:, 16:] = True
    layout = Layout.of([Placement((100, 50, 20, 10), mask)])
    assert (layout.u[0], layout.v[0], layout.area[0]) == (118.0, 55.0, 40.0)


def test_an_extent_leaves_stray_points_out():
    points = np.random.default_rng(0).uniform((-0.05, 0, 1), (0.05, 0.1, 1.1), (1000, 3))
    points[::500] = [5.0, 0.0, 1.0]
    layout = Layout.of([Placement((0, 0, 9, 9), None, points.mean(0), None, None, points)])
    assert layout.x1[0] < 0.051


def test_the_camera_may_lie_on_its_side():
    layout = solid_layout([(0, 0, 1.0, 0.1, 0.1, 0.1)], up=(1.0, 0.0, 0.0))
    assert np.isfinite(layout.x).all()
    assert layout.y[0] == pytest.approx(0.0)


@pytest.mark.parametrize("up", [np.zeros(3), np.array([np.nan, 0, 1]), np.ones(2)])
def test_up_is_a_direction(up):
    with pytest.raises(ValueError, match="direction"):
        Layout.of([], up)


def test_a_mask_fits_its_box():
    with pytest.raises(ValueError, match="mask"):
        Layout.of([Placement((0, 0, 4, 3), np.ones((4, 3), bool))])


def test_unknown_names_are_refused():
    layout = flat_layout([(0, 0, 1, 1)])
    with pytest.raises(KeyError):
        measure("astride", layout, layout)
    with pytest.raises(KeyError):
        order("prettiest", layout)

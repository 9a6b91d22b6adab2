from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from textregion_ros.regions.proposers.prompts import lattice, peaks
from textregion_ros.regions.proposers.sam2 import STEPS, Sam2Proposer
from textregion_ros.regions.stopwatch import Stopwatch

SIDE = 32  # of the small SAM2's masks


class World:
    """Point masks that know the answer: the first is the region of a label map at the point."""

    def __init__(self, labels, quality=0.9):
        self.labels, self.quality, self.asked = labels, quality, []

    def __call__(self, features, points, least_iou):
        x, y = (points * (SIDE / 128)).long().T
        self.asked += list(zip(x.tolist(), y.tolist(), strict=True))
        inside = self.labels == self.labels[y, x][:, None, None]
        masks = torch.where(inside, 8.0, -8.0)[:, None].repeat(1, 3, 1, 1)
        masks[:, 1:] = 8.0  # the second and the third hold everything
        return masks.half(), torch.full((len(points), 3), self.quality)


def asked_of(model, world):
    """The masks that the world gave to a proposer that asks adaptively at up to 16×16 points."""
    changes = {"prompts": "adaptive", "points_per_side": 16, "pred_iou_thresh": 0.5}
    settings = replace(model.profile.proposals, **changes, box_nms_thresh=1.0, min_mask_size=0)
    proposer = Sam2Proposer(lambda images: [images], world, settings, side=128)
    features = proposer.prepare(torch.zeros(3, 8, 8))
    candidates = proposer.propose(features, (64, 64), Stopwatch(torch.device("cpu")))
    assert candidates.prompts == len(world.asked)
    assert len(set(world.asked)) == len(world.asked)  # none is asked twice
    return candidates.logits


rectangles = st.lists(st.tuples(*[st.integers(0, SIDE)] * 4), max_size=12)


@examples(40)
@given(rectangles)
def test_every_region_that_the_grid_meets_is_found(model, rectangles):
    labels = torch.zeros(SIDE, SIDE, dtype=torch.long)
    for number, (y0, x0, y1, x1) in enumerate(rectangles, 1):
        labels[min(y0, y1) : max(y0, y1), min(x0, x1) : max(x0, x1)] = number
    world = World(labels)
    logits = asked_of(model, world)
    found = {tuple((mask > 0).flatten().tolist()) for mask in logits}
    grid = labels[1::2, 1::2]  # where the 16×16 points lie
    met = grid.unique()
    regions = {tuple((labels == label).flatten().tolist()) for label in met}
    assert found - {(True,) * SIDE**2} == regions - {(True,) * SIDE**2}
    missed = ~torch.isin(grid, grid[1::2, 1::2])  # by every second point of every second row
    assert len(world.asked) == 64 + missed.sum()


def test_an_unsure_mask_accounts_for_nothing(model):
    world = World(torch.zeros(SIDE, SIDE, dtype=torch.long), quality=0.4)
    asked_of(model, world)
    assert len(world.asked) == 256


@pytest.mark.parametrize("side", [1, 2, 3, 5, 16, 36])
def test_the_lattices_lie_within_the_grid_and_the_last_is_all_of_it(side):
    coarse = [lattice(side, step) for step in (*STEPS, 4)]
    assert all(part.any() for part in coarse)
    assert lattice(side, 1).all()
    points = lattice(side, 4).view(side, side).nonzero().float()
    assert abs(points.mean() - (side - 1) / 2) <= 2


def test_peaks_are_the_highest_maxima_of_each_text():
    relevance = torch.zeros(2, 8, 16)
    relevance[0, 1:4, 2:5] = 5.0  # a thing
    relevance[0, 6, 8] = 9.0  # a speck
    relevance[0, 1, 12] = 8.0  # a lesser one
    relevance[1, 1:4, 2:5] = 2.0
    places = peaks(relevance, 1)
    assert places.tolist() == [[3.5 / 16, 2.5 / 8]]
    more = {tuple(place) for place in (peaks(relevance, 2) * torch.tensor([16, 8])).tolist()}
    assert any(abs(x - 8.5) <= 1 and abs(y - 6.5) <= 1 for x, y in more)
    assert not any(abs(x - 12.5) <= 1 and abs(y - 1.5) <= 1 for x, y in more)


@examples(30)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 30))
def test_there_is_a_peak_for_every_text_and_no_more_than_asked_for(texts, h, w, count):
    relevance = torch.randn(texts, h, w)
    places = peaks(relevance, count)
    assert 1 <= len(places) <= texts * count
    assert ((places > 0) & (places < 1)).all()
    assert len(places.unique(dim=0)) == len(places)

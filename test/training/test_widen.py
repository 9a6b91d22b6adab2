import numpy as np
import torch

from training import data, widen
from training.train_sam2 import POINTS, balanced_loss


def scene(objects):
    """A picture of a table and some bright squares on it."""
    regions = np.full((1, 96, 128), data.FIRST_OBJECT - 1, np.uint8)
    for k in range(objects):
        regions[0, 30:60, 8 + 30 * k : 30 + 30 * k] = data.FIRST_OBJECT + k
    colour = np.stack([60 * regions] * 3, -1).astype(np.uint8)
    return data.PackedScenes(colour, regions, [[]])


def test_tables_of_several_scenes_are_not_taught(monkeypatch):
    monkeypatch.setattr(widen, "SIZES", ((96, 24, 1.0),))
    batch = widen.draw_batch([scene(3), scene(1)], np.random.default_rng(0))
    assert batch.images.shape == (24, 3, 96, 96)
    assert batch.regions.shape == (24, 48, 48)
    assert batch.targets.shape == (24 * POINTS, 3, 48, 48)
    place = (batch.points * 48).long()
    under = batch.regions[batch.owner, place[:, 1], place[:, 0]]
    first = batch.weights[:, 0]
    assert (first[under >= data.FIRST_OBJECT] == 1).all()
    # A whole picture's table is taught, a mosaic's is not.
    assert set(first[under < data.FIRST_OBJECT].tolist()) == {0.0, 1.0}


def test_a_seed_gives_one_batch():
    first, again = (widen.draw_batch([scene(2)], np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)


def test_an_unsure_pixel_counts_the_same_on_either_side_of_an_edge():
    targets = torch.zeros(1, 1, 40, 40)
    targets[..., 18:22, 18:22] = 1
    logits = torch.where(targets > 0, 9.0, -9.0)
    logits[..., 18, 17:19] = 0.0  # one pixel outside, one inside
    logits.requires_grad_()
    slopes = {}
    for loss in (balanced_loss, widen.even_loss):
        (slope,) = torch.autograd.grad(loss(logits, targets, torch.ones(1, 1)), logits)
        slopes[loss] = -slope[0, 0, 18, 18] / slope[0, 0, 18, 17]
    assert slopes[balanced_loss] > 3
    assert slopes[widen.even_loss] < 1.5

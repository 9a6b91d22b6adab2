import numpy as np
import pytest
import torch

from textregion_ros.regions import EncodedFrame, labelling
from textregion_ros.regions.labelling import label_map, paint


@pytest.mark.parametrize("band", [1, 700, 10**9])
def test_painting_in_bands_is_the_plain_sum(monkeypatch, band):
    torch.manual_seed(0)
    masks, logits = torch.rand(5, 23, 31) * 3 - 1, torch.randn(5, 4)
    masks = masks.clamp(min=0) * (torch.rand(1, 23, 31) > 0.2)
    monkeypatch.setattr(labelling, "BAND_VALUES", band)
    labels, confidence, covered = paint(lambda a, b: masks[:, a:b], 23, logits, 50.0)
    summed = torch.einsum("rq,rhw->qhw", logits, masks.clamp(0, 1))
    best = (50 * summed).softmax(0).max(0)
    assert labels[covered].tolist() == best.indices[covered].tolist()
    torch.testing.assert_close(confidence, best.values)
    assert covered.tolist() == (masks > 0).any(0).tolist()


def frame_of(masks, size):
    count = len(masks)
    overlaps = np.eye(count, dtype=np.float32)
    boxes, tokens = np.zeros((count, 4), np.int32), np.zeros((count, 2), np.float32)
    return EncodedFrame(size, np.asarray(masks, np.float16), boxes, tokens, overlaps)


def test_labels_count_from_one_and_zero_is_unknown():
    left = np.full((8, 8), -4.0)
    right = left.copy()
    left[:, :3], right[:, 5:] = 4.0, 4.0
    frame = frame_of([left, right], (16, 32))
    labels = label_map(frame, np.array([[0.9, 0.1], [0.2, 0.3]], np.float32))
    assert labels.dtype == np.int16
    assert labels.shape == (16, 32)
    assert (labels[:, :10] == 1).all()
    assert (labels[:, 15:17] == 0).all()
    assert (labels[:, 22:] == 2).all()


def test_no_region_no_label():
    labels = label_map(frame_of(np.zeros((0, 8, 8)), (4, 5)), np.zeros((0, 3), np.float32))
    assert labels.shape == (4, 5)
    assert not labels.any()

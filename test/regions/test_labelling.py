from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from textregion_ros.regions import BadQuery, BadText, EncodedFrame, TextRegion, labelling
from textregion_ros.regions.labelling import Vocabulary, label_map, paint


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("band", [1, 700, 10**9])
def test_painting_in_bands_is_the_plain_sum(monkeypatch, band, dense):
    torch.manual_seed(0)
    masks, logits = torch.rand(5, 23, 31) * 3 - 1, torch.randn(5, 4)
    masks = masks.clamp(min=0) * (torch.rand(1, 23, 31) > 0.2)
    monkeypatch.setattr(labelling, "BAND_VALUES", band)
    summed = torch.einsum("rq,rhw->qhw", logits, masks.clamp(0, 1))
    uncovered_rows = None
    if dense:
        elsewhere = torch.randn(4, 23, 31)
        summed = torch.where((masks > 0).any(0), summed, elsewhere)
        uncovered_rows = lambda a, b: elsewhere[:, a:b]  # noqa: E731
    labels, confidence, covered = paint(
        lambda a, b: masks[:, a:b], 23, logits, 50.0, uncovered_rows
    )
    best = (50 * summed).softmax(0).max(0)
    seen = torch.ones_like(covered) if dense else covered
    assert labels[seen].tolist() == best.indices[seen].tolist()
    torch.testing.assert_close(confidence, best.values)
    assert covered.tolist() == (masks > 0).any(0).tolist()


def frame_of(masks, size):
    """A frame of 2-dimensional tokens: the first region looks along x, the second along y."""
    count = len(masks)
    overlaps = np.eye(count, dtype=np.float32)
    boxes, tokens = np.zeros((count, 4), np.int32), np.eye(2, dtype=np.float32)[:count]
    return EncodedFrame(size, np.asarray(masks, np.float16), boxes, tokens, overlaps)


def two_sides():
    """A region in the left three and one in the right three of eight columns, 16×32 px."""
    left = np.full((8, 8), -4.0)
    right = left.copy()
    left[:, :3], right[:, 5:] = 4.0, 4.0
    return frame_of([left, right], (16, 32))


LOGITS = torch.tensor([[0.9, 0.1], [0.2, 0.3]])


def test_labels_count_from_one_and_zero_is_unknown():
    labels = label_map(two_sides(), Vocabulary.of(["a", "b"]), LOGITS)
    assert labels.dtype == np.int16
    assert labels.shape == (16, 32)
    assert (labels[:, :10] == 1).all()
    assert (labels[:, 15:17] == 0).all()
    assert (labels[:, 22:] == 2).all()


def test_labels_at_another_size():
    labels = label_map(two_sides(), Vocabulary.of(["a", "b"]), LOGITS, size=(3, 16))
    assert labels.shape == (3, 16)
    assert labels[1].tolist() == [1] * 7 + [0] * 2 + [2] * 7


def test_no_region_no_label():
    empty = frame_of(np.zeros((0, 8, 8)), (4, 5))
    labels = label_map(empty, Vocabulary.of(["a", "b", "c"]), torch.zeros(0, 3))
    assert labels.shape == (4, 5)
    assert not labels.any()


def test_a_vocabulary_gives_every_phrasing_its_class():
    vocabulary = Vocabulary.of(["mug", ("sofa", "couch")], background=["wall", "sky"])
    assert vocabulary.texts == ("wall", "sky", "mug", "sofa", "couch")
    assert vocabulary.labels.tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    "arguments",
    [([],), ("mug",), (["mug", []],), (["mug"], "wall"), (["mug"] * 20, ["wall"] * 32748)],
)
def test_a_vocabulary_that_cannot_be(arguments):
    with pytest.raises(BadText):
        Vocabulary.of(*arguments)


def test_the_best_phrasing_counts_and_not_their_sum():
    # Summed probabilities would give the left side to the second class: two phrasings at 0.30
    # outweigh one at 0.31 ((e^15 + e^15) / e^15.5 = 1.2).
    logits = torch.tensor([[0.31, 0.30, 0.30], [0.10, 0.12, 0.11]])
    labels = label_map(two_sides(), Vocabulary.of(["a", ["b", "c"]]), logits)
    assert labels[0, 0] == 1
    assert labels[0, -1] == 2


def test_background_phrasings_take_the_label_zero():
    logits = torch.tensor([[0.30, 0.31, 0.32], [0.35, 0.31, 0.32]])
    labels = label_map(two_sides(), Vocabulary.of(["mug"], ["sky", "wall"]), logits)
    assert labels[0, 0] == 1
    assert labels[0, -1] == 0


def test_a_pixel_below_the_threshold_has_no_label():
    # 50 · (0.32 − 0.30) = 1: the best class has e / (e + 1) = 0.731 on the left, and 0.5 + ε
    # (50 · 0.002 = 0.1: 0.525) on the right.
    logits = torch.tensor([[0.32, 0.30], [0.300, 0.302]])
    vocabulary = Vocabulary.of(["a", "b"])
    for threshold, sides in [(0.52, (1, 2)), (0.53, (1, 0)), (0.73, (1, 0)), (0.74, (0, 0))]:
        labels = label_map(two_sides(), vocabulary, logits, threshold=threshold)
        assert (labels[0, 0], labels[0, -1]) == sides


def test_the_threshold_is_on_the_softmax_over_every_phrasing():
    # Three equal texts have a third each, whatever classes they belong to.
    logits = torch.full((2, 3), 0.3)
    vocabulary = Vocabulary.of(["mug"], ["sky", "wall"])
    named = Vocabulary.of([["mug", "cup", "beaker"]])
    assert label_map(two_sides(), named, logits, threshold=0.33)[0, 0] == 1
    assert label_map(two_sides(), named, logits, threshold=0.34)[0, 0] == 0
    assert label_map(two_sides(), vocabulary, logits, threshold=0.33)[0, 0] == 0


def test_uncovered_pixels_take_what_their_patches_say():
    # A 1×2 grid over 32 columns: bilinear from (0.1, 0.2) at column 7.5 to (0.3, 0.2) at 23.5; the
    # first logit overtakes the second at column 15.5.
    dense = torch.tensor([[[0.1, 0.2], [0.3, 0.2]]])
    labels = label_map(two_sides(), Vocabulary.of(["a", "b"]), LOGITS, dense, 0.0, False)
    assert labels[0, 14:18].tolist() == [2, 2, 1, 1]
    assert (labels[:, :10] == 1).all()  # the region's own, not the patch's
    assert (labels[:, 22:] == 2).all()


def test_dense_labels_stand_below_the_threshold_too():
    dense = torch.tensor([[[0.1, 0.2], [0.3, 0.2]]])
    labels = label_map(two_sides(), Vocabulary.of(["a", "b"]), LOGITS, dense, 0.7, False)
    assert labels[0, 15:17].tolist() == [0, 0]  # 50 · 0.006 apart


def test_uncovered_pixels_may_be_the_first_text():
    labels = label_map(two_sides(), Vocabulary.of(["a", "b"]), LOGITS, unknown_uncovered=False)
    assert labels[0, 15:17].tolist() == [1, 1]
    with_background = Vocabulary.of(["a"], ["wall"])
    labels = label_map(two_sides(), with_background, LOGITS, unknown_uncovered=False)
    assert labels[0, 15:17].tolist() == [0, 0]


def test_a_frame_keeps_dense_features_only_when_asked(model):
    rgb = np.random.default_rng(3).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    without, scene = model.encode(rgb), model.encode(rgb, dense=True)
    plain, dense = without.encoded, scene.encoded
    assert plain.dense is None
    np.testing.assert_array_equal(plain.tokens, dense.tokens)
    assert dense.dense.shape == (8, 12, 32)  # 128×192 px: 2×3 windows of 4×4 patches
    assert dense.nbytes == plain.nbytes + dense.dense.nbytes
    with pytest.raises(BadQuery, match="dense=True"):
        model.label(without, ["cup"], uncovered="dense")
    labels = model.label(scene, ["cup", "table"], uncovered="dense")
    assert set(np.unique(labels)) <= {1, 2}


def test_an_image_without_regions_has_dense_labels(model):
    def no_masks(features, points, least_iou):
        return torch.zeros(36, 3, 32, 32, dtype=torch.float16), torch.zeros(36, 3)

    proposer = replace(model.proposer, point_masks=no_masks)
    model = TextRegion(model.profile, proposer, model.encoder)
    rgb = np.random.default_rng(3).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    scene = model.encode(rgb, dense=True)
    assert len(scene) == 0
    labels = model.label(scene, ["cup", "table"], uncovered="dense")
    maps = torch.from_numpy(scene.encoded.dense @ model.embed(["cup", "table"]).T)
    maps = maps.permute(2, 0, 1)
    maps = F.interpolate(maps[None], (60, 90), mode="bilinear", align_corners=False)[0]
    assert (labels == maps.argmax(0).numpy() + 1).mean() > 0.999


def test_names_with_phrasings_and_background_through_the_model(model):
    rgb = np.random.default_rng(3).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    frame = model.encode(rgb)
    labels = model.label(frame, ["cup", ("table", "desk")], background=["wall"])
    apart = model.label(frame, ["wall", "cup", "table", "desk"])
    covered = apart > 0
    expected = np.array([0, 0, 1, 2, 2])[apart]
    np.testing.assert_array_equal(labels[covered], expected[covered])
    assert not labels[~covered].any()
    assert (model.label(frame, ["cup"], uncovered="first") == 1).all()
    assert not model.label(frame, ["cup", "table"], threshold=1.0).any()
    with pytest.raises(BadQuery):
        model.label(frame, ["cup"], threshold=1.5)
    with pytest.raises(BadText):
        model.label(frame, ["cup", ["", "table"]])


def test_only_clip_has_dense_features(demo_model):
    with pytest.raises(BadQuery, match="no dense features"):
        demo_model.encode(np.zeros((8, 8, 3), np.uint8), dense=True)

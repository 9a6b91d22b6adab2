from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from textregion_ros.regions import BadImage, BadQuery, BadText
from textregion_ros.regions.grounding import mask_box

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")
STAGES = ["preprocess", "sam_encoder", "sam_decoder", "filter", "fuse", "views", "tokens", "boxes"]


def blobs(proposer):
    """Masks as a trained model gives them: round, of three sizes, about each point."""
    points = proposer.points() / proposer.sam2.image_size * 32
    axis = torch.arange(32.0)
    distance = (axis[:, None, None] - points[:, 1]) ** 2 + (axis[:, None] - points[:, 0]) ** 2
    distance = distance.sqrt().permute(2, 0, 1)[:, None]
    logits = 2.0 * (torch.tensor([3.0, 4.0, 5.0])[:, None, None] - distance)
    ious = torch.linspace(0.5, 0.9, len(points))[:, None].repeat(1, 3)
    return logits.half(), ious


@pytest.fixture
def seeing(model, monkeypatch):
    """The small model, its untrained mask decoder replaced by blobs."""
    monkeypatch.setattr(model.proposer, "masks", lambda features: blobs(model.proposer))
    return model


@pytest.fixture
def frame(seeing):
    return seeing.encode(skimage.data.coffee())


@pytest.mark.parametrize("photo", PHOTOS)
def test_real_photographs_through_the_untrained_models(model, photo):
    rgb = np.ascontiguousarray(getattr(skimage.data, photo)()[..., :3])
    frame = model.encode(rgb)
    assert frame.image_size == rgb.shape[:2]
    assert len(frame.tokens) >= 1
    np.testing.assert_allclose(np.linalg.norm(frame.tokens, axis=1), 1.0, atol=1e-5)
    (answer,) = model.ground(frame, ["a cup"], threshold=0)
    assert answer.found
    assert answer.regions[0].mask.shape == rgb.shape[:2]
    labels = model.label(frame, ["cup", "table"])
    assert labels.shape == rgb.shape[:2]
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert (labels > 0).any()


def test_a_frame_holds_what_it_says(frame, seeing):
    count = len(frame.tokens)
    assert count > 5
    assert frame.masks.shape == (count, 32, 32)
    assert frame.masks.dtype == np.float16
    assert frame.boxes.shape == (count, 4)
    assert frame.boxes.dtype == np.int32
    assert frame.tokens.shape == (count, 32)
    assert frame.tokens.dtype == np.float32
    assert frame.overlaps.shape == (count, count)
    assert frame.overlaps.diagonal().tolist() == [1.0] * count
    assert frame.encoder == seeing.identity
    assert list(frame.stage_ms) == STAGES
    assert frame.nbytes == count * (32 * 32 * 2 + 4 * 4 + 32 * 4 + count * 4)
    assert (frame.masks < -1).any()  # unclamped


def test_the_same_image_gives_the_same_frame(frame, seeing):
    again = seeing.encode(skimage.data.coffee())
    np.testing.assert_array_equal(again.tokens, frame.tokens)
    np.testing.assert_array_equal(again.masks, frame.masks)


def test_boxes_and_masks_agree_in_camera_pixels(frame, seeing):
    for answer in seeing.ground(frame, ["a cup", "a spoon"], threshold=0, top_k=0):
        assert answer.regions
        for region in answer.regions:
            assert region.box == mask_box(region.mask)
            assert region.box == tuple(frame.boxes[region.id])
            assert region.mask.dtype == bool


def test_answers_come_in_the_order_asked(frame, seeing):
    texts = ["a spoon", "a cup", "a spoon"]
    answers = seeing.ground(frame, texts, threshold=0)
    assert [answer.text for answer in answers] == texts
    assert answers[0].score == answers[2].score
    assert [len(answer.regions) for answer in answers] == [1, 1, 1]


def test_one_by_one_is_as_all_together(frame, seeing):
    together = seeing.ground(frame, ["a spoon", "a cup"], negatives=["dog"], threshold=0)
    alone = seeing.ground(frame, ["a cup"], negatives=["dog"], threshold=0)
    assert together[1].score == pytest.approx(alone[0].score, abs=1e-6)


def test_a_negative_can_only_lower_the_score(frame, seeing):
    (plain,) = seeing.ground(frame, ["a cup"])
    (against,) = seeing.ground(frame, ["a cup"], negatives=["a mug", "coffee", "a bowl"])
    assert against.score <= plain.score


def test_a_text_is_not_its_own_negative(frame, seeing):
    (plain,) = seeing.ground(frame, ["a cup"])
    (same,) = seeing.ground(frame, ["a cup"], negatives=["A cup "])
    assert same.score == pytest.approx(plain.score, abs=1e-6)


def test_without_any_negative_the_score_is_the_scaled_cosine(frame, seeing, monkeypatch):
    monkeypatch.setattr(seeing, "profile", replace(seeing.profile, negatives=()))
    (answer,) = seeing.ground(frame, ["a cup"])
    cosine = (frame.tokens @ seeing.encoder.text(["a cup"])[0]).max()
    assert answer.score == pytest.approx(1 / (1 + np.exp(-10.0 * cosine)), abs=1e-5)


def test_the_profiles_threshold_decides_unless_another_is_given(frame, seeing):
    (answer,) = seeing.ground(frame, ["a cup"])
    assert answer.found == (answer.score >= seeing.profile.threshold)
    assert not seeing.ground(frame, ["a cup"], threshold=1.0)[0].found
    assert seeing.ground(frame, ["a cup"], threshold=0.0)[0].found


def nothing(proposer):
    logits, ious = blobs(proposer)
    return logits, torch.zeros_like(ious)


def test_no_region_is_an_empty_answer(model, monkeypatch):
    monkeypatch.setattr(model.proposer, "masks", lambda features: nothing(model.proposer))
    frame = model.encode(skimage.data.coffee())
    assert frame.masks.shape == (0, 32, 32)
    assert frame.tokens.shape == (0, 32)
    assert frame.boxes.shape == (0, 4)
    (answer,) = model.ground(frame, ["a cup"], threshold=0)
    assert (answer.found, answer.score, answer.regions, answer.box) == (False, 0.0, (), None)
    assert not model.label(frame, ["cup"]).any()
    with pytest.raises(BadText):
        model.ground(frame, [" "])


def test_every_region_removed_is_an_empty_answer(seeing, monkeypatch):
    encoder = replace(seeing.profile.encoder, global_patch_threshold=2.0)
    monkeypatch.setattr(seeing, "profile", replace(seeing.profile, encoder=encoder))
    frame = seeing.encode(skimage.data.coffee())
    assert frame.tokens.shape == (0, 32)
    assert not seeing.ground(frame, ["a cup"])[0].found


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (1, 30_000), (900, 16)])
def test_images_of_any_size(seeing, size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    frame = seeing.encode(rgb)
    assert frame.image_size == size
    x, y, w, h = frame.boxes.T
    assert (w >= 1).all()
    assert (h >= 1).all()
    assert (x + w <= size[1]).all()
    assert (y + h <= size[0]).all()
    assert seeing.label(frame, ["cup"]).shape == size


def test_arrays_that_are_views_of_others(seeing, frame):
    bgr = skimage.data.coffee()[..., ::-1].copy()
    np.testing.assert_array_equal(seeing.encode(bgr[..., ::-1]).tokens, frame.tokens)


BAD_IMAGES = [
    np.zeros((0, 5, 3), np.uint8),
    np.zeros((5, 0, 3), np.uint8),
    np.zeros((5, 5), np.uint8),
    np.zeros((5, 5, 4), np.uint8),
    np.zeros((5, 5, 3), np.float32),
    [[0, 0, 0]],
    None,
]


@pytest.mark.parametrize("image", BAD_IMAGES, ids=lambda i: str(getattr(i, "shape", i)))
def test_what_is_no_image_is_refused(model, image):
    with pytest.raises(BadImage):
        model.encode(image)


def test_bad_questions(frame, seeing):
    for texts in ([], [""], "a cup", ["a cup " * 40]):
        with pytest.raises(BadText):
            seeing.ground(frame, texts)
        with pytest.raises(BadText):
            seeing.label(frame, texts)
    with pytest.raises(BadText):
        seeing.ground(frame, ["a cup"], negatives=[" "])
    with pytest.raises(BadQuery):
        seeing.ground(frame, ["a cup"], threshold=1.5)
    with pytest.raises(BadQuery):
        seeing.ground(frame, ["a cup"], top_k=-1)
    with pytest.raises(BadQuery, match="encoded by"):
        seeing.ground(replace(frame, encoder="another"), ["a cup"])


def test_the_whole_image_squashed_is_one_view(seeing, monkeypatch):
    encoder = replace(seeing.profile.encoder, resize_method="resize")
    monkeypatch.setattr(seeing, "profile", replace(seeing.profile, encoder=encoder))
    frame = seeing.encode(skimage.data.coffee())
    assert frame.image_size == (400, 600)
    assert len(frame.tokens) > 1

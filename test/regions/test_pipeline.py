from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from textregion_ros.regions import BadImage, BadQuery, BadText, TextRegion
from textregion_ros.regions.extraction import Stopwatch
from textregion_ros.regions.grounding import mask_box, relevancy

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")
STAGES = ["preprocess", "sam_encoder", "views", "sam_decoder", "filter", "fuse", "tokens", "boxes"]


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
    assert answers[0].score == pytest.approx(answers[2].score, abs=1e-6)
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


def with_encoder(model, **changes):
    """The model as a profile with other encoder settings makes it, seeing blobs."""
    profile = replace(model.profile, encoder=replace(model.profile.encoder, **changes))
    other = TextRegion(profile, model.proposer.sam2, model.encoder)
    other.proposer.masks = lambda features: blobs(other.proposer)
    return other


def test_every_region_removed_is_an_empty_answer(model):
    seeing = with_encoder(model, global_patch_threshold=2.0)
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


def test_the_whole_image_squashed_is_one_view(model):
    frame = with_encoder(model, resize_method="resize").encode(skimage.data.coffee())
    assert frame.image_size == (400, 600)
    assert len(frame.tokens) > 1


def test_what_a_text_speaks_of_comes_first_and_the_rest_when_asked(model):
    picture = skimage.data.coffee()
    some = model.encode_for(picture, ["a cup", "a spoon"], negatives=["dog"])
    assert not some.complete
    assert 0 < some.prompts <= 2 * model.profile.proposals.guided_points
    assert "peaks" in some.stage_ms
    answers = model.ground(some, ["a cup", "a spoon"], negatives=["dog"], threshold=0)
    assert all(answer.found for answer in answers)
    whole, encoded = model.complete(some), model.encode(picture)
    assert whole.complete
    assert whole.prompts == encoded.prompts == 36
    assert "sam_encoder" not in whole.stage_ms  # the encoders did not run again
    np.testing.assert_array_equal(whole.masks, encoded.masks)
    np.testing.assert_array_equal(whole.tokens, encoded.tokens)
    assert model.complete(whole) is whole
    again = model.look_for(some, ["a spoon", "a cup"], negatives=["dog"])
    np.testing.assert_array_equal(again.tokens, some.tokens)
    assert model.look_for(whole, ["a cup"]) is whole
    assert some.nbytes > whole.nbytes  # it counts what it keeps for later


def test_a_guided_frame_refuses_what_others_refuse(model):
    with pytest.raises(BadText):
        model.encode_for(skimage.data.coffee(), [" "])
    with pytest.raises(BadImage):
        model.encode_for(np.zeros((4, 4), np.uint8), ["a cup"])
    some = model.encode_for(skimage.data.coffee(), ["a cup"])
    with pytest.raises(BadQuery, match="encoded by"):
        model.complete(replace(some, encoder="another"))


@torch.inference_mode()
def test_patches_are_scored_in_the_order_of_regions(model):
    watch = Stopwatch(model.device)
    values = model._extractor.features(skimage.data.coffee(), False, watch).values
    texts, against = ["a cup", "object"], ["object", "things"]
    scores = model._patch_scores(values, texts, against).flatten(1)
    for index, text in enumerate(texts):
        unit = torch.nn.functional.normalize(values, dim=-1).flatten(0, 1)  # as CLIP's tokens here
        tokens = model.encoder.vision.pool(unit, torch.eye(len(unit)))
        others = [other for other in against if other != text]
        vectors = model.encoder.text([text, *others])
        cosines = torch.nn.functional.normalize(tokens, dim=-1).numpy() @ vectors.T
        scale, bias = model.encoder.score_scale, model.encoder.score_bias
        expected = relevancy(cosines[:, 0], cosines[:, 1:], scale, bias)
        scaled = torch.sigmoid(scale * scores[index])
        np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-5)


class CountOps(TorchDispatchMode):
    """Which operators run, and how often."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls[str(function)] += 1
        return function(*args, **(kwargs or {}))


@torch.inference_mode()
def test_work_on_the_device_takes_no_step_region_by_region(model):
    """A device that waits for the host once per region would show as more calls."""
    watch = Stopwatch(model.device)
    features = model._extractor.features(skimage.data.coffee(), False, watch)
    logits, ious = blobs(model.proposer)
    regions, calls = [], []
    for prompts in (8, 36):
        with CountOps() as ops:
            masks, _ = model._extractor._regions(
                features, (logits[:prompts], ious[:prompts]), watch
            )
        regions.append(len(masks))
        calls.append(ops.calls)
    assert regions[1] > 3 * regions[0] > 3
    waiting = "aten._local_scalar_dense.default"
    assert calls[0][waiting] == calls[1][waiting]
    assert calls[1].total() <= calls[0].total() + 40  # one more size of window at the most

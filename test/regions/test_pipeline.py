from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from textregion_ros.core.boxes import mask_box
from textregion_ros.core.scene import Scene
from textregion_ros.regions import BadImage, BadQuery, BadText, ImageHeader, Intrinsics, TextRegion
from textregion_ros.regions.extraction import prepare, regions_of
from textregion_ros.regions.grounding import patch_scores, relevancy
from textregion_ros.regions.stopwatch import Stopwatch

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")
STAGES = ["preprocess", "sam_encoder", "views", "sam_decoder", "filter", "fuse", "tokens", "boxes"]


def blobs(features, points, least_iou):
    """Masks as a trained model gives them: round, of three sizes, about each point."""
    points = points / 128 * 32
    axis = torch.arange(32.0)
    distance = (axis[:, None, None] - points[:, 1]) ** 2 + (axis[:, None] - points[:, 0]) ** 2
    distance = distance.sqrt().permute(2, 0, 1)[:, None]
    logits = 2.0 * (torch.tensor([3.0, 4.0, 5.0])[:, None, None] - distance)
    ious = torch.linspace(0.5, 0.9, len(points))[:, None].repeat(1, 3)
    return logits.half(), ious


def with_masks(model, point_masks, **encoder):
    """The model with another mask decoder, and with other settings of its encoder."""
    settings = replace(model.profile.encoder, **encoder)
    profile = replace(model.profile, encoder=settings)
    proposer = replace(model.proposer, point_masks=point_masks)
    return TextRegion(profile, proposer, replace(model.encoder, settings=settings))


@pytest.fixture(scope="module")
def seeing(model):
    """The small model, its untrained mask decoder replaced by blobs."""
    return with_masks(model, blobs)


@pytest.fixture(scope="module")
def scene(seeing):
    return seeing.encode(skimage.data.coffee(), header=ImageHeader("left", 5, "optical"))


@pytest.fixture(scope="module")
def frame(scene):
    return scene.encoded


@pytest.mark.parametrize("photo", PHOTOS)
def test_real_photographs_through_the_untrained_models(model, photo):
    rgb = np.ascontiguousarray(getattr(skimage.data, photo)()[..., :3])
    scene = model.encode(rgb)
    assert scene.image_size == rgb.shape[:2]
    assert len(scene) >= 1
    np.testing.assert_allclose(np.linalg.norm(scene.tokens, axis=1), 1.0, atol=1e-5)
    (answer,) = model.ground(scene, ["a cup"], threshold=0)
    assert answer.found
    assert answer.regions[0].mask.shape == rgb.shape[:2]
    labels = model.label(scene, ["cup", "table"])
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


def test_a_scene_and_its_answers_bear_the_name_of_their_image(scene, seeing):
    assert scene.observation.header == ImageHeader("left", 5, "optical")
    np.testing.assert_array_equal(scene.observation.rgb, skimage.data.coffee())
    for answer in seeing.ground(scene, ["a cup", "a spoon"]):
        assert answer.image == ImageHeader("left", 5, "optical")


def test_answers_of_one_region_share_its_mask(scene, seeing):
    first, second = seeing.ground(scene, ["a cup", "a cup"], threshold=0)
    assert first.best.crop is second.best.crop is scene.crop(first.best.id)
    assert scene.shape(first.best.id) is first.best.pose is None  # no depth


def test_the_same_image_gives_the_same_frame(frame, seeing):
    again = seeing.encode(skimage.data.coffee()).encoded
    np.testing.assert_array_equal(again.tokens, frame.tokens)
    np.testing.assert_array_equal(again.masks, frame.masks)


def test_boxes_and_masks_agree_in_camera_pixels(scene, frame, seeing):
    for answer in seeing.ground(scene, ["a cup", "a spoon"], threshold=0, top_k=0):
        assert answer.regions
        for region in answer.regions:
            assert region.box == mask_box(region.mask)
            assert region.box == tuple(frame.boxes[region.id])
            assert region.mask.dtype == bool


def test_answers_come_in_the_order_asked(scene, seeing):
    texts = ["a spoon", "a cup", "a spoon"]
    answers = seeing.ground(scene, texts, threshold=0)
    assert [answer.text for answer in answers] == texts
    assert answers[0].score == pytest.approx(answers[2].score, abs=1e-6)
    assert [len(answer.regions) for answer in answers] == [1, 1, 1]


def test_one_by_one_is_as_all_together(scene, seeing):
    together = seeing.ground(scene, ["a spoon", "a cup"], negatives=["dog"], threshold=0)
    alone = seeing.ground(scene, ["a cup"], negatives=["dog"], threshold=0)
    assert together[1].score == pytest.approx(alone[0].score, abs=1e-6)


def test_a_negative_can_only_lower_the_score(scene, seeing):
    (plain,) = seeing.ground(scene, ["a cup"])
    (against,) = seeing.ground(scene, ["a cup"], negatives=["a mug", "coffee", "a bowl"])
    assert against.score <= plain.score


def test_a_text_is_not_its_own_negative(scene, seeing):
    (plain,) = seeing.ground(scene, ["a cup"])
    (same,) = seeing.ground(scene, ["a cup"], negatives=["A cup "])
    assert same.score == pytest.approx(plain.score, abs=1e-6)


def test_without_any_negative_the_score_is_the_scaled_cosine(scene, seeing):
    profile = replace(seeing.profile, negatives=())
    bare = TextRegion(profile, seeing.proposer, seeing.encoder)
    (answer,) = bare.ground(scene, ["a cup"])
    cosine = (scene.tokens @ seeing.encoder.text(["a cup"])[0]).max()
    assert answer.score == pytest.approx(1 / (1 + np.exp(-10.0 * cosine)), abs=1e-5)


def test_the_profiles_threshold_decides_unless_another_is_given(scene, seeing):
    (answer,) = seeing.ground(scene, ["a cup"])
    assert answer.found == (answer.score >= seeing.profile.threshold)
    assert not seeing.ground(scene, ["a cup"], threshold=1.0)[0].found
    assert seeing.ground(scene, ["a cup"], threshold=0.0)[0].found


def nothing(features, points, least_iou):
    logits, ious = blobs(features, points, least_iou)
    return logits, torch.zeros_like(ious)


def test_no_region_is_an_empty_answer(model):
    blind = with_masks(model, nothing)
    scene = blind.encode(skimage.data.coffee())
    assert scene.encoded.masks.shape == (0, 32, 32)
    assert scene.tokens.shape == (0, 32)
    assert scene.encoded.boxes.shape == (0, 4)
    (answer,) = blind.ground(scene, ["a cup"], threshold=0)
    assert (answer.found, answer.score, answer.regions, answer.box) == (False, 0.0, (), None)
    assert not blind.label(scene, ["cup"]).any()
    with pytest.raises(BadText):
        blind.ground(scene, [" "])


def test_every_region_removed_is_an_empty_answer(model):
    strict = with_masks(model, blobs, global_patch_threshold=2.0)
    scene = strict.encode(skimage.data.coffee())
    assert scene.tokens.shape == (0, 32)
    assert not strict.ground(scene, ["a cup"])[0].found


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (1, 30_000), (900, 16)])
def test_images_of_any_size(seeing, size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    scene = seeing.encode(rgb)
    assert scene.image_size == size
    x, y, w, h = scene.encoded.boxes.T
    assert (w >= 1).all()
    assert (h >= 1).all()
    assert (x + w <= size[1]).all()
    assert (y + h <= size[0]).all()
    assert seeing.label(scene, ["cup"]).shape == size


def test_arrays_that_are_views_of_others(seeing, frame):
    bgr = skimage.data.coffee()[..., ::-1].copy()
    np.testing.assert_array_equal(seeing.encode(bgr[..., ::-1]).tokens, frame.tokens)


def by_another(scene):
    """The scene as if another encoder had made it."""
    return Scene(scene.observation, replace(scene.encoded, encoder="another"))


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


def test_bad_questions(scene, seeing):
    for texts in ([], [""], "a cup", ["a cup " * 40]):
        with pytest.raises(BadText):
            seeing.ground(scene, texts)
        with pytest.raises(BadText):
            seeing.label(scene, texts)
    with pytest.raises(BadText):
        seeing.ground(scene, ["a cup"], negatives=[" "])
    for options in ({"threshold": 1.1}, {"threshold": -0.1}, {"threshold": np.nan}, {"top_k": -1}):
        with pytest.raises(BadQuery):
            seeing.ground(scene, ["a cup"], **options)
    with pytest.raises(BadQuery, match="encoded by"):
        seeing.ground(by_another(scene), ["a cup"])


def test_the_whole_image_squashed_is_one_view(model):
    scene = with_masks(model, blobs, resize_method="resize").encode(skimage.data.coffee())
    assert scene.image_size == (400, 600)
    assert len(scene) > 1


def test_what_a_text_speaks_of_comes_first_and_the_rest_when_asked(model):
    picture = skimage.data.coffee()
    some = model.encode_for(picture, ["a cup", "a spoon"], negatives=["dog"])
    assert not some.encoded.complete
    assert 0 < some.encoded.prompts <= 2 * model.profile.proposals.guided_points
    assert "peaks" in some.encoded.stage_ms
    answers = model.ground(some, ["a cup", "a spoon"], negatives=["dog"], threshold=0)
    assert all(answer.found for answer in answers)
    filled = model.complete(some)
    whole, encoded = filled.encoded, model.encode(picture).encoded
    assert whole.complete
    assert whole.prompts == encoded.prompts == 36
    assert "sam_encoder" not in whole.stage_ms  # the encoders did not run again
    np.testing.assert_array_equal(whole.masks, encoded.masks)
    np.testing.assert_array_equal(whole.tokens, encoded.tokens)
    assert filled.observation is some.observation
    assert model.complete(filled) is filled
    again = model.look_for(some, ["a spoon", "a cup"], negatives=["dog"])
    np.testing.assert_array_equal(again.tokens, some.tokens)
    assert model.look_for(filled, ["a cup"]) is filled
    assert some.encoded.nbytes > whole.nbytes  # it counts what it keeps for later


def test_a_guided_frame_refuses_what_others_refuse(model):
    with pytest.raises(BadText):
        model.encode_for(skimage.data.coffee(), [" "])
    with pytest.raises(BadImage):
        model.encode_for(np.zeros((4, 4), np.uint8), ["a cup"])
    some = model.encode_for(skimage.data.coffee(), ["a cup"])
    with pytest.raises(BadQuery, match="encoded by"):
        model.complete(by_another(some))


@torch.inference_mode()
def test_patches_are_scored_in_the_order_of_regions(model):
    image = prepared(model)
    values = image.values
    texts, against = ["a cup", "object"], ["object", "things"]
    scores = patch_scores(model.encoder, values, texts, against, True).flatten(1)
    for index, text in enumerate(texts):
        unit = torch.nn.functional.normalize(values, dim=-1).flatten(0, 1)  # as CLIP's tokens here
        tokens = model.encoder.pool(unit, torch.eye(len(unit)))
        others = [other for other in against if other != text]
        vectors = model.encoder.text([text, *others])
        cosines = torch.nn.functional.normalize(tokens, dim=-1).numpy() @ vectors.T
        scale, bias = model.encoder.score_scale, model.encoder.score_bias
        expected = relevancy(cosines[:, 0], cosines[:, 1:], scale, bias)
        scaled = torch.sigmoid(scale * scores[index])
        np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-5)


def test_a_long_text_is_refused_before_the_image_is_looked_at(model):
    def unwanted(*_):
        pytest.fail("the image was encoded")

    proposer = replace(model.proposer, image_features=unwanted)
    busy = TextRegion(model.profile, proposer, replace(model.encoder, patch_values=unwanted))
    with pytest.raises(BadText, match="too long"):
        busy.embed(["a cup " * 40])
    with pytest.raises(BadText, match="too long"):
        busy.encode_for(skimage.data.coffee(), ["a cup " * 40])


def test_vectors_of_texts_compare_with_the_tokens(scene, seeing):
    vectors = seeing.embed(["a cup", "object", "things"])
    assert (vectors.shape, vectors.dtype) == ((3, 32), np.float32)
    cosines = scene.tokens @ vectors.T
    scale, bias = seeing.encoder.score_scale, seeing.encoder.score_bias
    (answer,) = seeing.ground(scene, ["a cup"])
    assert answer.score == pytest.approx(
        relevancy(cosines[:, 0], cosines[:, 1:], scale, bias).max(), abs=1e-6
    )


def test_bytes_are_counted_where_they_are(model):
    image = prepared(model)
    parts = [*image.features, image.values]
    assert image.nbytes == sum(part.nbytes for part in parts)
    assert image.device_nbytes == 0
    away = replace(image, features=[part.to("meta") for part in image.features])
    assert away.nbytes == image.values.nbytes
    assert away.device_nbytes == sum(part.nbytes for part in image.features)
    frame = model.encode_for(skimage.data.coffee(), ["a cup"]).encoded
    whole = replace(frame, rest=None)
    there = replace(frame, rest=away)
    assert there.nbytes == whole.nbytes + away.nbytes
    assert there.device_nbytes == away.device_nbytes


def test_a_scene_with_depth_has_shapes(model):
    picture = skimage.data.coffee()
    depth = np.full(picture.shape[:2], 1.5, np.float32)
    camera = Intrinsics(500.0, 500.0, 299.5, 199.5, 600, 400)
    box = np.array([[250, 150, 100, 80]])
    scene = model.encode(picture, masks=box, depth=depth, intrinsics=camera)
    (answer,) = model.ground(scene, ["a cup"], threshold=0)
    assert answer.best.pose is scene.shape(0).pose
    # The box's pixels lie 1.5 m away, and from column 250 and row 150 on, 100 × 80 of them.
    middle = [(299.5 - 299.5) * 1.5 / 500, (189.5 - 199.5) * 1.5 / 500, 1.5]
    np.testing.assert_allclose(answer.best.pose.centroid, middle, atol=2e-3)
    with pytest.raises(BadImage, match="intrinsics"):
        model.encode(picture, depth=depth)
    with pytest.raises(BadImage, match="aligned"):
        model.encode(picture, depth=depth[:100], intrinsics=camera)


def prepared(model):
    """What the networks make of a photograph."""
    parts = model.profile, model.proposer, model.encoder
    return prepare(skimage.data.coffee(), *parts, False, Stopwatch(model.device))


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
    watch, regions, calls = Stopwatch(model.device), [], []
    seeing = with_masks(model, blobs)
    image = prepared(seeing)
    for prompts in (8, 36):
        places = torch.tensor([[(i % 6 + 0.5) / 6, (i // 6 + 0.5) / 6] for i in range(prompts)])
        with CountOps() as ops:
            candidates = seeing.proposer.propose_at(image.features, places, image.size, watch)
            masks, _ = regions_of(image, candidates, seeing.profile, seeing.encoder, watch)
        regions.append(len(masks))
        calls.append(ops.calls)
    assert regions[1] > 3 * regions[0] > 3
    waiting = "aten._local_scalar_dense.default"
    assert calls[0][waiting] == calls[1][waiting]
    assert calls[1].total() <= calls[0].total() + 40  # one more size of window at the most

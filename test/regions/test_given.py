"""Masks and boxes from outside."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import yaml

from textregion_ros.core.masks import whole_mask
from textregion_ros.regions import BadQuery, TextRegion
from textregion_ros.regions.proposers.given import check_masks

SIZE = (400, 600)


@pytest.fixture(scope="module")
def picture():
    return skimage.data.coffee()


def disk(y, x, radius):
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def test_every_mask_is_a_region_with_its_very_pixels(model, picture):
    masks = np.stack([disk(100, 100, 40), disk(300, 500, 3), disk(200, 300, 150)])
    scene = model.encode(picture, masks=masks)
    assert len(scene) == 3
    assert scene.encoded.complete
    for number, mask in enumerate(masks):
        np.testing.assert_array_equal(scene.mask(number), mask)
    np.testing.assert_allclose(np.linalg.norm(scene.tokens, axis=1), 1.0, atol=1e-5)
    (answer,) = model.ground(scene, ["a cup"], threshold=0)
    np.testing.assert_array_equal(answer.best.mask, masks[answer.best.id])
    assert scene.encoded.nbytes > sum(scene.crop(number).nbytes for number in range(3))


def test_boxes_are_regions_as_their_masks_are(model, picture):
    boxes = np.array([[10, 20, 200, 100], [0, 0, 600, 400], [599, 399, 1, 1]])
    scene = model.encode(picture, masks=boxes)
    np.testing.assert_array_equal(scene.encoded.boxes, boxes)
    masks = np.stack([whole_mask(np.ones(box[:1:-1], bool), box, SIZE) for box in boxes])
    np.testing.assert_array_equal(scene.tokens, model.encode(picture, masks=masks).tokens)


def test_a_region_gets_the_token_that_it_has_where_sam_2_proposes_it(demo_model):
    picture = skimage.data.coffee()
    scene = demo_model.encode(picture)
    again = demo_model.encode(picture, masks=np.stack([scene.mask(i) for i in range(len(scene))]))
    assert ((scene.tokens * again.tokens).sum(1) > 0.95).all()


def test_a_region_of_one_pixel_has_a_token_wherever_it_lies(model, picture):
    rng = np.random.default_rng(0)
    masks = np.zeros((40, *SIZE), bool)
    masks[np.arange(40), rng.integers(0, SIZE[0], 40), rng.integers(0, SIZE[1], 40)] = True
    scene = model.encode(picture, masks=masks)
    np.testing.assert_allclose(np.linalg.norm(scene.tokens, axis=1), 1.0, atol=1e-5)


def test_a_region_of_global_patches_alone_keeps_them(model, picture):
    settings = replace(model.profile.encoder, global_patch_threshold=2.0)  # removes every patch
    strict = TextRegion(replace(model.profile, encoder=settings), model.proposer, model.encoder)
    assert len(strict.encode(picture)) == 0
    assert len(strict.encode(picture, masks=disk(200, 300, 50)[None])) == 1


@pytest.mark.parametrize("none", [np.zeros((0, *SIZE), bool), np.zeros((0, 4), int)])
def test_a_detector_that_found_nothing_gives_an_empty_scene(model, picture, none):
    scene = model.encode(picture, masks=none)
    assert len(scene) == 0
    assert not model.ground(scene, ["a cup"], threshold=0)[0].found
    assert not model.label(scene, ["cup"]).any()


def empty_second():
    masks = np.stack([disk(100, 100, 40)] * 2)
    masks[1] = False
    return masks


BAD = [
    ([[1, 2, 3, 4]], "numpy array, not list"),
    (np.ones((2, *SIZE), np.uint8), "bool K×H×W.*uint8"),
    (np.ones(SIZE, bool), "bool 400×600"),
    (np.ones((1, 600, 400), bool), "400×600 px, but the image is 600×400"),
    (np.ones((1, 4)), "float64 1×4"),
    (np.ones((1, 5), int), "int64 1×5"),
    (empty_second(), "mask 1 of 2 has no pixel"),
    (np.array([[0, 0, 5, 5], [5, 5, 0, 9]]), "box 1 of 2 is empty"),
    (np.array([[590, 0, 11, 5]]), "reaches out of the image of 600×400"),
    (np.array([[-1, 0, 11, 5]]), "reaches out"),
]


@pytest.mark.parametrize(("masks", "named"), BAD, ids=[named for _, named in BAD])
def test_what_cannot_be_masks_is_refused(masks, named):
    with pytest.raises(BadQuery, match=named):
        check_masks(masks, SIZE)


def test_a_profile_of_given_masks_needs_no_sam_2(profile_file, picture, tmp_path):
    data = yaml.safe_load(profile_file.read_text())
    del data["sam2"]
    data["proposals"] = {"source": "given"}
    for name in ("config", "checkpoint"):
        file = profile_file.parent / data["encoder"][name]["file"]
        data["encoder"][name]["file"] = str(file)
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump(data))
    model = TextRegion.from_profile(str(path), device="cpu")
    assert len(model.encode(picture, masks=disk(200, 300, 50)[None])) == 1
    with pytest.raises(BadQuery, match=r"encode\(rgb, masks=…\)"):
        model.encode(picture)
    with pytest.raises(BadQuery, match="use encode"):
        model.encode_for(picture, ["a cup"])

"""The pipeline on real photographs; the demo models know nothing of them, so shapes are judged."""

import numpy as np
import pytest
import skimage.data

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
NAMES = ["table", "mug", "cat", "sky"]


@pytest.fixture(scope="module", params=PHOTOGRAPHS)
def photograph(request):
    return getattr(skimage.data, request.param)()


@pytest.fixture(scope="module")
def scene(demo_model, photograph):
    return demo_model.encode(photograph)


def test_regions_are_found_and_lie_in_the_photograph(demo_model, photograph, scene):
    height, width = photograph.shape[:2]
    count = len(scene.tokens)
    assert count > 0
    assert scene.image_size == (height, width)
    encoded = scene.encoded
    assert encoded.masks.shape[0] == len(encoded.boxes) == count
    np.testing.assert_allclose(np.linalg.norm(scene.tokens, axis=1), 1.0, atol=1e-4)
    x, y, w, h = encoded.boxes.T
    assert (np.minimum(x, y) >= 0).all()
    assert (np.minimum(w, h) > 0).all()
    assert (x + w <= width).all()
    assert (y + h <= height).all()


def test_every_region_answers_with_a_mask_that_fills_its_box(demo_model, photograph, scene):
    (answer,) = demo_model.ground(scene, ["red mug"], threshold=0, top_k=0)
    assert answer.found
    for region in answer.regions:
        x, y, w, h = region.box
        rows, columns = np.nonzero(region.mask)
        assert region.mask.shape == photograph.shape[:2]
        assert (columns.min(), np.ptp(columns) + 1) == (x, w)
        assert (rows.min(), np.ptp(rows) + 1) == (y, h)
        assert 0.0 <= region.score <= 1.0


def test_labels_cover_what_the_regions_cover(demo_model, photograph, scene):
    labels = demo_model.label(scene, NAMES)
    assert (labels.shape, labels.dtype) == (photograph.shape[:2], np.int16)
    assert set(np.unique(labels)) <= set(range(len(NAMES) + 1))
    (answer,) = demo_model.ground(scene, ["red mug"], threshold=0, top_k=1)
    assert (labels[answer.regions[0].mask] > 0).mean() > 0.99


@pytest.mark.parametrize("name", ["camera", "coins"])
def test_grey_photographs_as_rgb(demo_model, name):
    grey = getattr(skimage.data, name)()
    scene = demo_model.encode(np.repeat(grey[..., None], 3, axis=2))
    assert demo_model.label(scene, NAMES).shape == grey.shape

"""The pyramid encoder's token is the mean of summed levels; sizes and places come out right."""

import numpy as np
import open_clip
import pytest
import torch

from textregion_ros.models.pyramid import FeaturePyramid, resample
from textregion_ros.regions import views
from textregion_ros.regions.pyramid_encoder import PyramidEncoder

WIDTH = 12


@pytest.fixture(scope="module")
def visual():
    torch.manual_seed(3)
    config = {
        "image_size": 64,
        "timm_model_name": "textregion_pyramid",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "",
    }
    text = {"context_length": 8, "vocab_size": 16, "width": 8, "heads": 2, "layers": 1}
    model = open_clip.CustomTextCLIP(WIDTH, config, text).eval().requires_grad_(False)
    assert isinstance(model.visual.trunk, FeaturePyramid)
    return model.visual


def test_values_lie_on_a_grid_of_eight_pixels(visual):
    values = PyramidEncoder(visual).values(torch.randn(2, 3, 64, 96))
    assert values.shape == (2, 8 * 12, WIDTH)


def test_the_mean_over_everything_is_the_image_vector(visual):
    images = torch.randn(1, 3, 64, 64)
    encoder = PyramidEncoder(visual)
    values = encoder.values(images)[0]
    token = encoder.pool(values, torch.full((1, len(values)), 0.5))
    torch.testing.assert_close(token, visual(images), rtol=1e-4, atol=1e-5)


def test_cells_count_by_how_much_of_them_is_inside(visual):
    values = torch.tensor([[1.0], [3.0], [9.0]])
    assert PyramidEncoder(visual).pool(values, torch.tensor([[1.0, 0.5, 0.0]])).item() == (
        pytest.approx(2.5 / 1.5)
    )


def test_projecting_levels_first_changes_nothing(visual):
    trunk, images = visual.trunk, torch.randn(1, 3, 64, 64)
    levels = trunk.levels(images)
    assert [level.shape[2] for level in levels] == [32, 16, 8, 4, 2, 2]
    spread = torch.cat([resample(level, levels[2].shape[2:]) for level in levels], 1)
    weight = torch.cat([lateral.weight for lateral in trunk.laterals], 1)
    whole = torch.nn.functional.conv2d(spread, weight, trunk.laterals[-1].bias)
    torch.testing.assert_close(trunk.forward_features(images), whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(480, 640), (1080, 1920), (33, 500), (1, 1)])
def test_the_whole_image_keeps_its_aspect_about(shape):
    picture = views.whole(np.zeros((*shape, 3), np.uint8), (1536, 480), 32)
    assert picture.shape[0] % 32 == picture.shape[1] % 32 == 0
    assert min(picture.shape[:2]) >= 32
    assert max(picture.shape[:2]) <= 1536

"""The pyramid encoder: levels summed on one grid, and tokens that say what a region may be."""

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

from textregion_ros.core.errors import BadProfile
from textregion_ros.models.pyramid import (
    ExpectedMeaning,
    FeaturePyramid,
    Readings,
    fold_norms,
    resample,
)
from textregion_ros.regions import load_profile
from textregion_ros.regions.encoders.pyramid import (
    PyramidTower,
    WholeImageEncoder,
    pyramid_tower,
)

DIMS, WIDTH = 12, Readings().width
SMALL = Readings(class_dims=2, classes=3, kinds=4, colours=2)


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
    model = open_clip.CustomTextCLIP(DIMS, config, text).eval().requires_grad_(False)
    assert isinstance(model.visual.trunk, FeaturePyramid)
    return model.visual


@pytest.fixture
def head():
    """Kinds mean axes 0 and 1, other things axis 2, classes axis 3, colours 4 and 5."""
    head = ExpectedMeaning(SMALL, 8).requires_grad_(False)
    head.kind_meanings[:3] = torch.eye(8)[:3]
    head.class_meanings[:] = torch.eye(8)[3]
    head.colour_meanings[:] = torch.eye(8)[4:6]
    head.constant[6] = 1.0
    return head


def means(kind: int, colour: int) -> torch.Tensor:
    """A region that is surely of a kind and a colour."""
    sure = [F.one_hot(torch.tensor(kind), 4) * 99.0, F.one_hot(torch.tensor(colour), 2) * 99.0]
    return torch.cat([torch.zeros(2), *sure])[None]


def test_values_lie_on_a_grid_of_eight_pixels(visual):
    values = PyramidTower(visual).values(torch.randn(2, 3, 64, 96))
    assert values.shape == (2, 8 * 12, WIDTH)


def test_the_mean_over_everything_is_the_image_vector(visual):
    images = torch.randn(1, 3, 64, 64)
    encoder = PyramidTower(visual)
    values = encoder.values(images)[0]
    token = encoder.pool(values, torch.full((1, len(values)), 0.5))
    torch.testing.assert_close(token, visual(images), rtol=1e-4, atol=1e-5)


def test_cells_count_by_how_much_of_them_is_inside(visual):
    encoder, values = PyramidTower(visual), torch.randn(3, WIDTH)
    token = encoder.pool(values, torch.tensor([[1.0, 0.5, 0.0]]))
    torch.testing.assert_close(token, encoder.project((values[:1] + values[1:2] / 2) / 1.5))


def test_projecting_levels_first_changes_nothing(visual):
    trunk, images = visual.trunk, torch.randn(1, 3, 64, 64)
    levels = trunk.levels(images)
    assert [level.shape[2] for level in levels] == [32, 16, 8, 4, 2, 2]
    spread = torch.cat([resample(level, levels[2].shape[2:]) for level in levels], 1)
    weight = torch.cat([lateral.weight for lateral in trunk.laterals], 1)
    whole = F.conv2d(spread, weight, trunk.laterals[-1].bias)
    torch.testing.assert_close(trunk.forward_features(images), whole, rtol=1e-3, atol=1e-4)


def test_folded_norms_change_nothing():
    torch.manual_seed(5)
    trunk, images = FeaturePyramid(DIMS).requires_grad_(False), torch.randn(1, 3, 64, 64)
    trunk.train()(images)  # running means that are not 0
    before = trunk.eval()(images)
    count = sum(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.modules())
    fold_norms(trunk)
    assert count > 40
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.modules())
    torch.testing.assert_close(trunk(images), before, rtol=1e-3, atol=1e-4)


def test_a_sure_region_means_its_kind_and_colour(head):
    token = head(means(kind=1, colour=0))[0]
    np.testing.assert_allclose(token[:7], [0, 0.5, 0, 0, 0.5, 0, 0.5], atol=1e-6)


def test_classes_count_where_no_named_kind_does(head):
    assert head(means(kind=2, colour=0))[0, 3] == pytest.approx(0.5)
    assert head(means(kind=0, colour=0))[0, 3] == pytest.approx(0.0)


def test_tokens_have_unit_length_and_doubt_goes_to_the_filler(head):
    torch.manual_seed(0)
    tokens = head(torch.randn(20, SMALL.class_dims + 4 + 2))
    torch.testing.assert_close(tokens.norm(dim=1), torch.ones(20))
    assert (tokens[:, 6] - 0.5).abs().max() < 1e-6
    unsure, sure = head(torch.zeros(1, 8))[0, 7], head(means(0, 0))[0, 7]
    assert unsure > sure


@pytest.fixture(scope="module")
def encoder(visual):
    settings = load_profile("demo").encoder
    tower = PyramidTower(visual)
    text = lambda texts: np.zeros((len(texts), DIMS), np.float32)  # noqa: E731
    return WholeImageEncoder(
        settings, tower, tower.values, text, "test", torch.device("cpu"), 20.0, 0.0
    )


@pytest.mark.parametrize("shape", [(480, 640), (1080, 1920), (33, 500), (1, 1)])
def test_the_whole_image_keeps_its_aspect_about(encoder, shape):
    height, width = encoder.working_size(*shape)
    assert height % 32 == width % 32 == 0
    assert min(height, width) >= 32
    assert max(height, width) <= 1536


def test_the_image_is_seen_once_as_it_is(encoder):
    image = torch.rand(3, 64, 96)
    values = encoder.values(image)
    assert values.shape == (8, 12, WIDTH)
    expected = encoder.tower.values(((image - 0.49803922) / 0.50196078)[None])[0]
    torch.testing.assert_close(values.flatten(0, 1), expected, rtol=1e-4, atol=1e-4)
    assert not encoder.has_dense


def test_another_trunk_is_refused():
    with pytest.raises(BadProfile, match="pyramid"):
        pyramid_tower(torch.nn.Identity(), load_profile("demo").encoder)

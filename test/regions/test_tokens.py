from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer

from textregion_ros.regions.bilinear import make_taps, sample
from textregion_ros.regions.encoders import AttentionPoolTower, ClipTower
from textregion_ros.regions.encoders.open_clip_model import make_clip
from textregion_ros.regions.tokens import grid_masks, group_max, local_patches, region_tokens

CLIP = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 64,
        "patch_size": 16,
        "width": 32,
        "layers": 2,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 100, "width": 16, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return ClipTower(make_clip(CLIP).visual).eval()


@pytest.fixture(scope="module")
def siglip():
    torch.manual_seed(0)
    trunk = VisionTransformer(64, 16, embed_dim=32, depth=1, num_heads=2, class_token=False,
                              global_pool="map", num_classes=0)  # fmt: skip
    return AttentionPoolTower(SimpleNamespace(trunk=trunk)).eval()


@pytest.mark.parametrize("size", [(512, 683), (90, 61), (40, 30)])
@pytest.mark.parametrize("grid", [(32, 40), (5, 7)])
def test_grid_masks_are_the_resized_full_masks(size, grid):
    torch.manual_seed(1)
    logits = 8 * F.avg_pool2d(torch.randn(6, 1, 24, 24), 5, 1, 2)[:, 0].half()
    groups = torch.tensor([0, 1, 0, -1, 2, 1])
    full = sample(logits.float().clamp(0, 3), *(make_taps(24, side) for side in size)).half()
    full = group_max(full.float(), groups)
    expected = F.interpolate(full[None], grid, mode="bilinear", align_corners=False)[0]
    got = grid_masks(logits, groups, size, grid)
    torch.testing.assert_close(got, expected.clamp(0, 1).flatten(1), atol=1e-3, rtol=0)
    assert ((got > 0) == (expected > 0).flatten(1)).float().mean() > 0.999


def test_local_patches_are_the_definition_with_all_pairs():
    torch.manual_seed(2)
    values, masks = torch.randn(40, 8), (torch.rand(5, 40) > 0.6).float()
    unit = F.normalize(values, dim=1)
    likeness = (unit @ unit.T) @ masks.T / masks.sum(1)
    own = (likeness * masks.T).sum(1) / (masks.sum(0) + 1e-9)
    other = (likeness * (1 - masks.T)).sum(1) / ((1 - masks).sum(0) + 1e-9)
    assert local_patches(values, masks, 0.1).tolist() == (own - other >= 0.1).tolist()
    assert 0 < local_patches(values, masks, 0.1).sum() < 40


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_region_without_patches_is_left_out(family, request):
    encoder = request.getfixturevalue(family)
    values, masks = torch.randn(16, 32), torch.zeros(3, 16)
    masks[1, 4:9] = 1
    tokens, kept = region_tokens(encoder, values, masks, None, False)
    assert kept.tolist() == [1]
    torch.testing.assert_close(tokens.norm(dim=1), torch.ones(1))


@pytest.mark.parametrize("count", [0, 3])
def test_no_region_left_gives_no_token(clip, count):
    masks = torch.ones(count, 16)
    tokens, kept = region_tokens(clip, torch.randn(16, 32), masks, 2.0, True)
    assert tokens.shape == (0, 16)
    assert kept.shape == (0,)


def test_clip_pools_with_soft_weights_and_siglip_without(clip, siglip):
    values, masks = torch.randn(16, 32), torch.zeros(2, 16)
    masks[0, :4], masks[1, :4] = 1.0, torch.tensor([1.0, 0.1, 0.2, 0.3])
    hard, soft = siglip.pool(values, masks)
    torch.testing.assert_close(hard, soft)
    hard, soft = clip.pool(values, masks)
    assert not torch.allclose(hard, soft, atol=1e-3)


def test_siglip_token_is_its_attention_pool_with_a_constant_key(siglip):
    values, pool = torch.randn(16, 32), siglip.trunk.attn_pool
    with torch.no_grad():
        saved = pool.kv.weight[:32].clone()
        pool.kv.weight[:32] = 0  # all keys alike: uniform attention
        mlp, pool.mlp = pool.mlp, None
        expected = pool(values[None, 3:9])
        pool.kv.weight[:32], pool.mlp = saved, mlp
        masks = torch.zeros(1, 16)
        masks[0, 3:9] = 0.5
        torch.testing.assert_close(siglip.pool(values, masks), expected, atol=1e-5, rtol=1e-4)


def test_a_one_block_tower_is_refused():
    config = {**CLIP, "vision_cfg": {**CLIP["vision_cfg"], "layers": 1}}
    with pytest.raises(ValueError, match="two blocks"):
        ClipTower(make_clip(config).visual)


def test_tokens_can_be_trained_through(clip):
    views = torch.randn(1, 3, 64, 64)
    masks = (torch.rand(2, 16) > 0.5).float()
    tokens, _ = region_tokens(clip, clip.values(views)[0], masks, None, True)
    tokens[:, 0].sum().backward()
    assert clip.visual.conv1.weight.grad.abs().sum() > 0
    assert clip.visual.proj.grad.abs().sum() > 0

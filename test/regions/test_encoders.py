import numpy as np
import pytest
import torch
import torch.nn.functional as F

from textregion_ros.regions.encoders.clip import ClipTower, self_similar_attention
from textregion_ros.regions.encoders.open_clip_model import make_clip

TOWER = {"image_size": 32, "patch_size": 16, "width": 8, "layers": 2, "head_width": 4}
CONFIG = {
    "embed_dim": 6,
    "vision_cfg": TOWER,
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return ClipTower(make_clip(CONFIG).visual).eval().requires_grad_(False)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def test_self_similar_attention_head_by_head():
    torch.manual_seed(1)
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True).requires_grad_(False)
    torch.nn.init.normal_(attention.in_proj_bias)
    tokens = torch.randn(1, 3, 4)
    q, k, v = (
        tokens[0].numpy() @ w.T + b
        for w, b in zip(
            attention.in_proj_weight.numpy().reshape(3, 4, 4),
            attention.in_proj_bias.numpy().reshape(3, 4),
            strict=True,
        )
    )
    heads = []
    for head in (slice(0, 2), slice(2, 4)):
        like = sum(softmax(x[:, head] @ x[:, head].T / np.sqrt(2)) for x in (q, k))
        heads.append(like @ v[:, head])
    weight, bias = attention.out_proj.weight.numpy(), attention.out_proj.bias.numpy()
    expected = np.concatenate(heads, 1) @ weight.T + bias
    np.testing.assert_allclose(
        self_similar_attention(attention, tokens)[0].numpy(), expected, atol=1e-5
    )


def test_dense_features_are_the_last_block_with_another_attention(clip, monkeypatch):
    images = torch.randn(2, 3, 32, 32)
    values, dense = clip.values_and_dense(images)
    assert torch.equal(values, clip.values(images))
    assert dense.shape == (2, 4, 6)
    torch.testing.assert_close(dense.norm(dim=-1), torch.ones(2, 4))
    # With its usual attention it must be CLIP's own output, patch by patch.
    block = clip.visual.transformer.resblocks[-1]
    monkeypatch.setattr(
        "textregion_ros.regions.encoders.clip.self_similar_attention",
        lambda attention, tokens: block.attention(tokens),
    )
    own = clip.visual.forward_intermediates(
        images, indices=1, normalize_intermediates=True, output_fmt="NLC"
    )["image_intermediates"][0]
    own = F.normalize(own @ clip.visual.proj, dim=-1)
    torch.testing.assert_close(clip.values_and_dense(images)[1], own)

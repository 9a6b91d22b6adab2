"""Our order of SAM2's mask decoder against the public one."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from test.support.small_sam2 import sam2_config
from textregion_ros.regions.decoder import ImageDecoder
from textregion_ros.regions.loading import hydra_untouched
from textregion_ros.regions.prompts import Proposer


def build(model, **changes):
    torch.manual_seed(3)
    with hydra_untouched():
        sam2 = instantiate(OmegaConf.create({**sam2_config(), **changes})).eval()
    for parameter in sam2.parameters():  # embeddings and norms start at 0 and 1: hide nothing
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return Proposer(sam2, model.proposer.settings, 1 << 28)


def public_decoder(sam2, features, points):
    labels = torch.ones(len(points), 1, dtype=torch.int32)
    sparse, dense = sam2.sam_prompt_encoder((points[:, None], labels), None, None)
    masks, ious, _, _ = sam2.sam_mask_decoder(
        image_embeddings=features[-1],
        image_pe=sam2.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
        repeat_image=True,
        high_res_features=features[:-1],
    )
    return masks, ious


VARIANTS = [
    {},
    {"pred_obj_scores": True, "pred_obj_scores_mlp": True},
    {"use_high_res_features_in_sam": False},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@pytest.mark.parametrize("count", [1, 9])
@torch.inference_mode()
def test_masks_and_scores_are_those_of_the_public_decoder(model, changes, count):
    proposer = build(model, **changes)
    features = proposer.features(torch.rand(3, 90, 130))
    points = proposer.points()[:count]
    masks, ious = public_decoder(proposer.sam2, features, points)
    ours, our_ious = ImageDecoder(proposer.sam2, features).decode(points, -1.0)
    torch.testing.assert_close(our_ious, ious, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.float(), masks, atol=2e-3, rtol=2e-3)
    assert masks.std() > 0.05


@torch.inference_mode()
def test_prompts_that_cannot_pass_get_no_masks(model):
    proposer = build(model)
    features = proposer.features(torch.rand(3, 90, 130))
    decoder, points = ImageDecoder(proposer.sam2, features), proposer.points()
    every, ious = decoder.decode(points, -1.0)
    least = float(ious.amax(1).median())
    some, same = decoder.decode(points, least)
    passing = ious.amax(1) > least
    assert 0 < passing.sum() < len(points)
    torch.testing.assert_close(same, ious)
    torch.testing.assert_close(some[passing], every[passing], atol=2e-3, rtol=2e-3)
    assert not some[~passing].any()
    none, _ = decoder.decode(points, 1.0)
    assert none.shape == every.shape
    assert not none.any()


@torch.inference_mode()
def test_it_runs_in_bfloat16(model):
    proposer = build(model)
    image = torch.rand(3, 90, 130)
    exact, _ = proposer.masks(proposer.features(image))
    with torch.autocast("cpu", torch.bfloat16):
        rough, ious = proposer.masks(proposer.features(image))
    assert rough.dtype == torch.float16
    assert ious.dtype == torch.float32
    assert (rough.float() - exact.float()).abs().mean() < 0.2 * exact.float().std()

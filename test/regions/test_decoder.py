"""Our order of SAM 2's mask decoder against the public one."""

import pytest
import torch

from test.support.small_sam2 import sam2_config
from textregion_ros.regions.proposers.prompts import grid
from textregion_ros.regions.proposers.sam2 import Sam2Proposer
from textregion_ros.regions.proposers.sam2_decoder import ImageDecoder
from textregion_ros.regions.proposers.sam2_model import make_sam2


def build(**changes):
    torch.manual_seed(3)
    sam2 = make_sam2(sam2_config(**changes)).eval()
    for parameter in sam2.parameters():  # embeddings and norms start at 0 and 1: hide nothing
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return sam2


def features_of(sam2, model):
    return Sam2Proposer.of(sam2, model.proposer.settings).prepare(torch.rand(3, 90, 130))


def points_of(sam2):
    return sam2.image_size * grid(6, torch.device("cpu"))


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
    sam2 = build(**changes)
    features, points = features_of(sam2, model), points_of(sam2)[:count]
    masks, ious = public_decoder(sam2, features, points)
    ours, our_ious = ImageDecoder(sam2, features).decode(points, -1.0)
    torch.testing.assert_close(our_ious, ious, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.float(), masks, atol=2e-3, rtol=2e-3)
    assert masks.std() > 0.05


@torch.inference_mode()
def test_prompts_that_cannot_pass_get_no_masks(model):
    sam2 = build()
    decoder, points = ImageDecoder(sam2, features_of(sam2, model)), points_of(sam2)
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
    sam2 = build()
    proposer = Sam2Proposer.of(sam2, model.proposer.settings)
    image, points = torch.rand(3, 90, 130), points_of(sam2)
    exact, _ = proposer.point_masks(proposer.prepare(image), points, 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        rough, ious = proposer.point_masks(proposer.prepare(image), points, 0.0)
    assert rough.dtype == torch.float16
    assert ious.dtype == torch.float32
    assert (rough.float() - exact.float()).abs().mean() < 0.2 * exact.float().std()

"""The library against outputs of the reference implementation on small random models.

Reads the folder named by TEXTREGION_REFERENCE_DIR; without it, the full set beside the repository,
or the small copy kept with the tests. The folder's README says what every array is.
"""

import json
import os
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.model import CLIPVisionCfg, _build_vision_tower
from safetensors.torch import load_file
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from textregion_ros.regions.bilinear import make_taps, sample
from textregion_ros.regions.encoders import AttentionPoolTower, ClipTower, views
from textregion_ros.regions.labelling import paint
from textregion_ros.regions.proposers.candidates import fuse, passing
from textregion_ros.regions.settings import ProposalSettings
from textregion_ros.regions.tokens import MASK_CEILING, group_max, region_tokens

TEST = Path(__file__).parent
PREPROCESSING = {
    "clip": (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD, "bicubic"),
    "siglip2": ((0.5,) * 3, (0.5,) * 3, "bicubic"),
    "pe": ((0.5,) * 3, (0.5,) * 3, "bilinear"),
}


def reference_dir() -> Path:
    named = os.environ.get("TEXTREGION_REFERENCE_DIR")
    places = [Path(named)] if named else []
    places.append(TEST.parent.parent / "shared" / "reference")
    return next((place for place in places if place.is_dir()), TEST / "data" / "reference")


REFERENCE = reference_dir()
MANIFEST = json.loads((REFERENCE / "manifest.json").read_text())
PROPOSALS = json.loads((REFERENCE / "proposals.json").read_text())
CASES = [(family, case) for family in MANIFEST for case in MANIFEST[family]["cases"]]


@lru_cache
def encoder(family):
    model = MANIFEST[family]["model"]
    if family == "clip":
        cfg = CLIPVisionCfg(**model["vision_cfg"])
        tower = _build_vision_tower(model["embed_dim"], cfg, quick_gelu=model["quick_gelu"])
        wrapped, visual = ClipTower(tower, last_block_mlp=True), tower
    else:
        kwargs = dict(model["kwargs"])
        if family == "pe":
            kwargs["norm_layer"] = partial(torch.nn.LayerNorm, eps=1e-5)
            kwargs["ref_feat_shape"] = tuple(kwargs["ref_feat_shape"])
        visual = (Eva if family == "pe" else VisionTransformer)(**kwargs)
        wrapped = AttentionPoolTower(SimpleNamespace(trunk=visual))
    visual.load_state_dict(load_file(REFERENCE / f"{family}.safetensors"))
    return wrapped.eval()


def logits_of(family, tokens, text):
    cosines = tokens @ text.T
    if family != "siglip2":
        return cosines
    model = MANIFEST[family]["model"]
    return np.exp(model["logit_scale"]) * cosines + model["logit_bias"]


def tokens_of(family, case, data):
    """The production path from the camera image and given masks to the region tokens."""
    whole = case["resize_method"] == "resize"
    crop = case["crop_size"]
    size = data["image"].shape[:2]
    size = (crop, crop) if whole else views.rescaled_size(*size, tuple(case["scale"]))
    rescaled = views.resized(data["image"], size)
    np.testing.assert_array_equal(rescaled, data["rescaled_image"])
    mean, std, interpolation = PREPROCESSING[family]
    image = views.to_tensor(rescaled, torch.device("cpu"))
    stack = image[None] if whole else views.multi_resolution_views(image, crop, interpolation)
    counts = views.window_counts(*rescaled.shape[:2], crop)
    model = encoder(family)
    values = views.merge_views(
        model.values(views.normalise(stack, mean, std)), counts, model.global_weight
    )
    masks = torch.from_numpy(data["masks"]).float()[None]
    masks = F.interpolate(masks, values.shape[:2], mode="bilinear", align_corners=False)[0]
    return region_tokens(
        model,
        values.flatten(0, 1),
        masks.clamp(0, 1).flatten(1),
        case["global_patch_threshold"] if case["remove_global_patch"] else None,
        normalise_values=family == "clip" and case["remove_global_patch"] and not whole,
    )


@pytest.mark.parametrize(("family", "case"), CASES, ids=[case["file"] for _, case in CASES])
@torch.inference_mode()
def test_tokens_and_labels(family, case):
    data = dict(np.load(REFERENCE / case["file"]))
    tokens, kept = tokens_of(family, case, data)
    np.testing.assert_array_equal(kept.numpy(), data["kept"])
    np.testing.assert_allclose(tokens.numpy(), data["region_tokens"], atol=1e-4, rtol=0)

    text = torch.from_numpy(data["query_features"])
    logits = logits_of(family, tokens, text)
    np.testing.assert_allclose(logits.numpy(), data["region_logits"], atol=1e-3, rtol=1e-4)

    masks = torch.from_numpy(data["masks"])[kept]
    labels, score, covered = paint(
        lambda start, stop: masks[:, start:stop],
        masks.shape[1],
        logits,
        case["region_logit_scale"],
    )
    covered = covered.numpy()
    assert covered.any()
    assert (labels.numpy() == data["seg_pred"])[covered].mean() >= 0.999
    np.testing.assert_allclose(score.numpy()[covered], data["seg_score"][covered], atol=2e-3)


@pytest.mark.parametrize("case", PROPOSALS, ids=[case["file"] for case in PROPOSALS])
@torch.inference_mode()
def test_proposals(case):
    data = dict(np.load(REFERENCE / case["file"]))
    settings = ProposalSettings(
        points_per_side=1,
        pred_iou_thresh=case["pred_iou_thresh"],
        stability_thresh=case["stability_score_thresh"],
        stability_offset=case["stability_score_offset"],
        box_nms_thresh=case["box_nms_thresh"],
        min_mask_size=case["min_mask_size"],
        fuse_threshold=case["fuse_threshold"] if case["fuse"] else None,
    )
    passed = passing(
        torch.from_numpy(data["low_res_logits"]),
        torch.from_numpy(data["iou_predictions"]),
        settings,
    )
    size = tuple(case["original_height_width"])
    groups = fuse(passed, size, settings)
    soft = passed.logits.float().clamp(0, MASK_CEILING)
    full = sample(soft, *(make_taps(soft.shape[-1], side) for side in size)).half()
    masks = group_max(full, groups)
    assert masks.shape == data["masks"].shape
    np.testing.assert_allclose(masks.float().numpy(), data["masks"].astype(np.float32), atol=2e-3)

"""The mask stage: what the filters and the fusion cost beside the decoder, and the naive form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from benchmark import naive
from benchmark.measure import measure
from benchmark.models import random_sam2
from benchmark.table import Row
from benchmark.workload import scene_candidates
from textregion_ros.regions.checkpoints import load_weights, locate
from textregion_ros.regions.pipeline import DECODER_BYTES
from textregion_ros.regions.profile import Profile, load_profile
from textregion_ros.regions.prompts import Proposer
from textregion_ros.regions.proposals import fuse, select_candidates
from textregion_ros.regions.tokens import grid_masks, group_max
from textregion_ros.regions.views import rescaled_size

WIDTH, HEIGHT, POINTS = 1280, 720, 16  # 16² prompts: 768 candidates


def build(profile: Profile, device: str) -> Proposer:
    """The profile's SAM2, with its weights where they are bundled, asked on the whole grid."""
    sam2, source = random_sam2(profile), profile.sam2.model.checkpoint
    if source.source == "bundled":
        sam2.load_state_dict(load_weights(locate(source, profile.name)))
    # Every prompt forms its masks, and all of them are passed on.
    settings = replace(
        profile.proposals, prompts="grid", points_per_side=POINTS, pred_iou_thresh=0.0
    )
    budget = DECODER_BYTES["cuda" if device.startswith("cuda") else "cpu"]
    return Proposer(sam2.to(device), settings, budget).to(device)


@torch.inference_mode()
def measure_masks(profile_name: str, sam2: str, repeats: int, device: str) -> Iterator[Row]:
    """Encoder, decoder, filter and fuse for 768 candidates of a 1280×720 image."""
    profile = load_profile(profile_name, sam2)
    proposer = build(profile, device)
    row = partial(Row, "masks", profile_name, device=device, sam2=sam2, width=WIDTH, height=HEIGHT)
    size = rescaled_size(HEIGHT, WIDTH, profile.encoder.rescale)
    image = torch.rand(3, *size, device=device)
    few = max(1, repeats // 5)
    yield row("sam_encoder").of(measure(lambda: proposer.features(image), few, device))
    features = proposer.features(image)
    yield row("sam_decoder").of(measure(lambda: proposer.masks(features), few, device))
    side = 4 * proposer.sam2.sam_image_embedding_size  # of the decoder's masks
    settings = profile.proposals
    prompted = [part.to(device) for part in scene_candidates(POINTS, side)]
    candidates = select_candidates(*prompted, settings)
    groups = fuse(candidates, size, settings)
    counts = {"tokens": len(candidates.boxes), "regions": int(groups.max()) + 1}

    def fusion() -> None:
        group_max(candidates.logits, fuse(candidates, size, settings))

    filtering = partial(select_candidates, *prompted, settings)
    yield row("filter", tokens=POINTS**2 * 3).of(measure(filtering, repeats, device))
    yield row("fuse", **counts).of(measure(fusion, repeats, device))


@torch.inference_mode()
def compare_with_naive(repeats: int, device: str) -> Iterator[Row]:
    """Fusion and masks on the token grid, beside full-resolution stacks; and their difference."""
    profile = load_profile("siglip2")
    settings, grid = profile.proposals, (32, 64)
    size = rescaled_size(HEIGHT, WIDTH, profile.encoder.rescale)
    prompted = [part.to(device) for part in scene_candidates(8, 256)]
    candidates = select_candidates(*prompted, settings)
    inputs = (candidates.logits, candidates.boxes, size, settings)
    groups = fuse(candidates, size, settings)
    row = partial(
        Row, "masks", "siglip2", device=device, width=WIDTH, height=HEIGHT,
        tokens=len(groups), regions=int(groups.max()) + 1,
    )  # fmt: skip
    sampling = (candidates.logits, groups, size, grid)
    calls = {
        ("fuse", "fast"): partial(fuse, candidates, size, settings),
        ("fuse", "naive"): partial(naive.fuse, *inputs),
        ("sample", "fast"): partial(grid_masks, *sampling),
        ("sample", "naive"): partial(naive.grid_masks, *sampling),
    }
    for (stage, form), call in calls.items():
        count = 1 if form == "naive" else repeats
        yield row(f"{stage} only", form=form).of(measure(call, count, device))
    differing = (groups.cpu() != naive.fuse(*inputs)).sum()
    yield row("fuse difference", value=float(differing))
    apart = (grid_masks(*sampling) - naive.grid_masks(*sampling)).abs().max()
    yield row("sample difference", value=float(apart))

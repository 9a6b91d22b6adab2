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
from textregion_ros.regions import Profile, load_profile
from textregion_ros.regions.checkpoints import load_weights, locate
from textregion_ros.regions.encoders.views import rescaled_size
from textregion_ros.regions.proposers.candidates import fuse, passing
from textregion_ros.regions.proposers.prompts import grid as point_grid
from textregion_ros.regions.proposers.sam2 import Sam2Proposer
from textregion_ros.regions.tokens import grid_masks, group_max

WIDTH, HEIGHT, POINTS = 1280, 720, 16  # 16² prompts: 768 candidates


def build(profile: Profile, device: str) -> Sam2Proposer:
    """The profile's SAM2, with its weights where they are bundled, asked on the whole grid."""
    sam2, source = random_sam2(profile), profile.sam2.model.checkpoint
    if source.source == "bundled":
        sam2.load_state_dict(load_weights(locate(source, profile.fetch_command)))
    # Every prompt forms its masks, and all of them are passed on.
    settings = replace(
        profile.proposals, prompts="grid", points_per_side=POINTS, pred_iou_thresh=0.0
    )
    return Sam2Proposer.of(sam2.to(device), settings)


@torch.inference_mode()
def measure_masks(profile_name: str, sam2: str, repeats: int, device: str) -> Iterator[Row]:
    """Encoder, decoder, filter and fuse for 768 candidates of a 1280×720 image."""
    profile = load_profile(profile_name, sam2)
    proposer = build(profile, device)
    row = partial(Row, "masks", profile_name, device=device, sam2=sam2, width=WIDTH, height=HEIGHT)
    size = rescaled_size(HEIGHT, WIDTH, profile.encoder.rescale)
    image = torch.rand(3, *size, device=device)
    few = max(1, repeats // 5)
    yield row("sam_encoder").of(measure(lambda: proposer.prepare(image), few, device))
    features = proposer.prepare(image)
    points = proposer.side * point_grid(POINTS, features[-1].device)
    ask = partial(proposer.point_masks, features, points, proposer.settings.pred_iou_thresh)
    yield row("sam_decoder").of(measure(ask, few, device))
    side = ask()[0].shape[-1]
    settings = profile.proposals
    prompted = [part.to(device) for part in scene_candidates(POINTS, side)]
    candidates = passing(*prompted, settings)
    groups = fuse(candidates, size, settings)
    counts = {"tokens": len(candidates.boxes), "regions": int(groups.max()) + 1}

    def fusion() -> None:
        group_max(candidates.logits, fuse(candidates, size, settings))

    filtering = partial(passing, *prompted, settings)
    yield row("filter", tokens=POINTS**2 * 3).of(measure(filtering, repeats, device))
    yield row("fuse", **counts).of(measure(fusion, repeats, device))


@torch.inference_mode()
def compare_with_naive(repeats: int, device: str) -> Iterator[Row]:
    """Fusion and masks on the token grid, beside full-resolution stacks; and their difference."""
    profile = load_profile("siglip2")
    settings, grid = profile.proposals, (32, 64)
    size = rescaled_size(HEIGHT, WIDTH, profile.encoder.rescale)
    prompted = [part.to(device) for part in scene_candidates(8, 256)]
    candidates = passing(*prompted, settings)
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

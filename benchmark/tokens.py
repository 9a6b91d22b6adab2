"""The token stage at real sizes, beside the formulas as published; and how its cost grows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmark import naive
from benchmark.measure import measure
from benchmark.models import random_tower
from benchmark.table import Row
from textregion_ros.regions import load_profile
from textregion_ros.regions.tokens import region_tokens

WIDTH, REGIONS = 1024, 100
PATCHES = {"siglip2": 1536, "pe": 2304, "clip": 2304}  # of a 640×480 frame
COVERED = 0.1  # share of the patches that lie in a region
SWEEP = ((10, 30, 100, 300, 1000), (576, 1152, 2304, 4608))


def work(regions: int, patches: int, device: str) -> tuple[Tensor, Tensor]:
    """Values P×1024 that share a common part, as real ones do, and soft masks R×P."""
    generator = torch.Generator().manual_seed(regions * patches)
    values = torch.randn(patches, WIDTH, generator=generator)
    values += 0.2 * torch.randn(WIDTH, generator=generator)
    masks = torch.rand(regions, patches, generator=generator)
    masks *= torch.rand(regions, patches, generator=generator) < COVERED
    return values.to(device), masks.to(device)


@torch.inference_mode()
def compare_with_naive(repeats: int, device: str) -> Iterator[Row]:
    """Fast and naive tokens of each family, their greatest difference, and the input's size."""
    for family, patches in PATCHES.items():
        head, (values, masks) = random_tower(family).to(device), work(REGIONS, patches, device)
        settings = load_profile(family).encoder
        # Random values resemble their own regions little: half of the patches pass this.
        inputs = (head, values, masks, 0.0, settings.normalise_values)
        fast, slow = partial(region_tokens, *inputs), partial(naive.region_tokens, *inputs)
        row = partial(Row, "tokens", family, device=device, regions=REGIONS, tokens=patches)
        yield row("tokens").of(measure(fast, max(repeats, 9), device))
        yield row("tokens", form="naive").of(measure(slow, 1, device))
        (ours, kept), (theirs, same) = fast(), slow()
        difference = float((ours - theirs).abs().max()) if torch.equal(kept, same) else 2.0
        yield row("difference", value=difference)
        yield row("input MiB", value=(values.nbytes + masks.nbytes) / (1 << 20))


@torch.inference_mode()
def sweep(repeats: int, device: str) -> Iterator[Row]:
    """Times over regions × patches, with SigLIP2's head."""
    head = random_tower("siglip2").to(device)
    for patches in SWEEP[1]:
        for regions in SWEEP[0]:
            call = partial(region_tokens, head, *work(regions, patches, device), 0.0, False)
            row = Row("tokens", "siglip2", "sweep", device, regions=regions, tokens=patches)
            yield row.of(measure(call, repeats, device))

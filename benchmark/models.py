"""Models of a profile at real size, with random weights where released ones are absent."""

from __future__ import annotations

from dataclasses import replace

import open_clip
import torch
from hydra.utils import instantiate

from textregion_ros.regions import CheckpointMissing, TextRegion
from textregion_ros.regions.checkpoints import locate
from textregion_ros.regions.loading import (
    assemble_encoder,
    hydra_untouched,
    make_clip,
    read_clip_config,
    read_sam2_config,
    wrap_tower,
)
from textregion_ros.regions.profile import Profile, load_profile

DEVIATION = 0.02  # of random weights


def randomise(model: torch.nn.Module) -> torch.nn.Module:
    """Fill in seeded random weights, as costly to run as trained ones."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, DEVIATION, generator=generator)
    return model.eval().requires_grad_(False)


def random_sam2(profile: Profile) -> torch.nn.Module:
    """The profile's SAM2 without its weights."""
    config = read_sam2_config(locate(profile.sam2.model.config, profile.name))
    with hydra_untouched():
        return instantiate(config).eval().requires_grad_(False)


def random_head(name: str) -> torch.nn.Module:
    """The profile's visual tower with random weights, for its pooling alone."""
    profile = load_profile(name)
    with torch.device("meta"):
        model = make_clip(read_clip_config(profile.encoder, profile.name))
    return wrap_tower(profile.encoder, randomise(model.visual.to_empty(device="cpu")))


def load(name: str, sam2: str | None, device: str) -> tuple[TextRegion, bool]:
    """The model of a profile, and whether its weights are the released ones."""
    profile = load_profile(name, sam2)
    try:
        return TextRegion.from_profile(name, device, sam2), True
    except CheckpointMissing:
        pass
    settings = profile.encoder
    model = make_clip(read_clip_config(settings, profile.name))
    if settings.logit_scale is not None:
        model.logit_scale.data.fill_(settings.logit_scale).log_()
    # Any tokenizer does for time: SigLIP2's own comes with its weights.
    tokenizer = open_clip.SimpleTokenizer(context_length=settings.context_length)
    encoder = assemble_encoder(profile, model.to(device), tokenizer, f"{name} with random weights")
    # Random weights have no use for negatives, whose text takes a CPU most of a minute.
    bare = replace(profile, negatives=())
    return TextRegion(bare, random_sam2(profile).to(device), encoder), False

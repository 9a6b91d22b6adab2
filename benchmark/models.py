"""Models of a profile at real size, with random weights where released ones are absent."""

from __future__ import annotations

from dataclasses import replace

import open_clip
import torch

from textregion_ros.core.errors import CheckpointMissing
from textregion_ros.regions import Profile, TextRegion, load_profile
from textregion_ros.regions.checkpoints import locate
from textregion_ros.regions.encoders import OPEN_CLIP
from textregion_ros.regions.encoders.crops import Tower
from textregion_ros.regions.encoders.open_clip_model import make_clip, read_clip_config
from textregion_ros.regions.proposers.sam2 import Sam2Proposer
from textregion_ros.regions.proposers.sam2_model import make_sam2, read_sam2_config

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
    config = read_sam2_config(locate(profile.sam2.model.config, profile.fetch_command))
    return make_sam2(config).eval().requires_grad_(False)


def random_tower(name: str) -> Tower:
    """The profile's visual tower with random weights on the CPU, for its pooling alone."""
    profile = load_profile(name)
    with torch.device("meta"):
        model = make_clip(read_clip_config(profile.encoder, profile.fetch_command))
    visual = randomise(model.visual.to_empty(device="cpu"))
    return OPEN_CLIP[profile.encoder.family].wrap(visual, profile.encoder)


def load(name: str, sam2: str | None, device: str) -> tuple[TextRegion, bool]:
    """The model of a profile, and whether its weights are the released ones."""
    profile = load_profile(name, sam2)
    try:
        return TextRegion.from_profile(name, device, sam2), True
    except CheckpointMissing:
        pass
    settings = profile.encoder
    model = make_clip(read_clip_config(settings, profile.fetch_command))
    if settings.logit_scale is not None:
        model.logit_scale.data.fill_(settings.logit_scale).log_()
    # Any tokenizer does for time: SigLIP2's own comes with its weights.
    tokenizer = open_clip.SimpleTokenizer(context_length=settings.context_length)
    family = OPEN_CLIP[settings.family]
    encoder = family.assemble(profile, model.to(device), tokenizer, f"{name} with random weights")
    # Random weights have no use for negatives, whose text takes a CPU most of a minute.
    bare = replace(profile, negatives=())
    proposer = Sam2Proposer.of(random_sam2(profile).to(device), profile.proposals)
    return TextRegion(bare, proposer, encoder), False

"""SAM 2 from its configuration and weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from textregion_ros.core.errors import BadProfile
from textregion_ros.regions.checkpoints import load_weights, locate
from textregion_ros.regions.proposers.sam2 import Sam2Proposer
from textregion_ros.regions.settings import Profile, Sam2Model

ALLOWED = ("sam2.", "textregion_ros.models.")
"""Where a configuration may take classes from: any other could run whatever it likes."""


def build_sam2_proposer(profile: Profile, device: torch.device) -> Sam2Proposer:
    """Return the proposer of a profile with SAM 2.

    Raises:
        BadProfile: The profile names no SAM 2, or its configuration and weights do not fit.
        CheckpointMissing, CheckpointAltered: A file is not there, or not the right one.
    """
    if profile.sam2 is None:
        raise BadProfile("sam2: proposals.source is sam2, but no SAM 2 is named")
    sam2 = build_sam2(profile.sam2.model, profile.fetch_command).to(device)
    if device.type == "cuda":  # the order that the convolutions of tensor cores work in
        sam2 = sam2.to(memory_format=torch.channels_last)
    return Sam2Proposer.of(sam2, profile.proposals, profile.sam2.cuda_precision)


def build_sam2(model: Sam2Model, fetch_command: str) -> nn.Module:
    """Return SAM 2 in evaluation mode on the CPU, weights loaded.

    Args:
        model: Its files.
        fetch_command: What brings them, for the error.

    Raises:
        BadProfile: Configuration and weights do not fit.
        CheckpointMissing, CheckpointAltered: A file is not there, or not the right one.
    """
    config = read_sam2_config(locate(model.config, fetch_command))
    weights = load_weights(locate(model.checkpoint, fetch_command))
    sam2 = make_sam2(config)
    try:
        sam2.load_state_dict(weights)
    except RuntimeError as error:
        raise BadProfile(f"{model.checkpoint.file} does not fit {model.config.file}") from error
    return sam2.eval().requires_grad_(False)


def read_sam2_config(path: Path) -> DictConfig:
    """Return the `model` node of a SAM 2 configuration, or the whole where it is just that node.

    Raises:
        BadProfile: It is no configuration, or makes something that is not of SAM 2.
    """
    config = OmegaConf.load(path)
    if not isinstance(config, DictConfig):
        raise BadProfile(f"{path} is no SAM 2 configuration: it is not a mapping")
    config = config.model if "model" in config else config
    check_targets(OmegaConf.to_container(config, resolve=True))
    return config


def check_targets(node: object) -> None:
    """Check that a configuration makes nothing but parts of SAM 2, at every depth.

    Raises:
        BadProfile: A `_target_` is no network of `sam2` or of this package's models.
    """
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(node["_target_"])
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            check_targets(part)


def _check_target(target: object) -> None:
    if not (isinstance(target, str) and target.startswith(ALLOWED)):
        raise BadProfile(f"a SAM 2 configuration may not make {target!r}")
    try:
        with hydra_untouched():
            found = get_class(target)
    except Exception as error:
        raise BadProfile(f"a SAM 2 configuration names {target!r}: {error}") from error
    # By way of a module's own imports, a path such as sam2.build_sam.torch.load leads anywhere.
    if not (issubclass(found, nn.Module) and found.__module__.startswith(ALLOWED)):
        raise BadProfile(f"a SAM 2 configuration may not make {target!r}")


def make_sam2(config: DictConfig) -> nn.Module:
    """Return the SAM 2 of a checked configuration, its weights random."""
    with hydra_untouched():
        sam2 = instantiate(config)
    if not isinstance(sam2, nn.Module):
        raise BadProfile(f"a SAM 2 configuration made a {type(sam2).__name__}")
    return sam2


@contextmanager
def hydra_untouched() -> Iterator[None]:
    """Leave Hydra's global state as it was: importing sam2 initialises it."""
    before = GlobalHydra.instance().hydra
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before

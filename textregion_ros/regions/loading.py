"""Profile -> built models: SAM2 and the image-text encoder, checked against what is pinned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import OmegaConf
from open_clip.factory import load_checkpoint
from open_clip.tokenizer import HFTokenizer
from torch import nn

from textregion_ros.models.pyramid import FeaturePyramid  # registers itself with timm
from textregion_ros.regions.checkpoints import load_weights, locate, sha256
from textregion_ros.regions.encoders import AttentionPoolEncoder, ClipEncoder
from textregion_ros.regions.errors import BadProfile, MissingExtra
from textregion_ros.regions.profile import Asset, EncoderSettings, Profile, Sam2Model
from textregion_ros.regions.pyramid_encoder import PyramidEncoder
from textregion_ros.regions.text import TextEncoder, openai_templates


@dataclass(frozen=True)
class Encoder:
    """A built image-text encoder.

    vision: ClipEncoder or AttentionPoolEncoder. text: sentences -> unit vectors. identity: names
    the weights. logit_scale, logit_bias: of the model's own similarity. score_scale, score_bias: of
    the relevancy score.
    """

    vision: nn.Module
    text: TextEncoder
    identity: str
    logit_scale: float
    logit_bias: float
    score_scale: float
    score_bias: float


@contextmanager
def hydra_untouched() -> Iterator[None]:
    """Hydra's global state afterwards as before: importing sam2 initialises it."""
    before = GlobalHydra.instance().hydra
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before


def read_sam2_config(path: Path) -> Any:
    """The `model` node of a SAM2 configuration, or the whole file where it is just that node."""
    config = OmegaConf.load(path)
    return config.model if "model" in config else config


def build_sam2(model: Sam2Model, profile_name: str) -> nn.Module:
    """SAM2 in evaluation mode on the CPU, weights loaded.

    Raises CheckpointMissing, CheckpointAltered, or BadProfile where weights and configuration
    do not fit.
    """
    config = read_sam2_config(locate(model.config, profile_name))
    weights = load_weights(locate(model.checkpoint, profile_name))
    with hydra_untouched():
        sam2 = instantiate(config)
    try:
        sam2.load_state_dict(weights)
    except RuntimeError as error:
        raise BadProfile(f"{model.checkpoint.file} does not fit {model.config.file}") from error
    return sam2.eval().requires_grad_(False)


def read_clip_config(settings: EncoderSettings, profile_name: str) -> dict[str, Any]:
    """open_clip's model configuration: by name, or from the profile's own JSON file."""
    if settings.config is not None:
        return json.loads(locate(settings.config, profile_name).read_text(encoding="utf-8"))
    config = open_clip.get_model_config(settings.model)
    if config is None:
        raise BadProfile(f"encoder.model: open_clip has no {settings.model!r}")
    return config


def make_clip(config: dict[str, Any]) -> nn.Module:
    """An open_clip model with random weights; open_clip's registry is left alone."""
    config = dict(config)
    custom = config.pop("custom_text", False)
    return (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config)


def build_encoder(profile: Profile, device: torch.device) -> Encoder:
    """The profile's encoder on `device`, weights loaded and everything pinned checked.

    Raises CheckpointMissing, CheckpointAltered, MissingExtra, or BadProfile where the model says
    otherwise than the profile.
    """
    settings = profile.encoder
    check_preprocessing(settings)
    checkpoint = locate(settings.checkpoint, profile.name)
    config = read_clip_config(settings, profile.name)
    model = make_clip(config)
    try:
        load_checkpoint(model, str(checkpoint))
    except (RuntimeError, KeyError) as error:
        raise BadProfile(f"{settings.checkpoint.file} does not fit the encoder's model") from error
    tokenizer = make_tokenizer(settings, config, profile.name)
    identity = f"{settings.model or profile.name}@{sha256(checkpoint)[:16]}"
    return assemble_encoder(profile, model.to(device), tokenizer, identity)


def assemble_encoder(profile: Profile, model: nn.Module, tokenizer: Any, identity: str) -> Encoder:
    """Wrap a built open_clip model as the profile says, after checking that they agree."""
    settings = profile.encoder
    model.eval().requires_grad_(False)
    vision = wrap_tower(settings, model.visual)
    check_model(settings, model, vision)
    device = next(model.parameters()).device
    scale = float(model.logit_scale.exp())
    bias = float(model.logit_bias) if getattr(model, "logit_bias", None) is not None else 0.0
    text = TextEncoder(
        lambda tokens: model.encode_text(tokens.to(device)),
        tokenizer,
        token_counter(tokenizer),
        settings.context_length,
        make_templates(profile.templates),
    )
    return Encoder(
        vision=vision,
        text=text,
        identity=identity,
        logit_scale=scale,
        logit_bias=bias,
        score_scale=scale if settings.score_scale == "checkpoint" else settings.score_scale,
        score_bias=bias if settings.score_bias == "checkpoint" else settings.score_bias,
    )


def wrap_tower(settings: EncoderSettings, visual: nn.Module) -> nn.Module:
    """The visual tower as the encoder of the profile's family."""
    if settings.family == "clip" and hasattr(visual, "transformer"):
        return ClipEncoder(visual, settings.last_block_mlp)
    if settings.family == "pyramid" and isinstance(getattr(visual, "trunk", None), FeaturePyramid):
        return PyramidEncoder(visual)
    if settings.family in ("siglip2", "pe") and getattr(visual, "trunk", None) is not None:
        return AttentionPoolEncoder(visual)
    raise BadProfile(f"encoder.family: the model is not of the family {settings.family}")


def check_preprocessing(settings: EncoderSettings) -> None:
    """Raises BadProfile where open_clip pins other constants for the same weights."""
    if settings.pretrained is None:
        return
    pinned = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)
    if not pinned:
        raise BadProfile(f"open_clip has no {settings.pretrained!r} of {settings.model!r}")
    for key in ("mean", "std", "interpolation"):
        ours, theirs = getattr(settings, key), pinned.get(key)
        if theirs is not None and ours != theirs:
            raise BadProfile(f"encoder.{key} is {ours}, but these weights take {theirs}")


@torch.inference_mode()
def check_model(settings: EncoderSettings, model: nn.Module, vision: nn.Module) -> None:
    """Raises BadProfile where sizes or the logit scale differ from the profile's."""
    size, device = settings.crop_size, next(model.parameters()).device
    sides = model.visual.image_size
    sides = (sides, sides) if isinstance(sides, int) else tuple(sides)
    _require("crop_size", size, sides[0] if sides[0] == sides[1] else sides)
    _require("context_length", settings.context_length, model.context_length)
    values = vision.values(torch.zeros(1, 3, size, size, device=device))[0]
    tokens = vision.pool(values, torch.ones(1, len(values), device=device))
    _require("embed_dim", settings.embed_dim, tokens.shape[1])
    ids = torch.zeros(1, settings.context_length, dtype=torch.long, device=device)
    _require("embed_dim", settings.embed_dim, model.encode_text(ids).shape[1])
    scale = float(model.logit_scale.exp())
    if settings.logit_scale is not None and abs(scale / settings.logit_scale - 1.0) > 0.01:
        raise BadProfile(f"encoder.logit_scale is {settings.logit_scale}, the model's {scale:.2f}")


def _require(name: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise BadProfile(f"encoder.{name} is {ours}, but the model's is {theirs}")


def make_tokenizer(settings: EncoderSettings, config: dict[str, Any], profile_name: str) -> Any:
    """open_clip's own tokenizer, or a Hugging Face one from the profile's local files.

    Raises MissingExtra where the latter needs `transformers` and it is not installed.
    """
    text = config["text_cfg"]
    if "hf_tokenizer_name" not in text:
        return open_clip.SimpleTokenizer(context_length=settings.context_length)
    if not settings.tokenizer:
        raise BadProfile("encoder.tokenizer: this model needs the files of its tokenizer")
    folder = _common_folder(settings.tokenizer, profile_name)
    try:
        return HFTokenizer(
            str(folder),
            context_length=settings.context_length,
            local_files_only=True,
            **text.get("tokenizer_kwargs", {}),
        )
    except ImportError as error:
        raise MissingExtra(
            "this profile's tokenizer needs transformers: pip install 'textregion_ros[siglip2]'"
        ) from error


def _common_folder(assets: tuple[Asset, ...], profile_name: str) -> Path:
    folders = {locate(asset, profile_name).parent for asset in assets}
    if len(folders) != 1:
        raise BadProfile("encoder.tokenizer: its files must lie in one folder")
    return folders.pop()


def token_counter(tokenizer: Any) -> Callable[[str], int]:
    """How many tokens a sentence takes, start and end included, without truncation."""
    if isinstance(tokenizer, HFTokenizer):
        return lambda text: len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)
    return lambda text: len(tokenizer.encode(text)) + 2


def make_templates(templates: str | tuple[str, ...]) -> tuple[Callable[[str], str], ...]:
    """Functions from a text to a prompt."""
    if templates == "openai":
        return openai_templates()
    return tuple(lambda text, t=template: t.replace("{}", text) for template in templates)

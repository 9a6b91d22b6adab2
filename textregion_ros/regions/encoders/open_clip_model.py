"""Encoders whose models open_clip defines: built from files, and checked against the profile."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import open_clip
import torch
from open_clip.factory import load_checkpoint
from open_clip.tokenizer import HFTokenizer
from torch import Tensor, nn

from textregion_ros.core.errors import BadProfile, MissingExtra
from textregion_ros.regions.checkpoints import check_numbers, locate, sha256
from textregion_ros.regions.encoders.crops import CropEncoder, Tower
from textregion_ros.regions.encoders.text import TextEncoder, knows_all, make_templates
from textregion_ros.regions.settings import EncoderSettings, Profile
from textregion_ros.regions.vocabulary import read_names, unknown_words

Config = dict[str, Any]
"""An open_clip model configuration."""


class Tokenizer(Protocol):
    """Sentences -> token numbers."""

    def __call__(self, texts: list[str]) -> Tensor:
        """Return int64 n×context, cut where a sentence is too long."""


@dataclass(frozen=True)
class OpenClipFamily:
    """How the encoders of one family are made.

    Attributes:
        wrap: Makes the visual tower of a model readable for region tokens; raises BadProfile where
            the model is not of the family.
        scaled_logits: Whether labels compare the model's own logits, and not cosines.
        encoder: What feeds images to the tower.
    """

    wrap: Callable[[nn.Module, EncoderSettings], Tower]
    scaled_logits: bool = False
    encoder: type[CropEncoder] = CropEncoder

    def build(self, profile: Profile, device: torch.device) -> CropEncoder:
        """Return the encoder of a profile, weights loaded and everything pinned checked.

        Raises:
            BadProfile: The model says otherwise than the profile.
            CheckpointMissing, CheckpointAltered: A file is not there, or not the right one.
            MissingExtra: The tokenizer needs a package that is not installed.
        """
        settings = profile.encoder
        check_preprocessing(settings)
        checkpoint = locate(settings.checkpoint, profile.fetch_command)
        config = read_clip_config(settings, profile.fetch_command)
        model = make_clip(config)
        try:
            load_checkpoint(model, str(checkpoint))
        except (RuntimeError, KeyError) as error:
            raise BadProfile(
                f"{settings.checkpoint.file} does not fit the encoder's model"
            ) from error
        check_numbers(model.state_dict(), checkpoint)
        tokenizer = make_tokenizer(settings, config, profile.fetch_command)
        identity = f"{settings.model or profile.name}@{sha256(checkpoint)[:16]}"
        model = model.to(device)
        if device.type == "cuda":  # the order that the convolutions of tensor cores work in
            model.get_submodule("visual").to(memory_format=torch.channels_last)
        return self.assemble(profile, model, tokenizer, identity)

    def assemble(
        self, profile: Profile, model: nn.Module, tokenizer: Tokenizer, identity: str
    ) -> CropEncoder:
        """Return the encoder of a built model, on the model's device.

        Raises:
            BadProfile: The model says otherwise than the profile.
        """
        settings = profile.encoder
        model.eval().requires_grad_(False)
        tower = self.wrap(model.get_submodule("visual"), settings)
        check_model(settings, model, tower)
        device = next(model.parameters()).device
        scale, bias = own_scale(model)
        return self.encoder(
            settings,
            tower,
            tower.values,
            text_encoder(profile, model, tokenizer, device),
            identity,
            device,
            score_scale=scale if settings.score_scale == "checkpoint" else settings.score_scale,
            score_bias=bias if settings.score_bias == "checkpoint" else settings.score_bias,
            logit_scale=scale if self.scaled_logits else 1.0,
            logit_bias=bias if self.scaled_logits else 0.0,
        )


def text_encoder(
    profile: Profile, model: nn.Module, tokenizer: Tokenizer, device: torch.device
) -> TextEncoder:
    """Return the text side of a built open_clip model.

    Raises:
        CheckpointMissing, CheckpointAltered: The list of names is not there, or not the right one.
    """
    built: Any = model
    words = profile.vocabulary
    names = None if words is None else read_names(locate(words, profile.fetch_command))
    return TextEncoder(
        lambda tokens: built.encode_text(tokens.to(device)),
        tokenizer,
        token_counter(tokenizer),
        profile.encoder.context_length,
        make_templates(profile.templates),
        knows_all if names is None else partial(unknown_words, names=names),
    )


def own_scale(model: nn.Module) -> tuple[float, float]:
    """Return scale and bias of a model's own similarity."""
    built: Any = model
    bias = getattr(built, "logit_bias", None)
    return float(built.logit_scale.exp()), 0.0 if bias is None else float(bias)


def read_clip_config(settings: EncoderSettings, fetch_command: str) -> Config:
    """Return open_clip's model configuration, by name or from the profile's own JSON file.

    Raises:
        BadProfile: open_clip has no model of that name.
        CheckpointMissing, CheckpointAltered: The file is not there, or not the right one.
    """
    if settings.config is not None:
        path = locate(settings.config, fetch_command)
        config: Config = json.loads(path.read_text(encoding="utf-8"))
        return config
    found: Config | None = open_clip.get_model_config(settings.model)
    if found is None:
        raise BadProfile(f"encoder.model: open_clip has no {settings.model!r}")
    return found


def make_clip(config: Config) -> nn.Module:
    """Return an open_clip model with random weights; open_clip's registry is left alone."""
    config = dict(config)
    custom = config.pop("custom_text", False)
    model: nn.Module = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config)
    return model


def check_preprocessing(settings: EncoderSettings) -> None:
    """Check that images are fed as open_clip pins it for these weights.

    Raises:
        BadProfile: They are not, or open_clip has no such weights.
    """
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
def check_model(settings: EncoderSettings, model: nn.Module, tower: Tower) -> None:
    """Check that sizes and the logit scale are the profile's.

    Raises:
        BadProfile: They are not.
    """
    size, device = settings.crop_size, next(model.parameters()).device
    built: Any = model
    sides = built.visual.image_size
    sides = (sides, sides) if isinstance(sides, int) else tuple(sides)
    _require("crop_size", size, sides[0] if sides[0] == sides[1] else sides)
    _require("context_length", settings.context_length, built.context_length)
    values = tower.values(torch.zeros(1, 3, size, size, device=device))[0]
    tokens = tower.pool(values, torch.ones(1, len(values), device=device))
    _require("embed_dim", settings.embed_dim, tokens.shape[1])
    ids = torch.zeros(1, settings.context_length, dtype=torch.long, device=device)
    _require("embed_dim", settings.embed_dim, built.encode_text(ids).shape[1])
    scale, _ = own_scale(model)
    if settings.logit_scale is not None and abs(scale / settings.logit_scale - 1.0) > 0.01:
        raise BadProfile(f"encoder.logit_scale is {settings.logit_scale}, the model's {scale:.2f}")


def _require(name: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise BadProfile(f"encoder.{name} is {ours}, but the model's is {theirs}")


def make_tokenizer(settings: EncoderSettings, config: Config, fetch_command: str) -> Tokenizer:
    """Return open_clip's own tokenizer, or a Hugging Face one from the profile's local files.

    Raises:
        BadProfile: The model needs tokenizer files that the profile does not name.
        MissingExtra: `transformers` is needed and not installed.
    """
    text = config["text_cfg"]
    if "hf_tokenizer_name" not in text:
        return open_clip.SimpleTokenizer(context_length=settings.context_length)
    if not settings.tokenizer:
        raise BadProfile("encoder.tokenizer: this model needs the files of its tokenizer")
    folder = _common_folder(settings, fetch_command)
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


def _common_folder(settings: EncoderSettings, fetch_command: str) -> Path:
    folders = {locate(asset, fetch_command).parent for asset in settings.tokenizer}
    if len(folders) != 1:
        raise BadProfile("encoder.tokenizer: its files must lie in one folder")
    return folders.pop()


def token_counter(tokenizer: Tokenizer) -> Callable[[str], int]:
    """Return what counts the tokens of a sentence, start and end included, without a cut."""
    if isinstance(tokenizer, HFTokenizer):
        return lambda text: len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)
    own: Any = tokenizer
    return lambda text: len(own.encode(text)) + 2

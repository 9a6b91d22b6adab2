"""Profiles: a named, validated choice of models and constants, read from YAML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import dacite
import yaml

from textregion_ros.regions.calibration import Calibration
from textregion_ros.regions.errors import BadProfile, UnknownProfile

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Asset:
    """A file a model is made from.

    source: "bundled" with this package; "local" path, relative to the profile; "hub" repository,
    brought by `textregion fetch`; "sam2": a file of that package. sha256: checked where given.
    """

    source: Literal["bundled", "local", "hub", "sam2"]
    file: str
    repo: str | None = None
    revision: str = "main"
    sha256: str | None = None

    def __post_init__(self) -> None:
        if (self.source == "hub") != (self.repo is not None):
            raise BadProfile(f"{self.file}: a repo is given for source hub, and only for it")
        if Path(self.file).is_absolute() != (self.source == "local"):
            raise BadProfile(f"{self.file}: only a local file has an absolute path")


@dataclass(frozen=True)
class Sam2Model:
    """One SAM2 to build: its configuration and its weights."""

    config: Asset
    checkpoint: Asset


@dataclass(frozen=True)
class Sam2Choice:
    """The SAM2 models a profile offers by size, and the one in use."""

    use: str
    sizes: dict[str, Sam2Model]
    cuda_precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if self.use not in self.sizes:
            raise BadProfile(f"sam2.use: {self.use!r} is not one of {', '.join(self.sizes)}")

    @property
    def model(self) -> Sam2Model:
        """The model in use."""
        return self.sizes[self.use]


@dataclass(frozen=True)
class ProposalSettings:
    """Constants of the mask stage.

    points_per_side: prompts per image side. prompts: "grid" asks them all, as published; "adaptive"
    a coarse grid first, then only what no sure mask accounts for. guided_points: prompts per text
    where only what a text speaks of is wanted. pred_iou_thresh: predicted IoU must exceed it.
    stability_thresh: least ratio of the areas at logit +offset and −offset (stability_offset).
    box_nms_thresh: box IoU above which the lower-scored mask is dropped. min_mask_size: area in
    low-resolution pixels a mask must exceed. min_part: parts of a mask apart from its largest and
    smaller than this share of it are taken out; 0 leaves them, as published. fuse_threshold:
    containment above which masks are one region, None to leave them apart. fuse_box_iou: only pairs
    above this box IoU are compared. mask_size: at the size of which image masks are compared and
    laid on the token grid.
    """

    points_per_side: int
    pred_iou_thresh: float
    stability_thresh: float
    stability_offset: float
    box_nms_thresh: float
    min_mask_size: int
    fuse_threshold: float | None
    min_part: float = 0.0
    fuse_box_iou: float = 0.2
    mask_size: Literal["rescaled", "camera"] = "rescaled"
    prompts: Literal["grid", "adaptive"] = "grid"
    guided_points: int = 16

    def __post_init__(self) -> None:
        shares = ("pred_iou_thresh", "stability_thresh", "box_nms_thresh", "min_part")
        _check_range("proposals", self, shares, 0.0, 1.0)
        _check_range("proposals", self, ("fuse_threshold", "fuse_box_iou"), 0.0, 1.0)
        _check_range("proposals", self, ("points_per_side", "guided_points"), 1, 128)
        _check_range("proposals", self, ("min_mask_size", "stability_offset"), 0, 1e6)


@dataclass(frozen=True)
class EncoderSettings:
    """The image-text encoder and how it is fed; loading checks it against the built model.

    resize_method: "multi_resolution" is the whole image and its windows, each squashed to
    crop_size; "resize" the whole image squashed; "whole" the whole image as it is, for encoders
    that take any size. model: open_clip's name, with `pretrained` the tag whose preprocessing must
    agree; or config: an open_clip model configuration (JSON). tokenizer: files of a Hugging Face
    tokenizer, if it needs one. crop_size: px of a view. rescale: (long, short) side in px the image
    is fitted into.
    global_views: strips, from left to right, in which the whole image is seen.
    normalise_values, last_block_mlp: variants of the CLIP token. logit_scale: what exp of the
    checkpoint's parameter must be (1 %). score_scale, score_bias: of the score, see grounding.py.
    cuda_precision: in which the encoder's vision runs on a GPU.
    """

    family: Literal["clip", "siglip2", "pe", "pyramid"]
    checkpoint: Asset
    crop_size: int
    context_length: int
    embed_dim: int
    mean: Triple
    std: Triple
    interpolation: Literal["bilinear", "bicubic"]
    rescale: tuple[int, int]
    model: str | None = None
    pretrained: str | None = None
    config: Asset | None = None
    tokenizer: tuple[Asset, ...] = ()
    resize_method: Literal["multi_resolution", "resize", "whole"] = "multi_resolution"
    global_views: int = 1
    remove_global_patch: bool = True
    global_patch_threshold: float = 0.07
    normalise_values: bool = False
    last_block_mlp: bool = False
    logit_scale: float | None = None
    score_scale: Literal["checkpoint"] | float = "checkpoint"
    score_bias: Literal["checkpoint"] | float = 0.0
    cuda_precision: Literal["float32", "bfloat16", "float16"] = "float32"

    def __post_init__(self) -> None:
        if (self.model is None) == (self.config is None):
            raise BadProfile("encoder: give either model or config")
        if self.family != "clip" and (self.normalise_values or self.last_block_mlp):
            raise BadProfile("encoder: normalise_values and last_block_mlp are for family clip")
        if min(self.rescale) < self.crop_size:
            raise BadProfile(f"encoder.rescale: {self.rescale} is below crop_size {self.crop_size}")
        _check_range("encoder", self, ("crop_size", "context_length", "embed_dim"), 1, 1 << 16)
        _check_range("encoder", self, ("global_patch_threshold",), -2.0, 2.0)
        _check_range("encoder", self, ("global_views",), 1, 8)


@dataclass(frozen=True)
class Profile:
    """Everything that decides an answer: models, constants, negatives, threshold, templates.

    negatives: texts every query is scored against. threshold: least score that counts as found.
    templates: "openai" for the 80 ImageNet prompts, or sentences with {} where the text goes.
    calibration: makes a probability of a region's logit; without it a score is the plain sigmoid.
    vocabulary: list of the names that the encoder was taught, one a line; without it, all words.
    """

    name: str
    sam2: Sam2Choice
    proposals: ProposalSettings
    encoder: EncoderSettings
    negatives: tuple[str, ...]
    threshold: float
    templates: Literal["openai"] | tuple[str, ...] = "openai"
    calibration: Calibration | None = None
    vocabulary: Asset | None = None

    def __post_init__(self) -> None:
        _check_range("profile", self, ("threshold",), 0.0, 1.0)
        if any(not text.strip() for text in self.negatives):
            raise BadProfile("negatives: a text is blank")
        if not self.templates or any("{}" not in t for t in self.templates if t not in "openai"):
            raise BadProfile("templates: every sentence needs {} where the text goes")

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Every file the models are made from."""
        chosen, encoder = self.sam2.model, self.encoder
        optional = tuple(asset for asset in (encoder.config, self.vocabulary) if asset)
        return (chosen.config, chosen.checkpoint, encoder.checkpoint, *optional, *encoder.tokenizer)


def profile_names() -> list[str]:
    """The bundled profiles."""
    folder = files("textregion_ros.regions") / "profiles"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_profile(name: str, sam2: str | None = None) -> Profile:
    """Read a bundled profile by name, or a YAML file by path; `sam2` picks another size.

    Raises UnknownProfile where there is no such profile or size, BadProfile where it is malformed.
    """
    profile = _parse(profile_path(name))
    if sam2 is None:
        return profile
    if sam2 not in profile.sam2.sizes:
        sizes = ", ".join(profile.sam2.sizes)
        raise UnknownProfile(f"profile {profile.name} has no SAM2 of size {sam2!r}, only {sizes}")
    return replace(profile, sam2=replace(profile.sam2, use=sam2))


def profile_path(name: str) -> Path:
    """The YAML file of a bundled profile by name, or of one by path. Raises UnknownProfile."""
    path = Path(name)
    if name in profile_names():
        return Path(str(files("textregion_ros.regions") / "profiles" / f"{name}.yaml"))
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise UnknownProfile(
            f"no profile {name!r}: give one of {', '.join(profile_names())}, or a .yaml file"
        )
    return path


def _parse(path: Path) -> Profile:
    hooks = {float: lambda value: float(value) if type(value) is int else value}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise BadProfile("it is not a mapping")
        data = _plain({"name": path.stem, **data}, path.resolve().parent)
        return dacite.from_dict(Profile, data, dacite.Config(strict=True, type_hooks=hooks))
    except (BadProfile, dacite.DaciteError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadProfile(f"profile {path}: {error}") from error


def _plain(data: Any, folder: Path) -> Any:
    """YAML lists as tuples, and local files as absolute paths."""
    if isinstance(data, list):
        return tuple(_plain(item, folder) for item in data)
    if not isinstance(data, dict):
        return data
    data = {key: _plain(value, folder) for key, value in data.items()}
    if data.get("source") == "local" and isinstance(data.get("file"), str):
        data["file"] = str(folder / Path(data["file"]).expanduser())
    return data


def _check_range(
    where: str, settings: Any, names: tuple[str, ...], low: float, high: float
) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise BadProfile(f"{where}.{name}: {value} is not within {low:g}..{high:g}")

"""What a profile says: which models, and every constant that decides an answer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from textregion_ros.core.errors import BadProfile
from textregion_ros.regions.calibration import Calibration
from textregion_ros.regions.devices import Precision

Triple = tuple[float, float, float]

REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
MAX_SIDE = 1 << 14  # px


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Check a number of a profile.

    Raises:
        BadProfile: It is no number, not finite, or not within low..high.
    """
    if isinstance(value, bool):  # which Python takes for 0 or 1
        raise BadProfile(f"{name}: {str(value).lower()} is no number")
    if not (math.isfinite(value) and low <= value <= high):
        raise BadProfile(f"{name}: {value} is not within {low:g}..{high:g}")


@dataclass(frozen=True)
class Asset:
    """A file that a model is made from.

    Attributes:
        source: "bundled" with this package; "local", a path of this machine; "hub", a repository
            from which `textregion fetch` brings the file; "sam2", a file of that Python package.
        file: Path within the source. For "local" an absolute path, which a profile may give
            relative to its own file.
        repo: owner/name, for source hub only.
        revision: Branch, tag or commit of the repository. Only a commit stays the same.
        sha256: Checked at every load where it is given.

    Raises:
        BadProfile: The repository or the path has the wrong form, or the path leads out of the
            source.
    """

    source: Literal["bundled", "local", "hub", "sam2"]
    file: str
    repo: str | None = None
    revision: str = "main"
    sha256: str | None = None

    def __post_init__(self) -> None:
        if (self.source == "hub") != (self.repo is not None):
            raise BadProfile(f"{self.file}: a repo is given for source hub, and only for it")
        if self.repo is not None and not REPOSITORY.fullmatch(self.repo):
            raise BadProfile(f"{self.repo!r} is no repository: it must be like owner/name")
        if Path(self.file).is_absolute() != (self.source == "local"):
            raise BadProfile(f"{self.file}: only a local file has an absolute path")
        parts = PurePosixPath(self.file.replace("\\", "/")).parts
        if self.source != "local" and (not parts or ".." in parts):
            raise BadProfile(f"{self.file!r} must be a path inside its source, without ..")


@dataclass(frozen=True)
class Sam2Model:
    """One SAM 2: its configuration and its weights."""

    config: Asset
    checkpoint: Asset


@dataclass(frozen=True)
class Sam2Choice:
    """The SAM 2 models that a profile offers, and the one in use.

    Attributes:
        use: Size in use.
        sizes: Size -> model. In a profile, the name of a table may stand here: `sam2.1`.
        cuda_precision: In which SAM 2 runs on a GPU.

    Raises:
        BadProfile: `use` is none of the sizes.
    """

    use: str
    sizes: dict[str, Sam2Model]
    cuda_precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.use not in self.sizes:
            raise BadProfile(f"sam2.use: {self.use!r} is not one of {', '.join(self.sizes)}")

    @property
    def model(self) -> Sam2Model:
        """The model in use."""
        return self.sizes[self.use]


@dataclass(frozen=True)
class ProposalSettings:
    """Where masks come from, and the constants of SAM 2's. The defaults are the published ones.

    Attributes:
        source: A name of the registry in `proposers`.
        points_per_side: Point prompts along each side of the image.
        prompts: "grid" asks at all points, as published; "adaptive" asks at a coarse grid first,
            then only where no sure mask lies.
        guided_points: Point prompts for each text, where only what texts speak of is wanted.
        pred_iou_thresh: A mask's predicted IoU must exceed it.
        stability_thresh: Least ratio of a mask's areas at logit +offset and −offset.
        stability_offset: The offset, in logits.
        box_nms_thresh: Box IoU above which the lower-scored of two masks is dropped.
        min_mask_size: Area that a mask must exceed, in pixels of the decoder's masks.
        min_part: A part of a mask that is apart from the largest, and smaller than this share of
            it, is taken out. 0 takes none out, as published.
        fuse_threshold: Containment above which two masks become one region; None fuses nothing.
        fuse_box_iou: Only pairs above this box IoU may fuse.
        mask_size: The image size at which masks are compared and laid on the token grid:
            "rescaled" to the encoder's working size, or the "camera" image's.

    Raises:
        BadProfile: A value is out of range.
    """

    source: str = "sam2"
    points_per_side: int = 16
    pred_iou_thresh: float = 0.6
    stability_thresh: float = 0.6
    stability_offset: float = 1.0
    box_nms_thresh: float = 0.9
    min_mask_size: int = 100
    fuse_threshold: float | None = 0.8
    fuse_box_iou: float = 0.2
    min_part: float = 0.0
    mask_size: Literal["rescaled", "camera"] = "rescaled"
    prompts: Literal["grid", "adaptive"] = "grid"
    guided_points: int = 16

    def __post_init__(self) -> None:
        where = "proposals"
        check_range(f"{where}.pred_iou_thresh", self.pred_iou_thresh, 0.0, 1.0)
        check_range(f"{where}.stability_thresh", self.stability_thresh, 0.0, 1.0)
        check_range(f"{where}.stability_offset", self.stability_offset, 0.0, 1e6)
        check_range(f"{where}.box_nms_thresh", self.box_nms_thresh, 0.0, 1.0)
        check_range(f"{where}.min_part", self.min_part, 0.0, 1.0)
        check_range(f"{where}.fuse_box_iou", self.fuse_box_iou, 0.0, 1.0)
        check_range(f"{where}.min_mask_size", self.min_mask_size, 0, 1e6)
        check_range(f"{where}.points_per_side", self.points_per_side, 1, 128)
        check_range(f"{where}.guided_points", self.guided_points, 1, 128)
        if self.fuse_threshold is not None:
            check_range(f"{where}.fuse_threshold", self.fuse_threshold, 0.0, 1.0)


@dataclass(frozen=True)
class EncoderSettings:
    """The image-text encoder and how it is fed. Loading checks it against the built model.

    Attributes:
        family: A name of the registry in `encoders`.
        checkpoint: The weights.
        crop_size: Side of a view, px.
        context_length: Longest text, tokens.
        embed_dim: Length of a token and of a text's vector.
        mean, std: Of the channels, taken out of a view.
        interpolation: How views are made.
        rescale: (long, short) side that the image is fitted into, px.
        model: open_clip's name of the model; give this or `config`.
        pretrained: open_clip's tag of the weights, whose preprocessing must be this one.
        config: An open_clip model configuration (JSON).
        tokenizer: Files of a Hugging Face tokenizer, where the model needs one.
        resize_method: Of families that see square views: "multi_resolution" sees the image whole
            and in windows; "resize" only squashed to one view.
        global_views: Strips, from left to right, in which the whole image is seen.
        remove_global_patch: Leave out patches that do not resemble their own regions.
        global_patch_threshold: Least advantage of its own regions that keeps a patch, in cosines.
        normalise_values, last_block_mlp: Variants of the CLIP token.
        logit_scale: What the checkpoint's scale must be, within 1 %.
        score_scale, score_bias: Of the score, see `grounding.relevancy`; "checkpoint" takes the
            model's own.
        cuda_precision: In which the visual network runs on a GPU.

    Raises:
        BadProfile: A value is out of range, or neither or both of `model` and `config` are given.
    """

    family: str
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
    resize_method: Literal["multi_resolution", "resize"] = "multi_resolution"
    global_views: int = 1
    remove_global_patch: bool = True
    global_patch_threshold: float = 0.07
    normalise_values: bool = False
    last_block_mlp: bool = False
    logit_scale: float | None = None
    score_scale: Literal["checkpoint"] | float = "checkpoint"
    score_bias: Literal["checkpoint"] | float = 0.0
    cuda_precision: Precision = "float32"

    def __post_init__(self) -> None:
        if (self.model is None) == (self.config is None):
            raise BadProfile("encoder: give either model or config")
        check_range("encoder.crop_size", self.crop_size, 1, MAX_SIDE)
        check_range("encoder.context_length", self.context_length, 1, 1 << 16)
        check_range("encoder.embed_dim", self.embed_dim, 1, 1 << 16)
        check_range("encoder.global_patch_threshold", self.global_patch_threshold, -2.0, 2.0)
        check_range("encoder.global_views", self.global_views, 1, 8)
        for side in self.rescale:
            check_range("encoder.rescale", side, 1, MAX_SIDE)
        if min(self.rescale) < self.crop_size:
            raise BadProfile(f"encoder.rescale: {self.rescale} is below crop_size {self.crop_size}")
        for mean in self.mean:
            check_range("encoder.mean", mean, -1e3, 1e3)
        for std in self.std:
            check_range("encoder.std", std, 1e-6, 1e3)
        if self.logit_scale is not None:
            check_range("encoder.logit_scale", self.logit_scale, 1e-6, 1e6)
        if not isinstance(self.score_scale, str):
            check_range("encoder.score_scale", self.score_scale, 1e-6, 1e6)
        if not isinstance(self.score_bias, str):
            check_range("encoder.score_bias", self.score_bias, -1e6, 1e6)


@dataclass(frozen=True)
class Profile:
    """Everything that decides an answer.

    Attributes:
        name: Of the bundled profile, or of the file without its ending.
        encoder: The image-text encoder.
        negatives: Texts that every text is scored against.
        threshold: Least score that counts as found, 0..1.
        sam2: The SAM 2 models; None where masks come from elsewhere.
        proposals: Where masks come from.
        templates: Sentences with {} where a text goes, or "openai" for the 80 of ImageNet.
        calibration: Makes a probability of a region's logit; None for the plain sigmoid.
        vocabulary: List of the names that the encoder was taught, one a line; None where it may
            have met every word.

    Raises:
        BadProfile: A value is out of range, a negative is blank, or a template has no {}.
    """

    name: str
    encoder: EncoderSettings
    negatives: tuple[str, ...]
    threshold: float
    sam2: Sam2Choice | None = None
    proposals: ProposalSettings = ProposalSettings()
    templates: Literal["openai"] | tuple[str, ...] = "openai"
    calibration: Calibration | None = None
    vocabulary: Asset | None = None

    def __post_init__(self) -> None:
        check_range("threshold", self.threshold, 0.0, 1.0)
        if any(not text.strip() for text in self.negatives):
            raise BadProfile("negatives: a text is blank")
        if self.templates == "openai":
            return
        if not self.templates or any("{}" not in template for template in self.templates):
            raise BadProfile("templates: every sentence needs {} where the text goes")

    @property
    def assets(self) -> tuple[Asset, ...]:
        """Every file that the models are made from."""
        sam2 = (self.sam2.model.config, self.sam2.model.checkpoint) if self.sam2 else ()
        optional = tuple(asset for asset in (self.encoder.config, self.vocabulary) if asset)
        return (*sam2, self.encoder.checkpoint, *optional, *self.encoder.tokenizer)

    @property
    def fetch_command(self) -> str:
        """The command that brings this profile's files from the hub."""
        several = self.sam2 is not None and len(self.sam2.sizes) > 1
        size = f" --sam2 {self.sam2.use}" if self.sam2 is not None and several else ""
        return f"textregion fetch {self.name}{size}"

"""TextRegion: an image into region tokens once, and any number of sentences asked of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textregion_ros.regions import grounding, views
from textregion_ros.regions.errors import BadImage, BadQuery, BadText, TextRegionError
from textregion_ros.regions.labelling import label_map
from textregion_ros.regions.loading import Encoder, build_encoder, build_sam2
from textregion_ros.regions.profile import Profile, load_profile
from textregion_ros.regions.proposals import Proposer, fuse, select_candidates
from textregion_ros.regions.results import EncodedFrame, Grounding
from textregion_ros.regions.tokens import grid_masks, group_max, region_tokens

DECODER_BYTES = {"cpu": 96 << 20, "cuda": 4 << 30}  # on a CPU, what its caches like
MAX_CLASSES = np.iinfo(np.int16).max


class Stopwatch:
    """Wall time between laps, ms; waits for the device, so that each stage pays for itself."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End the stage."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.laps[stage] = 1e3 * (now - self._last)
        self._last = now


@dataclass(frozen=True)
class RegionTensors:
    """The fused regions of a frame: mask logits R×L×L, unit tokens R×D."""

    masks: Tensor
    tokens: Tensor


class TextRegion:
    """Zero-shot region grounding with frozen models (TextRegion, arXiv 2505.23769).

    Not for use from several threads at once.
    """

    def __init__(self, profile: Profile, sam2: torch.nn.Module, encoder: Encoder) -> None:
        """From built models, both on the same device. Most callers want `from_profile`."""
        self.profile = profile
        self.encoder = encoder
        self.device = next(encoder.vision.parameters()).device
        budget = DECODER_BYTES.get(self.device.type, DECODER_BYTES["cpu"])
        self.proposer = Proposer(sam2, profile.proposals, budget).to(self.device)
        if profile.negatives:
            with torch.inference_mode():
                encoder.text(profile.negatives)

    @classmethod
    def from_profile(cls, name: str, device: str = "auto", sam2: str | None = None) -> TextRegion:
        """Load a bundled profile by name, or a profile YAML file by path.

        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1"… sam2: a size which the
        profile offers, such as "tiny". Downloads nothing. Raises UnknownProfile, BadProfile,
        CheckpointMissing, CheckpointAltered, MissingExtra, or TextRegionError for the device.
        """
        profile = load_profile(name, sam2)
        place = choose_device(device)
        built = build_sam2(profile.sam2.model, profile.name).to(place)
        return cls(profile, built, build_encoder(profile, place))

    @property
    def identity(self) -> str:
        """Names the encoder; frames of another identity are refused."""
        return self.encoder.identity

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray) -> EncodedFrame:
        """H×W×3 uint8 RGB -> the regions of the image, each with its token.

        Raises BadImage. An image without regions gives a frame with R = 0.
        """
        check_image(rgb)
        watch = Stopwatch(self.device)
        settings = self.profile.encoder
        if settings.resize_method == "resize":
            rescaled = views.squash(rgb, settings.crop_size)
        else:
            rescaled = views.rescale(rgb, settings.rescale)
        image = views.to_tensor(rescaled, self.device)
        watch.lap("preprocess")
        regions = self._regions(image, watch)
        masks = regions.masks.cpu().numpy()
        boxes = grounding.boxes_at(masks, rgb.shape[:2])
        seen = boxes[:, 2] > 0  # in a very small image a region may lie between the pixels
        overlaps = mask_overlaps(regions.masks).cpu().numpy()[np.ix_(seen, seen)]
        tokens = regions.tokens.float().cpu().numpy()[seen]
        watch.lap("boxes")
        return EncodedFrame(
            image_size=(int(rgb.shape[0]), int(rgb.shape[1])),
            masks=masks[seen],
            boxes=boxes[seen],
            tokens=tokens,
            overlaps=overlaps,
            stage_ms=watch.laps,
            encoder=self.identity,
        )

    def _regions(self, image: Tensor, watch: Stopwatch) -> RegionTensors:
        proposals, size = self.profile.proposals, tuple(image.shape[1:])
        bfloat16 = self.profile.sam2.cuda_precision == "bfloat16" and self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            features = self.proposer.features(image)
            watch.lap("sam_encoder")
            logits, ious = self.proposer.masks(features)
            watch.lap("sam_decoder")
        candidates = select_candidates(logits, ious, proposals)
        watch.lap("filter")
        groups = fuse(candidates, size, proposals)
        masks = group_max(candidates.logits, groups)
        watch.lap("fuse")
        if not len(masks):
            empty = torch.zeros(0, self.profile.encoder.embed_dim)
            return RegionTensors(masks, empty)
        values = self.values(image)
        watch.lap("views")
        soft = grid_masks(candidates.logits, groups, size, tuple(values.shape[:2]))
        tokens, kept = self._tokens(values, soft)
        watch.lap("tokens")
        return RegionTensors(masks[kept], tokens)

    def values(self, image: Tensor) -> Tensor:
        """Rescaled image float32 3×h×w in 0..1 -> patch values on the token grid, Ph×Pw×D."""
        settings, vision = self.profile.encoder, self.encoder.vision
        stack = image[None]
        if settings.resize_method == "multi_resolution":
            stack = views.multi_resolution_views(image, settings.crop_size, settings.interpolation)
        stack = views.normalise(stack, settings.mean, settings.std)
        counts = views.window_counts(*image.shape[1:], settings.crop_size)
        return views.merge_views(vision.values(stack), counts, vision.global_weight)

    def _tokens(self, values: Tensor, soft: Tensor) -> tuple[Tensor, Tensor]:
        settings = self.profile.encoder
        threshold = settings.global_patch_threshold if settings.remove_global_patch else None
        return region_tokens(
            self.encoder.vision, values.flatten(0, 1), soft, threshold, settings.normalise_values
        )

    @torch.inference_mode()
    def ground(
        self,
        frame: EncodedFrame,
        texts: Sequence[str],
        negatives: Sequence[str] = (),
        threshold: float | None = None,
        top_k: int = 1,
    ) -> list[Grounding]:
        """Find each text in the frame; answers come in the order asked.

        negatives: added to the profile's; a text is never its own negative. threshold: least score
        that counts as found, None for the profile's, 0 to always get the best region. top_k: the
        most regions per text, 0 for all; near-duplicates of a better region are left out.
        Raises BadText, BadQuery.
        """
        threshold = self.profile.threshold if threshold is None else threshold
        grounding.check_query(threshold, top_k)
        self._check_frame(frame)
        texts = self.encoder.text.check(texts)
        against = [*self.profile.negatives, *negatives]
        against = self.encoder.text.check(against) if against else []
        if not len(frame.tokens):
            return [Grounding(text, False, 0.0, (), None) for text in texts]
        vectors = self.encoder.text([*texts, *against])
        return [
            grounding.answer(
                frame,
                text,
                self._scores(frame, text, against, vectors[index], vectors[len(texts) :]),
                threshold,
                top_k,
            )
            for index, text in enumerate(texts)
        ]

    def _scores(
        self,
        frame: EncodedFrame,
        text: str,
        against: list[str],
        vector: np.ndarray,
        negatives: np.ndarray,
    ) -> np.ndarray:
        others = [other.casefold() != text.casefold() for other in against]
        return grounding.relevancy(
            frame.tokens,
            vector,
            negatives[np.array(others, bool)],
            self.encoder.score_scale,
            self.encoder.score_bias,
        )

    @torch.inference_mode()
    def label(self, frame: EncodedFrame, names: Sequence[str]) -> np.ndarray:
        """int16 H×W: for every pixel the best of `names`, k for the k-th; 0 where no region lies.

        Raises BadText.
        """
        self._check_frame(frame)
        names = self.encoder.text.check(names)
        if len(names) > MAX_CLASSES:
            raise BadText(f"{len(names)} names are more than a label map can hold ({MAX_CLASSES})")
        logits = frame.tokens @ self.encoder.text(names).T
        if self.profile.encoder.family == "siglip2":
            logits = self.encoder.logit_scale * logits + self.encoder.logit_bias
        return label_map(frame, logits)

    def _check_frame(self, frame: EncodedFrame) -> None:
        if frame.encoder != self.identity:
            raise BadQuery(f"the frame was encoded by {frame.encoder}, not by {self.identity}")


def choose_device(name: str) -> torch.device:
    """A torch device by name, or by "auto". Raises TextRegionError where it cannot be used."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TextRegionError(f"the device {name!r} cannot be used here: {error}") from error
    return device


def check_image(rgb: np.ndarray) -> None:
    """Raises BadImage for anything but H×W×3 uint8 with at least one pixel."""
    if not isinstance(rgb, np.ndarray):
        raise BadImage(f"an image must be a numpy array, not {type(rgb).__name__}")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        raise BadImage(f"an image must be H×W×3 uint8 with H, W ≥ 1, not {rgb.shape} {rgb.dtype}")


def mask_overlaps(logits: Tensor) -> Tensor:
    """float32 R×R: intersection over union of mask logits R×L×L above 0."""
    inside = (logits > 0).flatten(1).float()
    shared = inside @ inside.T
    area = inside.sum(1)
    return shared / (area[:, None] + area[None] - shared).clamp(min=1.0)

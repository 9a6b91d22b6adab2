"""TextRegion: an image into region tokens once, and any number of sentences asked of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from textregion_ros.regions import grounding, views
from textregion_ros.regions.errors import BadImage, BadQuery, TextRegionError
from textregion_ros.regions.labelling import Vocabulary, label_map
from textregion_ros.regions.loading import Encoder, build_encoder, build_sam2
from textregion_ros.regions.profile import Profile, load_profile
from textregion_ros.regions.proposals import Proposer, fuse, select_candidates
from textregion_ros.regions.results import EncodedFrame, Grounding
from textregion_ros.regions.tokens import grid_masks, group_max, region_tokens

DECODER_BYTES = {"cpu": 96 << 20, "cuda": 4 << 30}  # on a CPU, what its caches like


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
    """The fused regions of a frame: mask logits R×L×L, unit tokens R×D; dense Ph×Pw×D if asked."""

    masks: Tensor
    tokens: Tensor
    dense: Tensor | None = None


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
    def from_profile(
        cls, name: str | Profile, device: str = "auto", sam2: str | None = None
    ) -> TextRegion:
        """Load a bundled profile by name, a profile YAML file by path, or a profile made in code.

        device: "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1"… sam2: a size which the
        profile offers, such as "tiny". Downloads nothing. Raises UnknownProfile, BadProfile,
        CheckpointMissing, CheckpointAltered, MissingExtra, or TextRegionError for the device.
        """
        profile = load_profile(name, sam2) if isinstance(name, str) else name
        place = choose_device(device)
        built = build_sam2(profile.sam2.model, profile.name).to(place)
        return cls(profile, built, build_encoder(profile, place))

    @property
    def identity(self) -> str:
        """Names the encoder; frames of another identity are refused."""
        return self.encoder.identity

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray, dense: bool = False) -> EncodedFrame:
        """H×W×3 uint8 RGB -> the regions of the image, each with its token.

        dense: also keep what single patches say, for `label` where no region lies; some MB, and
        only CLIP has it. Raises BadImage, or BadQuery for dense of another encoder. An image
        without regions gives a frame with R = 0.
        """
        check_image(rgb)
        if dense and self.profile.encoder.family != "clip":
            raise BadQuery(f"{self.identity} has no dense features: only family clip has them")
        watch = Stopwatch(self.device)
        settings = self.profile.encoder
        if settings.resize_method == "resize":
            rescaled = views.squash(rgb, settings.crop_size)
        else:
            rescaled = views.rescale(rgb, settings.rescale)
        image = views.to_tensor(rescaled, self.device)
        watch.lap("preprocess")
        at_camera = self.profile.proposals.mask_size == "camera"
        size = rgb.shape[:2] if at_camera else rescaled.shape[:2]
        regions = self._regions(image, size, dense, watch)
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
            dense=None if regions.dense is None else regions.dense.float().cpu().numpy(),
        )

    def _regions(
        self, image: Tensor, size: tuple[int, int], dense: bool, watch: Stopwatch
    ) -> RegionTensors:
        proposals = self.profile.proposals
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
        if not len(masks) and not dense:
            empty = torch.zeros(0, self.profile.encoder.embed_dim)
            return RegionTensors(masks, empty)
        values, features = self.values_and_dense(image) if dense else (self.values(image), None)
        watch.lap("views")
        soft = grid_masks(candidates.logits, groups, size, tuple(values.shape[:2]))
        tokens, kept = self._tokens(values, soft)
        watch.lap("tokens")
        return RegionTensors(masks[kept], tokens, features)

    def values(self, image: Tensor) -> Tensor:
        """Rescaled image float32 3×h×w in 0..1 -> patch values on the token grid, Ph×Pw×D."""
        stack, counts = self._views(image)
        vision = self.encoder.vision
        return views.merge_views(vision.values(stack), counts, vision.global_weight)

    def values_and_dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """As `values`, and Ph×Pw×d sums of unit vectors to compare with text patch by patch."""
        stack, counts = self._views(image)
        values, dense = self.encoder.vision.values_and_dense(stack)
        merged = views.merge_views(values, counts, self.encoder.vision.global_weight)
        return merged, views.merge_views(dense, counts, global_weight=1.0)

    def _views(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        settings = self.profile.encoder
        stack = image[None]
        if settings.resize_method == "multi_resolution":
            stack = views.multi_resolution_views(
                image, settings.crop_size, settings.interpolation, settings.global_views
            )
        counts = views.window_counts(*image.shape[1:], settings.crop_size)
        return views.normalise(stack, settings.mean, settings.std), counts

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
    def label(
        self,
        frame: EncodedFrame,
        names: Sequence[str | Sequence[str]],
        background: Sequence[str] = (),
        threshold: float = 0.0,
        uncovered: Literal["unknown", "first", "dense"] = "unknown",
        size: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """int16 H×W: for every pixel the best of `names`, k for the k-th; 0 for none of them.

        names: each a text, or several phrasings of one class, of which the best counts.
        background: texts that the names compete with; where one wins, the label is 0.
        threshold: 0..1; where the softmax of the best text over all texts is less, the label is 0.
        uncovered: the label of a pixel in no region: "unknown" is 0; "dense" is what its own patch
        says, for frames encoded with dense=True; "first" is the first text, the background's if
        there is one, as in the published evaluation of encoders without dense features.
        size: (H, W) of the map, else the camera image's.
        Raises BadText, BadQuery.
        """
        self._check_frame(frame)
        grounding.check_query(threshold, top_k=0)
        if uncovered == "dense" and frame.dense is None:
            raise BadQuery("dense labels need a frame encoded with dense=True")
        vocabulary = Vocabulary.of(names, background)
        texts = self.encoder.text.check(vocabulary.texts)
        vectors = torch.from_numpy(self.encoder.text(texts)).to(self.device).T
        logits = torch.from_numpy(frame.tokens).to(self.device) @ vectors
        if self.profile.encoder.family == "siglip2":
            logits = self.encoder.logit_scale * logits + self.encoder.logit_bias
        dense = None
        if uncovered == "dense":
            dense = torch.from_numpy(frame.dense).to(self.device) @ vectors
        return label_map(frame, vocabulary, logits, dense, threshold, uncovered == "unknown", size)

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

"""From an image to its regions: all work on the device, which ends with one download."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textregion_ros.regions import grounding, views
from textregion_ros.regions.loading import Encoder
from textregion_ros.regions.profile import Profile
from textregion_ros.regions.prompts import Prompted, Proposer
from textregion_ros.regions.proposals import fuse, select_candidates
from textregion_ros.regions.results import EncodedFrame
from textregion_ros.regions.tokens import grid_masks, group_max, region_tokens


class Stopwatch:
    """Time between laps, ms; on a GPU by events in its queue, so that no lap waits for it."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._stages: list[str] = []
        self._marks = [self._mark()]

    def _mark(self) -> float | torch.cuda.Event:
        if not self._cuda:
            return 1e3 * time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def lap(self, stage: str) -> None:
        """End the stage."""
        self._stages.append(stage)
        self._marks.append(self._mark())

    def read(self) -> dict[str, float]:
        """Each stage's time; waits for the device."""
        if self._cuda:
            self._marks[-1].synchronize()
        pairs = zip(self._stages, self._marks[:-1], self._marks[1:], strict=True)
        return {
            stage: first.elapsed_time(last) if self._cuda else last - first
            for stage, first, last in pairs
        }


@dataclass(frozen=True)
class ImageFeatures:
    """What the two encoders make of one image, on the device: prompts are answered from it.

    camera_size: (H, W) of the camera image; size: (h, w) at which masks are compared. sam: SAM2's
    feature maps 1×C×h×w, finest first. values: patch values Ph×Pw×D. dense: Ph×Pw×d, if asked for.
    """

    camera_size: tuple[int, int]
    size: tuple[int, int]
    sam: list[Tensor]
    values: Tensor
    dense: Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        dense = 0 if self.dense is None else self.dense.nbytes
        return sum(level.nbytes for level in self.sam) + self.values.nbytes + dense


class Extractor:
    """The two vision models of a profile and what is done with their output."""

    def __init__(self, profile: Profile, proposer: Proposer, encoder: Encoder) -> None:
        self._profile = profile
        self._proposer = proposer
        self._encoder = encoder
        self._device = next(encoder.vision.parameters()).device

    def features(self, rgb: np.ndarray, dense: bool, watch: Stopwatch) -> ImageFeatures:
        """Run both encoders on an image H×W×3 uint8."""
        settings = self._profile.encoder
        if settings.resize_method == "resize":
            rescaled = views.squash(rgb, settings.crop_size)
        elif settings.resize_method == "whole":
            rescaled = views.whole(rgb, settings.rescale, self._encoder.vision.multiple)
        else:
            rescaled = views.rescale(rgb, settings.rescale)
        image = views.to_tensor(rescaled, self._device)
        watch.lap("preprocess")
        with self.sam_precision():
            maps = self._proposer.features(image)
        watch.lap("sam_encoder")
        with self._precision(settings.cuda_precision):
            values, features = self._values(image, dense)
        watch.lap("views")
        at_camera = self._profile.proposals.mask_size == "camera"
        size = rgb.shape[:2] if at_camera else rescaled.shape[:2]
        return ImageFeatures(tuple(rgb.shape[:2]), tuple(size), maps, values, features)

    def sam_precision(self) -> AbstractContextManager:
        """The precision in which SAM2's encoder and decoder run."""
        return self._precision(self._profile.sam2.cuda_precision)

    def _precision(self, name: str) -> AbstractContextManager:
        dtype = getattr(torch, name)
        enabled = self._device.type == "cuda" and dtype != torch.float32
        return torch.autocast(
            self._device.type, dtype if enabled else torch.bfloat16, enabled=enabled
        )

    def _values(self, image: Tensor, dense: bool) -> tuple[Tensor, Tensor | None]:
        """Rescaled image float32 3×h×w -> patch values Ph×Pw×D, and dense features if asked for."""
        settings, vision = self._profile.encoder, self._encoder.vision
        stack = image[None]
        if settings.resize_method == "multi_resolution":
            stack = views.multi_resolution_views(
                image, settings.crop_size, settings.interpolation, settings.global_views
            )
        stack = views.normalise(stack, settings.mean, settings.std)
        if settings.resize_method == "whole":
            rows = image.shape[1] // self._encoder.vision.stride
            return self._encoder.vision.values(stack)[0].unflatten(0, (rows, -1)).float(), None
        counts = views.window_counts(*image.shape[1:], settings.crop_size)
        values, each = vision.values_and_dense(stack) if dense else (vision.values(stack), None)
        merged = views.merge_views(values.float(), counts, vision.global_weight)
        if each is None:
            return merged, None
        return merged, views.merge_views(each.float(), counts, global_weight=1.0)

    def frame(self, features: ImageFeatures, prompted: Prompted, watch: Stopwatch) -> EncodedFrame:
        """The regions of the prompted masks. The device's work ends in here."""
        masks, tokens = self._regions(features, prompted, watch)
        overlaps = grounding.mask_overlaps(masks)
        dense = None if features.dense is None else features.dense.cpu().numpy()
        masks, tokens, overlaps = (part.cpu().numpy() for part in (masks, tokens, overlaps))
        boxes = grounding.boxes_at(masks, features.camera_size)
        seen = boxes[:, 2] > 0  # in a very small image a region may lie between the pixels
        watch.lap("boxes")
        return EncodedFrame(
            image_size=features.camera_size,
            masks=masks[seen],
            boxes=boxes[seen],
            tokens=tokens[seen],
            overlaps=overlaps[np.ix_(seen, seen)],
            stage_ms=watch.read(),
            encoder=self._encoder.identity,
            dense=dense,
            prompts=len(prompted[0]),
        )

    def _regions(
        self, features: ImageFeatures, prompted: Prompted, watch: Stopwatch
    ) -> tuple[Tensor, Tensor]:
        """Mask logits R×L×L and unit tokens R×D float32. No step is taken region by region."""
        proposals, settings = self._profile.proposals, self._profile.encoder
        candidates = select_candidates(*prompted, proposals)
        watch.lap("filter")
        groups = fuse(candidates, features.size, proposals)
        masks = group_max(candidates.logits, groups)
        watch.lap("fuse")
        if not len(masks):
            return masks, torch.zeros(0, settings.embed_dim, device=self._device)
        values = features.values
        soft = grid_masks(candidates.logits, groups, features.size, tuple(values.shape[:2]))
        threshold = settings.global_patch_threshold if settings.remove_global_patch else None
        tokens, kept = region_tokens(
            self._encoder.vision,
            values.flatten(0, 1),
            soft,
            threshold,
            settings.normalise_values,
        )
        watch.lap("tokens")
        return masks[kept], tokens.float()

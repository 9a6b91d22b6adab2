"""SAM 2 asked for masks at points, in the order that needs the fewest.

Most points of TextRegion's grid (arXiv 2505.23769) ask for what is known already. `adaptive` asks
at a coarse grid first, and of the finer one only at points that no sure mask covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textregion_ros.regions.devices import Precision, cuda_precision
from textregion_ros.regions.networks import Compile, ImageFeatures, PointMasks
from textregion_ros.regions.proposers.candidates import fuse, passing, stability
from textregion_ros.regions.proposers.prompts import grid, lattice
from textregion_ros.regions.proposers.protocol import Candidates, Features
from textregion_ros.regions.proposers.sam2_decoder import Attend, ImageDecoder
from textregion_ros.regions.settings import ProposalSettings
from textregion_ros.regions.stopwatch import Stopwatch

PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
STEPS = (2, 1)  # adaptive: every second point of every second row, then what is left
SURE = 4.0  # mask logit: probability 0.98
DECODER_BYTES = {"cpu": 96 << 20, "cuda": 4 << 30}  # on a CPU, what its caches like


@dataclass(frozen=True, eq=False)
class TorchImageFeatures:
    """SAM 2's image encoder, run by PyTorch.

    Attributes:
        sam2: The whole model.
    """

    sam2: nn.Module

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return feature maps, see `ImageFeatures`."""
        sam2: Any = self.sam2
        _, flat, _, sizes = sam2._prepare_backbone_features(sam2.forward_image(images))
        if sam2.directly_add_no_mem_embed:
            flat[-1] = flat[-1] + sam2.no_mem_embed
        return [
            level.permute(1, 2, 0).unflatten(2, size)
            for level, size in zip(flat, sizes, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class TorchPointMasks:
    """SAM 2's mask decoder, run by PyTorch on chunks of points.

    Attributes:
        sam2: The whole model.
        chunk: Most points at once; bounds the working memory.
        attend: The decoder's transformer.
        fill: Whether the last chunk is filled up, for code compiled for one size.
    """

    sam2: nn.Module
    chunk: int
    attend: Attend = ImageDecoder.attend
    fill: bool = False

    @classmethod
    def within(cls, sam2: nn.Module, budget_bytes: int) -> TorchPointMasks:
        """Return a decoder whose working memory stays within a budget."""
        model: Any = sam2
        side = model.sam_image_embedding_size
        # Image tokens and their projections, and the upscaled embedding with its activations.
        per_point = 4 * side * side * model.hidden_dim * 24
        return cls(sam2, max(1, budget_bytes // per_point))

    def __call__(
        self, features: Sequence[Tensor], points: Tensor, least_iou: float
    ) -> tuple[Tensor, Tensor]:
        """Return three masks for each point, see `PointMasks`."""
        decoder = ImageDecoder(self.sam2, features)
        sam2: Any = self.sam2
        count, side = len(points), 4 * sam2.sam_image_embedding_size
        if self.fill and count % self.chunk:
            points = torch.cat([points, points[:1].expand(-count % self.chunk, -1)])
        logits = points.new_empty(len(points), 3, side, side, dtype=torch.float16)
        ious = points.new_empty(len(points), 3)
        for start in range(0, len(points), self.chunk):
            part = slice(start, start + self.chunk)
            logits[part], ious[part] = decoder.decode(points[part], least_iou, self.attend)
        return logits[:count], ious[:count]

    def compiled(self, compile_: Compile) -> TorchPointMasks:
        """Return the same with its transformer compiled."""
        return replace(self, attend=compile_(self.attend), fill=True)


@dataclass(frozen=True, eq=False)
class Sam2Proposer:
    """Masks from SAM 2's point prompts.

    Attributes:
        image_features, point_masks: The networks.
        settings: Which points, and which masks pass.
        side: Of SAM 2's square input, px.
        precision: Of the networks on a GPU.
    """

    image_features: ImageFeatures
    point_masks: PointMasks
    settings: ProposalSettings
    side: int
    precision: Precision = "float32"

    @classmethod
    def of(
        cls, sam2: nn.Module, settings: ProposalSettings, precision: Precision = "float32"
    ) -> Sam2Proposer:
        """Return a proposer whose networks PyTorch runs.

        Args:
            sam2: The model, on its device.
            settings: Which points, and which masks pass.
            precision: Of the networks on a GPU.
        """
        device = next(sam2.parameters()).device
        budget = DECODER_BYTES.get(device.type, DECODER_BYTES["cpu"])
        masks = TorchPointMasks.within(sam2, budget)
        model: Any = sam2
        return cls(TorchImageFeatures(sam2), masks, settings, model.image_size, precision)

    def prepare(self, image: Tensor) -> Features:
        """Return SAM 2's feature maps of an image float32 3×h×w in 0..1."""
        size = (self.side, self.side)
        image = F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)
        mean, std = (image.new_tensor(pixel)[:, None, None] for pixel in (PIXEL_MEAN, PIXEL_STD))
        with cuda_precision(image.device, self.precision):
            return self.image_features((image - mean) / std)

    def propose(self, features: Features, size: tuple[int, int], watch: Stopwatch) -> Candidates:
        """Return masks of everything in the image, see `Proposer`."""
        points = self.side * grid(self.settings.points_per_side, features[-1].device)
        if self.settings.prompts == "grid":
            prompted = self._ask(features, points)
        else:
            prompted = self._ask_by_steps(features, points)
        return self._candidates(*prompted, size, watch)

    def propose_at(
        self, features: Features, places: Tensor, size: tuple[int, int], watch: Stopwatch
    ) -> Candidates:
        """Return masks of what lies at some places, see `Proposer`."""
        return self._candidates(*self._ask(features, self.side * places), size, watch)

    def compiled(self, compile_: Compile) -> Sam2Proposer:
        """Return the same with its networks compiled; another runtime's are left alone."""
        masks = self.point_masks
        if isinstance(masks, TorchPointMasks):
            masks = masks.compiled(compile_)
        return replace(self, image_features=compile_(self.image_features), point_masks=masks)

    def _ask(self, features: Features, points: Tensor) -> tuple[Tensor, Tensor]:
        with cuda_precision(points.device, self.precision):
            return self.point_masks(features, points, self.settings.pred_iou_thresh)

    def _ask_by_steps(self, features: Features, points: Tensor) -> tuple[Tensor, Tensor]:
        left = torch.ones(len(points), dtype=torch.bool, device=points.device)
        parts = []
        for step in STEPS:
            asked = left & lattice(self.settings.points_per_side, step).to(left.device)
            parts.append(self._ask(features, points[asked]))
            left &= ~(asked | self._known(*parts[-1], points))
        logits, ious = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(ious)

    def _known(self, logits: Tensor, ious: Tensor, points: Tensor) -> Tensor:
        """Return which points lie surely inside a first mask that passes the filters: bool [n²].

        A point's first mask is the least thing there (a sub-part, or this package's own SAM 2's
        region at the point): to ask elsewhere in it gives the same three answers. The other masks
        may hold things that nobody asked about yet.
        """
        logits, ious, settings = logits[:, 0], ious[:, 0], self.settings
        sure = (ious > settings.pred_iou_thresh) & (
            stability(logits, settings.stability_offset) >= settings.stability_thresh
        )
        x, y = (points * (logits.shape[-1] / self.side)).long().T
        return (sure[:, None] & (logits[:, y, x] > SURE)).any(0)

    def _candidates(
        self, logits: Tensor, ious: Tensor, size: tuple[int, int], watch: Stopwatch
    ) -> Candidates:
        watch.lap("sam_decoder")
        passed = passing(logits, ious, self.settings)
        watch.lap("filter")
        groups = fuse(passed, size, self.settings)
        return Candidates(passed.logits, groups, prompts=len(logits))

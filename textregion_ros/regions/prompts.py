"""SAM2 asked for masks at points: which points, and in what order.

Of TextRegion's grid of points (arXiv 2505.23769) most ask for what is known already: `adaptive`
asks a coarse grid first, and of the finer ones only the points that no mask accounts for. `peaks`
finds the few points that matter to one sentence.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textregion_ros.regions.decoder import ImageDecoder
from textregion_ros.regions.profile import ProposalSettings
from textregion_ros.regions.proposals import stability

PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
STEPS = (2, 1)  # adaptive: every second point of every second row, then what is left
SURE = 4.0  # mask logit: probability 0.98

Prompted = tuple[Tensor, Tensor]
"""Of P prompts: mask logits float16 P×3×L×L, predicted IoU float32 P×3."""


class Proposer(nn.Module):
    """A SAM2 model asked for masks at points."""

    def __init__(self, sam2: nn.Module, settings: ProposalSettings, budget_bytes: int) -> None:
        """`budget_bytes` bounds the decoder's working memory; prompts are run in chunks."""
        super().__init__()
        self.sam2 = sam2
        self.settings = settings
        side = sam2.sam_image_embedding_size
        # Image tokens and their projections, and the upscaled embedding with its activations.
        per_prompt = 4 * side * side * sam2.hidden_dim * 24
        self.chunk = max(1, budget_bytes // per_prompt)
        self.attend = ImageDecoder.attend  # or the same compiled
        self.fixed_chunks = False  # fill the last chunk up, for compiled code knows but one size
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD)[:, None, None], persistent=False)

    def features(self, image: Tensor) -> list[Tensor]:
        """Image float32 3×h×w in 0..1 -> feature maps 1×C×h×w, finest first, coarsest last."""
        side = self.sam2.image_size
        image = F.interpolate(image[None], size=(side, side), mode="bilinear", align_corners=False)
        encoded = self.sam2.forward_image((image - self.mean) / self.std)
        _, flat, _, sizes = self.sam2._prepare_backbone_features(encoded)
        if self.sam2.directly_add_no_mem_embed:
            flat[-1] = flat[-1] + self.sam2.no_mem_embed
        return [
            level.permute(1, 2, 0).unflatten(2, size)
            for level, size in zip(flat, sizes, strict=True)
        ]

    def points(self) -> Tensor:
        """Prompts of the grid, row by row: float32 n²×2, x y in pixels of SAM2's input."""
        n, side = self.settings.points_per_side, self.sam2.image_size
        axis = (torch.arange(n, device=self.mean.device) + 0.5) / n * side
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        return torch.stack([x.flatten(), y.flatten()], 1)

    def masks(self, features: list[Tensor]) -> Prompted:
        """The masks of an image, at the points that the profile's `prompts` says.

        Prompts that cannot pass the IoU filter have zeros for their masks.
        """
        decoder, points = ImageDecoder(self.sam2, features), self.points()
        if self.settings.prompts == "grid":
            return self._decode(decoder, points)
        left = torch.ones(len(points), dtype=torch.bool, device=points.device)
        parts: list[Prompted] = []
        for step in STEPS:
            asked = left & lattice(self.settings.points_per_side, step).to(left.device)
            parts.append(self._decode(decoder, points[asked]))
            left &= ~(asked | self._known(*parts[-1], points))
        logits, ious = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(ious)

    def masks_at(self, features: list[Tensor], places: Tensor) -> Prompted:
        """The masks at `places` P×2, x y as shares of the image's width and height."""
        return self._decode(ImageDecoder(self.sam2, features), places * self.sam2.image_size)

    def _decode(self, decoder: ImageDecoder, points: Tensor) -> Prompted:
        count, side = len(points), 4 * self.sam2.sam_image_embedding_size
        if self.fixed_chunks and count % self.chunk:
            points = torch.cat([points, points[:1].expand(-count % self.chunk, -1)])
        logits = points.new_empty(len(points), 3, side, side, dtype=torch.float16)
        ious = points.new_empty(len(points), 3)
        for start in range(0, len(points), self.chunk):
            chunk = slice(start, start + self.chunk)
            logits[chunk], ious[chunk] = decoder.decode(
                points[chunk], self.settings.pred_iou_thresh, self.attend
            )
        return logits[:count], ious[:count]

    def _known(self, logits: Tensor, ious: Tensor, points: Tensor) -> Tensor:
        """Bool [n²]: the points surely inside a prompt's first mask, if that passes the filters.

        A prompt's first mask is the least thing at its point (a sub-part, or this package's own
        SAM2's region at the point): to ask elsewhere in it gives the same three answers. The other
        masks may hold things that nobody asked about yet.
        """
        logits, ious, settings = logits[:, 0], ious[:, 0], self.settings
        sure = (ious > settings.pred_iou_thresh) & (
            stability(logits, settings.stability_offset) >= settings.stability_thresh
        )
        x, y = (points * (logits.shape[-1] / self.sam2.image_size)).long().T
        return (sure[:, None] & (logits[:, y, x] > SURE)).any(0)


def lattice(side: int, step: int) -> Tensor:
    """Bool [side²]: every `step`-th point of every `step`-th row of a grid, well inside of it."""
    axis = torch.arange(side) % step == step // 2
    if not axis.any():  # the grid is smaller than one step
        axis[side // 2] = True
    return (axis[:, None] & axis).flatten()


def peaks(relevance: Tensor, count: int) -> Tensor:
    """Where texts are most relevant: float32 P×2, x y as shares of the width and height.

    `relevance`: Q×h×w, any scale; it is smoothed over 3×3 cells, so that a speck counts less than
    a thing. The `count` highest local maxima of each text, or all of them, each cell once.
    """
    relevance = F.avg_pool2d(relevance[None], 3, stride=1, padding=1, count_include_pad=False)[0]
    highest = F.max_pool2d(relevance[None], 3, stride=1, padding=1)[0]
    maxima = relevance.masked_fill(relevance < highest, float("-inf")).flatten(1)
    best = maxima.topk(min(count, maxima.shape[1]))
    cells = best.indices[best.values.isfinite()].unique()
    width, height = relevance.shape[2], relevance.shape[1]
    return torch.stack([(cells % width + 0.5) / width, (cells // width + 0.5) / height], 1)

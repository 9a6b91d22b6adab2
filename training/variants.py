"""What region tokens are compared with: the same encoder fed and read in other ways.

Every variant is asked like a TextRegion: `encode(rgb)`, then `ground(frame, texts, …)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from textregion_ros.regions import EncodedFrame, Grounding, Profile, Region, TextRegion, views
from textregion_ros.regions.grounding import mask_box, relevancy
from textregion_ros.regions.loading import Encoder
from textregion_ros.regions.profile import ProposalSettings
from textregion_ros.regions.prompts import Proposer

MARGIN = 1.2
"""Side of a crop over that of its region's box; the crops that demo's CLIP learnt from have such
a rim too."""
GRIDS = (8, 16, 32)


class Sam2Runs:
    """SAM2's results for one picture, each with its time, for all variants that share them."""

    def __init__(self) -> None:
        self._image: Tensor | None = None
        self._results: dict[Hashable, tuple[Any, float]] = {}

    def share(self, proposer: Proposer) -> None:
        """Let a proposer run only what no proposer of these runs has run for its picture."""
        features, masks, settings = proposer.features, proposer.masks, proposer.settings

        def features_once(image: Tensor) -> list[Tensor]:
            if self._image is None or not torch.equal(self._image, image):
                self._image = image
                self._results.clear()
            return self._once("features", features, image)

        proposer.features = features_once
        proposer.masks = lambda maps: self._once(settings, masks, maps)

    def stage_ms(self, settings: ProposalSettings) -> dict[str, float]:
        """What the runs for the last picture took, by the pipeline's names of the stages."""
        return {
            "sam_encoder": self._results["features"][1],
            "sam_decoder": self._results[settings][1],
        }

    def _once(self, key: Hashable, run: Callable[[Any], Any], argument: Any) -> Any:
        if key not in self._results:
            start = time.perf_counter()
            self._results[key] = (run(argument), 1e3 * (time.perf_counter() - start))
        return self._results[key][0]


class Tokens(TextRegion):
    """Region tokens as this package computes them, with SAM2's masks from shared runs."""

    def __init__(self, profile: Profile, sam2: nn.Module, encoder: Encoder, runs: Sam2Runs) -> None:
        super().__init__(profile, sam2, encoder)
        self._runs = runs
        runs.share(self.proposer)

    def encode(self, rgb: np.ndarray) -> EncodedFrame:
        """As TextRegion.encode; the shared stages count in full."""
        frame = super().encode(rgb)
        frame.stage_ms.update(self._runs.stage_ms(self.profile.proposals))
        return frame


class WholeView(nn.Module):
    """An encoder that sees the whole picture once, and no windows."""

    global_weight = 1.0

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision
        self.pool = vision.pool

    def values(self, stack: Tensor) -> Tensor:
        """As the encoder's, the windows' values all 0."""
        whole = self.vision.values(stack[:1])
        return F.pad(whole, (0, 0, 0, 0, 0, len(stack) - 1))


class WindowViews(WholeView):
    """An encoder that sees the windows of a picture, and never the whole."""

    global_weight = 0.0

    def values(self, stack: Tensor) -> Tensor:
        """As the encoder's, the whole picture's values all 0; a single view is the picture."""
        if len(stack) == 1:
            return self.vision.values(stack)
        return F.pad(self.vision.values(stack[1:]), (0, 0, 0, 0, 1, 0))


class Crops(Tokens):
    """Every region cut out and encoded as a picture of its own, the model's own embedding."""

    grey = False

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray) -> EncodedFrame:
        """As TextRegion.encode, but with the embedding of its crop for a region's token."""
        frame = super().encode(rgb)
        start = time.perf_counter()
        tokens = self._embed(rgb, frame) if len(frame.tokens) else frame.tokens
        stages = {k: v for k, v in frame.stage_ms.items() if k not in ("views", "tokens")}
        stages["crops"] = 1e3 * (time.perf_counter() - start)
        return replace(frame, tokens=tokens, stage_ms=stages)

    def _embed(self, rgb: np.ndarray, frame: EncodedFrame) -> np.ndarray:
        settings, vision = self.profile.encoder, self.encoder.vision
        image = views.to_tensor(rgb, self.device)
        crops = [
            squash(self._cut(image, logits, box), settings.crop_size, settings.interpolation)
            for logits, box in zip(frame.masks, frame.boxes, strict=True)
        ]
        stack = views.normalise(torch.stack(crops), settings.mean, settings.std)
        if hasattr(vision, "trunk"):
            vectors = vision.head(vision.trunk(stack))
        else:
            vectors = vision.visual(stack)
        return F.normalize(vectors.float(), dim=-1).cpu().numpy()

    def _cut(self, image: Tensor, logits: np.ndarray, box: np.ndarray) -> Tensor:
        height, width = image.shape[1:]
        if self.grey:
            inside = cv2.resize(logits.astype(np.float32), (width, height)) > 0
            grey = image.new_tensor(self.profile.encoder.mean)[:, None, None]
            image = torch.where(torch.from_numpy(inside).to(image.device), image, grey)
        x, y, w, h = (float(value) for value in box)
        left, right = x + w / 2 - MARGIN * w / 2, x + w / 2 + MARGIN * w / 2
        top, bottom = y + h / 2 - MARGIN * h / 2, y + h / 2 + MARGIN * h / 2
        rows = slice(max(0, int(top)), min(height, int(np.ceil(bottom))))
        return image[:, rows, max(0, int(left)) : min(width, int(np.ceil(right)))]


class CropsOnGrey(Crops):
    """As Crops, what is not of the region painted over with the encoder's mean colour."""

    grey = True


@dataclass(frozen=True)
class DenseFrame:
    """What single patches say: unit vectors Ph×Pw×D. It has no masks before it is asked."""

    image_size: tuple[int, int]
    patches: Tensor
    stage_ms: dict[str, float]
    masks: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1), np.float16))


class Dense(Tokens):
    """No regions: the value map itself is scored, patch by patch, and enlarged bilinearly.

    A text's mask is where it beats every negative, and of that the part around its best pixel.
    """

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray) -> DenseFrame:
        """H×W×3 uint8 RGB -> a unit vector for every patch of the token grid."""
        start = time.perf_counter()
        settings, vision = self.profile.encoder, self.encoder.vision
        image = views.to_tensor(views.rescale(rgb, settings.rescale), self.device)
        counts = views.window_counts(*image.shape[1:], settings.crop_size)
        stack = views.multi_resolution_views(image, settings.crop_size, settings.interpolation)
        stack = views.normalise(stack, settings.mean, settings.std)
        values = views.merge_views(vision.values(stack), counts, vision.global_weight)
        flat = values.flatten(0, 1)
        vectors = vision.pool(flat, torch.eye(len(flat), device=flat.device))
        patches = F.normalize(vectors.float(), dim=-1).unflatten(0, values.shape[:2])
        stages = {"dense": 1e3 * (time.perf_counter() - start)}
        return DenseFrame((int(rgb.shape[0]), int(rgb.shape[1])), patches.cpu(), stages)

    @torch.inference_mode()
    def ground(self, frame: DenseFrame, texts: Sequence[str], **_: object) -> list[Grounding]:
        """One mask for each text, of any score; in the order asked."""
        vectors = self.encoder.text([*texts, *self.profile.negatives])
        cosines = torch.einsum("hwd,qd->qhw", frame.patches, torch.from_numpy(vectors))
        masks = self._masks(frame, cosines, len(texts))
        flat = cosines.flatten(1).numpy()
        rivals, settings = flat[len(texts) :].T, (self.encoder.score_scale, self.encoder.score_bias)
        return [
            answer(text, mask, float(relevancy(cosine, rivals, *settings).max()))
            for text, mask, cosine in zip(texts, masks, flat, strict=False)
        ]

    def _masks(self, frame: DenseFrame, cosines: Tensor, count: int) -> list[np.ndarray]:
        rival = cosines[count:].amax(0)
        return [
            part_around_peak(enlarge((cosine - rival)[None], frame.image_size)[0])
            for cosine in cosines[:count]
        ]


class DenseLabels(Dense):
    """As Dense, but every pixel goes to the best of all texts asked at once, and of the negatives.

    A text's mask is the largest part of its pixels. It knows the vocabulary; the others do not.
    """

    def _masks(self, frame: DenseFrame, cosines: Tensor, count: int) -> list[np.ndarray]:
        labels = enlarge(cosines, frame.image_size).argmax(0).numpy()
        return [largest_part(labels == index) for index in range(count)]


def squash(image: Tensor, side: int, interpolation: str) -> Tensor:
    """Image 3×h×w to 3×side×side as the encoder's views are made, aspect ignored."""
    mode = InterpolationMode(interpolation)
    return TF.resize(image[None], [side, side], mode, antialias=True)[0]


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps Q×h×w to Q×H×W, bilinear."""
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def part_around_peak(advantage: Tensor) -> np.ndarray:
    """Bool H×W: of the pixels above 0, those connected with the highest; none where none is."""
    _, parts = cv2.connectedComponents((advantage > 0).numpy().astype(np.uint8))
    peak = parts.flat[int(advantage.argmax())]
    return (parts == peak) & (peak > 0)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """Bool H×W: the largest connected part of a mask; empty where that is."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    return parts == 1 + areas.argmax() if len(areas) else mask


def answer(text: str, mask: np.ndarray, score: float) -> Grounding:
    """A text's one mask as an answer; not found where it is empty."""
    if not mask.any():
        return Grounding(text, False, score, (), None)
    box = mask_box(mask)
    return Grounding(text, True, score, (Region(0, box, mask, score, score),), box)


def make_variants(model: TextRegion) -> dict[str, Tokens]:
    """Name -> variant, the model as it is first; all with its networks and one run of SAM2."""
    profile, encoder, runs = model.profile, model.encoder, Sam2Runs()
    removal = profile.encoder.remove_global_patch
    toggled = replace(profile.encoder, remove_global_patch=not removal)
    kinds = {
        "region tokens": (Tokens, profile, encoder),
        f"tokens with{'out' * removal} global-patch removal": (
            Tokens,
            replace(profile, encoder=toggled),
            encoder,
        ),
    }
    for name, kind in (("whole view", WholeView), ("windows", WindowViews)):
        fed = replace(encoder, vision=kind(encoder.vision))
        kinds[f"tokens of the {name} only"] = (Tokens, profile, fed)
    kinds |= {
        "crops": (Crops, profile, encoder),
        "crops on grey": (CropsOnGrey, profile, encoder),
        "dense, against the negatives": (Dense, profile, encoder),
        "dense, best of all names": (DenseLabels, profile, encoder),
    }
    for side in GRIDS:
        grid = replace(profile.proposals, points_per_side=side, prompts="grid")
        if grid != profile.proposals:
            kinds[f"tokens, {side}×{side} points"] = (
                Tokens,
                replace(profile, proposals=grid),
                encoder,
            )
    return {
        name: kind(settings, model.proposer.sam2, fed, runs)
        for name, (kind, settings, fed) in kinds.items()
    }

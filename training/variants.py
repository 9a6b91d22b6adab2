"""What region tokens are compared with: the same encoder fed and read in other ways.

Every variant is asked like a TextRegion: `encode(rgb)`, then `ground(scene, texts, …)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from textregion_ros.core.boxes import mask_box
from textregion_ros.core.results import Grounding, Region
from textregion_ros.core.scene import EncodedFrame, Observation, Scene
from textregion_ros.regions import Profile, TextRegion
from textregion_ros.regions.encoders import CropEncoder, views
from textregion_ros.regions.encoders.crops import Tower
from textregion_ros.regions.grounding import relevancy
from textregion_ros.regions.proposers.sam2 import Sam2Proposer

MARGIN = 1.2
"""Side of a crop over that of its region's box; the crops that demo's CLIP learnt from have such
a rim too."""
GRIDS = (8, 16, 32)


class Sam2Runs:
    """SAM2's results for one picture, each with its time, for all variants that share them."""

    def __init__(self) -> None:
        self._image: Tensor | None = None
        self._results: dict[Hashable, tuple[Any, float]] = {}

    def share(self, proposer: Sam2Proposer, spent: dict[str, float]) -> Sam2Proposer:
        """The proposer, which runs only what no proposer of these runs has run for its picture.

        spent: is told what the runs for the last picture took, ms, by the pipeline's names.
        """

        def image_features(images: Tensor) -> list[Tensor]:
            if self._image is None or not torch.equal(self._image, images):
                self._image = images
                self._results.clear()
            features, took = self._once("features", partial(proposer.image_features, images))
            spent.update(sam_encoder=took, sam_decoder=0.0)
            return features

        def point_masks(
            features: Sequence[Tensor], points: Tensor, least_iou: float
        ) -> tuple[Tensor, Tensor]:
            run = partial(proposer.point_masks, features, points, least_iou)
            masks, took = self._once((least_iou, points.cpu().numpy().tobytes()), run)
            spent["sam_decoder"] += took
            return masks

        return replace(proposer, image_features=image_features, point_masks=point_masks)

    def _once(self, key: Hashable, run: Callable[[], Any]) -> tuple[Any, float]:
        if key not in self._results:
            start = time.perf_counter()
            self._results[key] = (run(), 1e3 * (time.perf_counter() - start))
        return self._results[key]


class Tokens(TextRegion):
    """Region tokens as this package computes them, with SAM2's masks from shared runs."""

    def __init__(
        self, profile: Profile, proposer: Sam2Proposer, encoder: CropEncoder, runs: Sam2Runs
    ) -> None:
        self._spent: dict[str, float] = {}
        proposer = replace(proposer, settings=profile.proposals)
        super().__init__(profile, runs.share(proposer, self._spent), encoder)

    def encode(self, rgb: np.ndarray) -> Scene:
        """As TextRegion.encode; the shared stages count in full."""
        scene = super().encode(rgb)
        stages = {**scene.encoded.stage_ms, **self._spent}
        return Scene(scene.observation, replace(scene.encoded, stage_ms=stages))


class WholeView:
    """A tower that sees the whole picture once, and no windows."""

    global_weight = 1.0

    def __init__(self, tower: Tower) -> None:
        self.tower = tower
        self.pool, self.project = tower.pool, tower.project

    def values(self, views: Tensor) -> Tensor:
        """As the tower's, the windows' values all 0."""
        whole = self.tower.values(views[:1])
        return F.pad(whole, (0, 0, 0, 0, 0, len(views) - 1))


class WindowViews(WholeView):
    """A tower that sees the windows of a picture, and never the whole."""

    global_weight = 0.0

    def values(self, views: Tensor) -> Tensor:
        """As the tower's, the whole picture's values all 0; a single view is the picture."""
        if len(views) == 1:
            return self.tower.values(views)
        return F.pad(self.tower.values(views[1:]), (0, 0, 0, 0, 1, 0))


class Crops(Tokens):
    """Every region cut out and encoded as a picture of its own, the model's own embedding."""

    grey = False

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray) -> Scene:
        """As TextRegion.encode, but with the embedding of its crop for a region's token."""
        frame = super().encode(rgb).encoded
        start = time.perf_counter()
        tokens = self._embed(rgb, frame) if len(frame) else frame.tokens
        stages = {k: v for k, v in frame.stage_ms.items() if k not in ("views", "tokens")}
        stages["crops"] = 1e3 * (time.perf_counter() - start)
        return Scene(Observation(rgb), replace(frame, tokens=tokens, stage_ms=stages))

    def _embed(self, rgb: np.ndarray, frame: EncodedFrame) -> np.ndarray:
        settings, tower = self.profile.encoder, self.encoder.tower
        image = views.to_tensor(rgb, self.device)
        crops = [
            squash(self._cut(image, logits, box), settings.crop_size, settings.interpolation)
            for logits, box in zip(frame.masks, frame.boxes, strict=True)
        ]
        stack = views.normalise(torch.stack(crops), settings.mean, settings.std)
        network = tower.trunk if hasattr(tower, "trunk") else tower.visual
        vectors = getattr(tower, "head", nn.Identity())(network(stack))
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


class Dense(Tokens):
    """No regions: the value map itself is scored, patch by patch, and enlarged bilinearly.

    A text's mask is where it beats every negative, and of that the part around its best pixel.
    """

    @torch.inference_mode()
    def encode(self, rgb: np.ndarray) -> Scene:
        """A scene without regions: only `dense`, a unit vector for every patch of the grid."""
        start = time.perf_counter()
        height, width = rgb.shape[:2]
        size = self.encoder.working_size(height, width)
        values = self.encoder.values(
            views.to_tensor(views.resized(rgb, size, self.encoder.antialias), self.device)
        )
        patches = F.normalize(self.encoder.project(values.flatten(0, 1)).float(), dim=-1)
        encoded = EncodedFrame(
            image_size=(height, width),
            masks=np.zeros((0, 1, 1), np.float16),
            boxes=np.zeros((0, 4), np.int32),
            tokens=np.zeros((0, patches.shape[1]), np.float32),
            overlaps=np.zeros((0, 0), np.float32),
            stage_ms={"dense": 1e3 * (time.perf_counter() - start)},
            encoder=self.identity,
            dense=patches.unflatten(0, values.shape[:2]).cpu().numpy(),
        )
        return Scene(Observation(rgb), encoded)

    @torch.inference_mode()
    def ground(self, scene: Scene, texts: Sequence[str], **_: object) -> list[Grounding]:
        """One mask for each text, of any score; in the order asked."""
        vectors = self.encoder.text([*texts, *self.profile.negatives])
        patches = torch.from_numpy(scene.encoded.dense)
        cosines = torch.einsum("hwd,qd->qhw", patches, torch.from_numpy(vectors))
        masks = self._masks(scene, cosines, len(texts))
        flat = cosines.flatten(1).numpy()
        rivals, settings = flat[len(texts) :].T, (self.encoder.score_scale, self.encoder.score_bias)
        return [
            answer(text, mask, float(relevancy(cosine, rivals, *settings).max()))
            for text, mask, cosine in zip(texts, masks, flat, strict=False)
        ]

    def _masks(self, scene: Scene, cosines: Tensor, count: int) -> list[np.ndarray]:
        rival = cosines[count:].amax(0)
        return [
            part_around_peak(enlarge((cosine - rival)[None], scene.image_size)[0])
            for cosine in cosines[:count]
        ]


class DenseLabels(Dense):
    """As Dense, but every pixel goes to the best of all texts asked at once, and of the negatives.

    A text's mask is the largest part of its pixels. It knows the vocabulary; the others do not.
    """

    def _masks(self, scene: Scene, cosines: Tensor, count: int) -> list[np.ndarray]:
        labels = enlarge(cosines, scene.image_size).argmax(0).numpy()
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
    x, y, w, h = box = mask_box(mask)
    region = Region(0, box, mask[y : y + h, x : x + w], mask.shape, score, score)
    return Grounding(text, True, score, (region,), box)


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
        tower = kind(encoder.tower)
        fed = replace(encoder, tower=tower, patch_values=tower.values)
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
        name: kind(settings, model.proposer, fed, runs)
        for name, (kind, settings, fed) in kinds.items()
    }

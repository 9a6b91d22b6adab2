"""From an image to its regions: all work is done on the device, which ends with one download."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textregion_ros.core.boxes import mask_box
from textregion_ros.core.masks import mask_boxes
from textregion_ros.core.scene import EncodedFrame
from textregion_ros.regions.encoders import Encoder, views
from textregion_ros.regions.grounding import mask_overlaps
from textregion_ros.regions.proposers import Candidates, Proposer
from textregion_ros.regions.settings import Profile
from textregion_ros.regions.stopwatch import Stopwatch
from textregion_ros.regions.tokens import given_tokens, grid_masks, group_max, region_tokens


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """What the networks make of one image, on the device. Masks are asked of it.

    Attributes:
        camera_size: (H, W) of the camera image, px.
        size: (h, w) at which masks are compared, px.
        features: The proposer's.
        values: Ph×Pw×D, the encoder's.
        dense: Qh×Qw×d, unit vectors; None unless asked for.
    """

    camera_size: tuple[int, int]
    size: tuple[int, int]
    features: list[Tensor]
    values: Tensor
    dense: Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes held in the machine's memory."""
        return sum(part.nbytes for part in self._parts if part.device.type == "cpu")

    @property
    def device_nbytes(self) -> int:
        """Bytes held on the GPU."""
        return sum(part.nbytes for part in self._parts if part.device.type != "cpu")

    @property
    def _parts(self) -> list[Tensor]:
        return [*self.features, self.values, *([] if self.dense is None else [self.dense])]

    def __repr__(self) -> str:
        height, width = self.camera_size
        return f"PreparedImage({width}×{height} px, {self.nbytes + self.device_nbytes} bytes)"


def prepare(
    rgb: np.ndarray,
    profile: Profile,
    proposer: Proposer,
    encoder: Encoder,
    dense: bool,
    watch: Stopwatch,
) -> PreparedImage:
    """Run the networks that run once for an image.

    Args:
        rgb: uint8 H×W×3.
        profile: Its constants.
        proposer: Gives the masks.
        encoder: Gives the values.
        dense: Whether dense features are wanted as well.
        watch: Takes the time of the stages.
    """
    height, width = rgb.shape[:2]
    size = encoder.working_size(height, width)
    image = views.to_tensor(views.resized(rgb, size, encoder.antialias), encoder.device)
    watch.lap("preprocess")
    features = proposer.prepare(image)
    watch.lap("sam_encoder")
    if dense:
        values, dense_values = encoder.values_and_dense(image)
    else:
        values, dense_values = encoder.values(image), None
    watch.lap("views")
    at_camera = profile.proposals.mask_size == "camera"
    compared = (height, width) if at_camera else size
    return PreparedImage((height, width), compared, features, values, dense_values)


def encode_masks(
    image: PreparedImage,
    candidates: Candidates,
    profile: Profile,
    encoder: Encoder,
    watch: Stopwatch,
) -> EncodedFrame:
    """Make regions of masks, each with its token. The device's work ends in here.

    Args:
        image: What the networks made of the image.
        candidates: Its masks.
        profile: Its constants.
        encoder: Gives the tokens.
        watch: Takes the time of the stages.
    """
    masks, tokens = regions_of(image, candidates, profile, encoder, watch)
    overlaps = mask_overlaps(masks).cpu().numpy()
    logits, vectors = masks.cpu().numpy(), tokens.cpu().numpy()
    crops = None
    if candidates.given is None:
        boxes = mask_boxes(logits, image.camera_size)
    else:
        boxes = np.array([mask_box(mask) for mask in candidates.given], np.int32).reshape(-1, 4)
        whole = zip(candidates.given, boxes.tolist(), strict=True)
        crops = [mask[y : y + h, x : x + w].copy() for mask, (x, y, w, h) in whole]
    seen = boxes[:, 2] > 0  # in a very small image a region may lie between the pixels
    watch.lap("boxes")
    return EncodedFrame(
        image_size=image.camera_size,
        masks=logits[seen],
        boxes=boxes[seen],
        tokens=vectors[seen],
        overlaps=overlaps[np.ix_(seen, seen)],
        stage_ms=watch.read(),
        encoder=encoder.identity,
        dense=None if image.dense is None else image.dense.cpu().numpy(),
        prompts=candidates.prompts,
        crops=None if crops is None else tuple(crops),
    )


def regions_of(
    image: PreparedImage,
    candidates: Candidates,
    profile: Profile,
    encoder: Encoder,
    watch: Stopwatch,
) -> tuple[Tensor, Tensor]:
    """Return mask logits R×L×L and unit tokens float32 R×D. No step is taken region by region."""
    settings, values = profile.encoder, image.values
    masks = group_max(candidates.logits, candidates.groups)
    watch.lap("fuse")
    if not len(masks):
        return masks, torch.zeros(0, settings.embed_dim, device=masks.device)
    grid = (values.shape[0], values.shape[1])
    soft = grid_masks(candidates.logits, candidates.groups, image.size, grid)
    threshold = settings.global_patch_threshold if settings.remove_global_patch else None
    patches = values.flatten(0, 1)
    if candidates.given is not None:
        tokens = given_tokens(
            encoder, patches, soft, masks, grid, threshold, settings.normalise_values
        )
        watch.lap("tokens")
        return masks, tokens.float()
    tokens, kept = region_tokens(encoder, patches, soft, threshold, settings.normalise_values)
    watch.lap("tokens")
    return masks[kept], tokens.float()

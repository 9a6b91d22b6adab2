"""Masks or boxes from any detector or segmenter, made into candidates."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from textregion_ros.core.errors import BadQuery
from textregion_ros.regions.networks import Compile
from textregion_ros.regions.proposers.protocol import Candidates, Features
from textregion_ros.regions.stopwatch import Stopwatch

SIDE = 256  # of the mask logits, as SAM 2.1's
INSIDE = 8.0  # mask logit of a pixel that is wholly inside


@dataclass(frozen=True, eq=False)
class Given:
    """Proposes the masks that it was given; without any, it has none to propose.

    Attributes:
        device: Where the masks go.
        masks: bool K×H×W of one image.
    """

    device: torch.device
    masks: np.ndarray | None = None

    def prepare(self, image: Tensor) -> Features:
        """Return nothing: there is nothing to be done once for an image."""
        return []

    def propose(self, features: Features, size: tuple[int, int], watch: Stopwatch) -> Candidates:
        """Return the given masks, each a region of its own.

        Raises:
            BadQuery: No masks were given.
        """
        if self.masks is None:
            raise BadQuery("this profile finds no masks of its own: give encode(rgb, masks=…)")
        small = np.zeros((len(self.masks), SIDE, SIDE), np.float16)
        for logits, mask in zip(small, self.masks, strict=True):
            logits[:] = low_resolution(mask)
        groups = torch.arange(len(self.masks), device=self.device)
        return Candidates(torch.from_numpy(small).to(self.device), groups, given=self.masks)

    def propose_at(
        self, features: Features, places: Tensor, size: tuple[int, int], watch: Stopwatch
    ) -> Candidates:
        """Refuse: given masks are not searched for at places.

        Raises:
            BadQuery: Always.
        """
        raise BadQuery("masks from outside are not looked for at places: use encode")

    def compiled(self, compile_: Compile) -> Given:
        """Return itself: there is no network."""
        return self


def low_resolution(mask: np.ndarray) -> np.ndarray:
    """Return mask logits float32 L×L of a mask bool H×W; however small, it has a pixel above 0."""
    share = cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return INSIDE * (2.0 * share / share.max() - 1.0)


def check_masks(masks: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Check masks or boxes from outside.

    Args:
        masks: bool K×H×W, or boxes int K×4, x y w h, px of the image.
        image_size: (H, W) of the image, px.

    Returns:
        The masks, bool K×H×W.

    Raises:
        BadQuery: They are neither, are not of the image's size, or one of them has no pixel in it.
    """
    if not isinstance(masks, np.ndarray):
        raise BadQuery(f"masks must be a numpy array, not {type(masks).__name__}")
    if masks.ndim == 2 and masks.shape[1] == 4 and np.issubdtype(masks.dtype, np.integer):
        return _rectangles(masks, image_size)
    if masks.ndim != 3 or masks.dtype != bool:
        raise BadQuery(
            "masks must be bool K×H×W, or boxes int K×4 (x y w h), "
            f"not {masks.dtype} {'×'.join(map(str, masks.shape))}"
        )
    if masks.shape[1:] != image_size:
        (height, width), (tall, wide) = image_size, masks.shape[1:]
        raise BadQuery(f"the masks are {wide}×{tall} px, but the image is {width}×{height}")
    empty = np.flatnonzero(~masks.any((1, 2)))
    if len(empty):
        raise BadQuery(f"mask {empty[0]} of {len(masks)} has no pixel")
    return masks


def _rectangles(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    height, width = image_size
    masks = np.zeros((len(boxes), height, width), bool)
    for number, (mask, (x, y, w, h)) in enumerate(zip(masks, boxes.tolist(), strict=True)):
        if w < 1 or h < 1:
            raise BadQuery(f"box {number} of {len(boxes)} is empty: {w}×{h} px")
        if x < 0 or y < 0 or x + w > width or y + h > height:
            raise BadQuery(
                f"box {number} of {len(boxes)}, x y w h = {x} {y} {w} {h}, reaches out of the "
                f"image of {width}×{height} px"
            )
        mask[y : y + h, x : x + w] = True
    return masks

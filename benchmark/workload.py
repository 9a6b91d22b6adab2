"""Made-up work of a chosen size: masks, regions, images, sentences; seeded, so repeatable."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from textregion_ros.app.recording import load_recording
from textregion_ros.core.masks import mask_boxes
from textregion_ros.core.scene import EncodedFrame, Observation, Scene

OBJECTS = 40
SLOPE = 1.5  # of a mask's logits, per low-resolution pixel at its rim
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "white", "black")
THINGS = ("mug", "ball", "bottle", "spoon", "book", "bowl", "cube", "banana", "plate", "hammer")


def picture(width: int, height: int) -> np.ndarray:
    """The first frame of the bundled recording at this size: RGB uint8 H×W×3."""
    return cv2.resize(load_recording().frames[0].rgb, (width, height), interpolation=cv2.INTER_AREA)


def sentences(count: int) -> list[str]:
    """So many different sentences."""
    return [
        f"a {COLOURS[n % 8]} {THINGS[n // 8 % 10]}" + (f" number {n // 80}" if n >= 80 else "")
        for n in range(count)
    ]


def ellipses(count: int, side: int, radii: tuple[float, float], seed: int = 0) -> Tensor:
    """Mask logits float16 count×side×side of ellipses; radii as shares of the side."""
    draw = np.random.default_rng(seed)
    centres = draw.uniform(0.05, 0.95, (count, 2)) * side
    sizes = draw.uniform(*radii, (count, 2)) * side
    return _logits(centres, sizes, draw.uniform(0, np.pi, count), side)


def _logits(centres: np.ndarray, sizes: np.ndarray, angles: np.ndarray, side: int) -> Tensor:
    axis = torch.arange(side) + 0.5
    masks = torch.empty(len(centres), side, side, dtype=torch.float16)
    for mask, (x, y), (a, b), angle in zip(masks, centres, sizes, angles, strict=True):
        c, s = float(np.cos(angle)), float(np.sin(angle))
        dx, dy = axis[None] - float(x), axis[:, None] - float(y)
        radius = torch.hypot((c * dx + s * dy) / a, (c * dy - s * dx) / b)
        mask.copy_(((1 - radius) * SLOPE * float(np.sqrt(a * b))).clamp(-32, 32))
    return masks


def scene_candidates(points: int, side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What a decoder might say of a busy scene: logits float16 n²×3×L×L, predicted IoU n²×3.

    Every grid point answers with a disk about itself, a part of the object it lies in and the
    whole object, as SAM2 does, and so objects are found many times over. All pass the IoU filter.
    """
    draw = np.random.default_rng(seed)
    axis = (np.arange(points) + 0.5) / points * side
    grid = np.stack(np.meshgrid(axis, axis), 2).reshape(-1, 2)
    centres = draw.uniform(0.05, 0.95, (OBJECTS, 2)) * side
    nearest = np.linalg.norm(grid[:, None] - centres, axis=2).argmin(1)
    sizes = draw.uniform(0.05, 0.16, (OBJECTS, 2))[nearest] * side
    wobble = draw.normal(0, 0.02, (len(grid), 2)) * sizes  # no two answers are quite the same
    angle = draw.uniform(0, np.pi, OBJECTS)[nearest]
    whole, part = centres[nearest], (centres[nearest] + grid) / 2
    levels = [
        _logits(grid + wobble, 0.3 * sizes, angle, side),
        _logits(part + wobble, 0.6 * sizes, angle, side),
        _logits(whole + wobble, sizes, angle, side),
    ]
    return torch.stack(levels, 1), torch.from_numpy(draw.uniform(0.65, 1.0, (len(grid), 3))).float()


def frame(regions: int, width: int, height: int, dimension: int) -> EncodedFrame:
    """An encoded frame of so many regions with random unit tokens, none a duplicate of another."""
    masks = ellipses(regions, 256, (0.03, 0.12), seed=regions).numpy()
    tokens = np.random.default_rng(regions).standard_normal((regions, dimension), np.float32)
    return EncodedFrame(
        image_size=(height, width),
        masks=masks,
        boxes=mask_boxes(masks, (height, width)),
        tokens=tokens / np.linalg.norm(tokens, axis=1, keepdims=True),
        overlaps=np.eye(regions, dtype=np.float32),
    )


def scene_of(encoded: EncodedFrame) -> Scene:
    """A scene of which no mask is cut and no shape is known yet."""
    return Scene(Observation(np.zeros((*encoded.image_size, 3), np.uint8)), encoded)

"""The views of an image that an encoder sees, and their values put back on one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from textregion_ros.core.errors import BadImage


def check_image(rgb: np.ndarray) -> None:
    """Check an image.

    Raises:
        BadImage: It is not H×W×3 uint8 with at least one pixel.
    """
    if not isinstance(rgb, np.ndarray):
        raise BadImage(f"an image must be a numpy array, not {type(rgb).__name__}")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        raise BadImage(f"an image must be H×W×3 uint8 with H, W ≥ 1, not {rgb.shape} {rgb.dtype}")


def rescaled_size(height: int, width: int, scale: tuple[int, int]) -> tuple[int, int]:
    """Return the largest (h, w) of the same aspect that fits `scale` (long, short), from 1×1."""
    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))


def resized(rgb: np.ndarray, size: tuple[int, int], antialias: bool = False) -> np.ndarray:
    """Return an image uint8 H×W×3 at the size (h, w), bilinear.

    Args:
        rgb: The image.
        size: The size wanted.
        antialias: Whether a larger image is averaged over the area of each new pixel instead.
    """
    height, width = size
    smaller = antialias and height < rgb.shape[0]
    mode = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width, height), interpolation=mode)


def window_counts(height: int, width: int, crop_size: int) -> tuple[int, int]:
    """Return how many windows (rows, columns) an image is cut into."""
    return max(height // crop_size, 1), max(width // crop_size, 1)


def windows(height: int, width: int, crop_size: int) -> list[tuple[slice, slice]]:
    """Return windows of equal size, row by row; the last ones are pulled back into the image."""
    rows, columns = window_counts(height, width, crop_size)
    tall, wide = math.ceil(height / rows), math.ceil(width / columns)
    tops = [min(row * tall, height - tall) for row in range(rows)]
    lefts = [min(column * wide, width - wide) for column in range(columns)]
    return [(slice(y, y + tall), slice(x, x + wide)) for y in tops for x in lefts]


def to_tensor(rgb: np.ndarray, device: torch.device) -> Tensor:
    """Return an image uint8 H×W×3 as float32 3×H×W in 0..1; the upload waits for nothing."""
    pixels = torch.from_numpy(np.ascontiguousarray(rgb))
    if device.type == "cuda":
        pixels = pixels.pin_memory()
    return pixels.to(device, non_blocking=True).permute(2, 0, 1).float() / 255.0


def multi_resolution_views(
    image: Tensor, crop_size: int, interpolation: str, global_views: int = 1
) -> Tensor:
    """Return the whole image, then its windows, each squashed to a square.

    Antialiased; bicubic values may leave 0..1 a little.

    Args:
        image: float32 3×h×w in 0..1.
        crop_size: Side of a view, px.
        interpolation: "bilinear" or "bicubic".
        global_views: Parts, from left to right, into which the whole image is cut: 2 for a street,
            twice as wide as high.

    Returns:
        float32 V×3×crop×crop.
    """
    size, mode = [crop_size, crop_size], InterpolationMode(interpolation)
    _, height, width = image.shape
    parts = torch.stack([image[:, y, x] for y, x in windows(height, width, crop_size)])
    wholes = [
        TF.resize(image[None, :, :, columns], size, mode, antialias=True)
        for columns in strips(image.shape[2], global_views)
    ]
    return torch.cat([*wholes, TF.resize(parts, size, mode, antialias=True)])


def strips(width: int, count: int) -> list[slice]:
    """Return `count` neighbouring strips of `width` columns, each at least one column wide."""
    count = min(count, width)
    return [slice(width * i // count, width * (i + 1) // count) for i in range(count)]


def normalise(views: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return views V×3×h×w with the encoder's channel mean and deviation taken out."""
    return TF.normalize(views, list(mean), list(std))


def merge_views(values: Tensor, counts: tuple[int, int], global_weight: float) -> Tensor:
    """Put the values of the views on one grid: the multi-resolution fusion of TextRegion.

    Args:
        values: V×p²×D, the parts of the whole image first.
        counts: (rows, columns) of windows.
        global_weight: Weight of the whole image's values, which are enlarged to the grid.

    Returns:
        Ph×Pw×D with Ph = p·rows and Pw = p·columns; a single view is returned alone.
    """
    side, (rows, columns), dim = math.isqrt(values.shape[1]), counts, values.shape[2]
    if len(values) == 1:
        return values[0].reshape(side, side, dim)
    parts = len(values) - rows * columns
    tiles = values[parts:].reshape(rows, columns, side, side, dim)
    tiles = tiles.permute(0, 2, 1, 3, 4).reshape(rows * side, columns * side, dim)
    wholes = values[:parts, None].reshape(parts, 1, side, side, dim).permute(0, 1, 4, 2, 3)
    spread = [
        F.interpolate(
            whole,
            size=(rows * side, strip.stop - strip.start),
            mode="bilinear",
            align_corners=False,
        )
        for whole, strip in zip(wholes, strips(columns * side, parts), strict=True)
    ]
    return global_weight * torch.cat(spread, 3)[0].permute(1, 2, 0) + tiles

"""How much two frames of one camera differ: whether what is known of one still holds for the other.

    difference(blocks(first), blocks(second)) < 12.0  # grey levels

A small thing that moves counts as much as a large one; sensor noise and a slight change of exposure
or white balance count for little. Keep the blocks of a frame (60 kB), not its picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

BLOCKS = 80  # along the longer side: 8 px at 640×480, where noise averages out of 64 pixels
GAIN_LIMIT = 1.25  # a larger change of brightness is a change of the scene


def blocks(rgb: np.ndarray) -> np.ndarray:
    """Return the mean colours of the square blocks of an image uint8 H×W×3: float32 h×w×3, 0..255.

    The longer side has at most 80 blocks, so h and w depend on the image's shape alone.
    """
    side = max(1, math.ceil(max(rgb.shape[:2]) / BLOCKS))
    height, width = (max(1, round(length / side)) for length in rgb.shape[:2])
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest change of any block in any channel, in grey levels of the brighter image.

    Before the comparison each channel of the darker image is brought to the other's median level,
    by a factor of at most 1.25, and cut at 255 as a camera does. Measured at 640×480: noise of 5
    levels per pixel gives 4, of 10 levels 7 to 9; an exposure 15 % shorter 2, 5 % longer 2, or up
    to 11 where it cuts a white area's edge; an object of 12×12 px that differs by 40 levels from
    what it hides 20 to 40; a camera that turned by 2 px 30 and more.

    Args:
        first: What `blocks` returns of one image.
        second: What `blocks` returns of the other; the order does not matter.

    Returns:
        0..255; 0 for equal images, infinite where their shapes differ.
    """
    if first.shape != second.shape:
        return math.inf
    levels = [np.median(part, axis=(0, 1)) + 1.0 for part in (first, second)]
    gain = np.clip(levels[1] / levels[0], 1.0 / GAIN_LIMIT, GAIN_LIMIT).astype(np.float32)
    first = np.minimum(first * np.maximum(gain, 1.0), 255.0)
    second = np.minimum(second * np.maximum(1.0 / gain, 1.0), 255.0)
    return float(np.abs(first - second).max())

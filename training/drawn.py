"""Pictures of puffed-up shapes, drawn, lit and shadowed with no renderer and no mesh.

Layers of random outlines with surfaces of their own: what a thing looks like matters less to a
proposal than where it ends.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from training import data

Surface = Callable[[tuple[int, int], Generator], np.ndarray]
"""Draws a texture of a size (w, h): h×w×3 float32, 0..255."""


def draw(side: int, rng: Generator, surface: Surface) -> tuple[np.ndarray, np.ndarray]:
    """A picture side×side×3 uint8 and its regions, half as large, as in `PackedScenes`."""
    canvas = surface((side, side), rng).astype(np.float32) * _lamp(side, rng)
    regions = np.full((side, side), 1, np.uint8)
    angle = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(angle), np.sin(angle), rng.uniform(0.5, 1.5)])
    light /= np.linalg.norm(light)
    dark = rng.uniform(0, 0.7)
    for number in range(int(rng.integers(3, 22))):
        size = int(side * np.exp(rng.uniform(np.log(0.05), np.log(0.55))))
        mask = _outline(max(size, 9), rng)
        place = rng.integers(-len(mask) // 3, side - 2 * len(mask) // 3, 2)
        _shadow(canvas, mask, place, light, dark, rng)
        inside = _paste(canvas, mask, place, _shaded(mask, light, rng, surface))
        regions[inside] = data.FIRST_OBJECT + number
    picture = np.clip(canvas, 0, 255).astype(np.uint8)
    half = cv2.resize(regions, (side // 2, side // 2), interpolation=cv2.INTER_NEAREST)
    return picture, half


def _lamp(side: int, rng: Generator) -> np.ndarray:
    """Light that varies slowly over a picture, side×side×1."""
    coarse = rng.uniform(0.6, 1.3, (3, 3)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)[..., None]


def _outline(size: int, rng: Generator) -> np.ndarray:
    """A shape in a size×size square: float32 0..1 with a soft edge."""
    fine = np.zeros((2 * size, 2 * size), np.uint8)
    kind = (_ellipse, _polygon, _ring, _stroke, _blob, _letter)[rng.integers(6)]
    kind(fine, rng)
    turn = cv2.getRotationMatrix2D((size, size), rng.uniform(0, 360), rng.uniform(0.8, 1))
    turned = cv2.warpAffine(fine, turn, fine.shape)
    return cv2.resize(turned, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _ellipse(fine: np.ndarray, rng: Generator) -> None:
    half = len(fine) // 2
    axes = (int(0.95 * half), int(half * rng.uniform(0.15, 0.95)))
    cv2.ellipse(fine, (half, half), axes, 0, 0, 360, 255, -1)


def _polygon(fine: np.ndarray, rng: Generator) -> None:
    """A box, a board or a star, its corners sharp or round."""
    half = len(fine) / 2
    count = int(rng.choice([3, 4, 4, 4, 5, 6, 9]))
    angle = 2 * np.pi * (np.arange(count) + rng.uniform(-0.2, 0.2, count)) / count
    reach = half * 0.9 * rng.uniform(0.5, 1, count)
    slim = [1, rng.uniform(0.15, 1)]
    corners = half + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) * slim
    cv2.fillPoly(fine, [corners.astype(np.int32)], 255)
    if rng.random() < 0.5:
        soft = cv2.GaussianBlur(fine, (0, 0), max(half * rng.uniform(0.02, 0.12), 0.5))
        fine[:] = np.where(soft > 127, 255, 0)


def _ring(fine: np.ndarray, rng: Generator) -> None:
    half = len(fine) // 2
    thick = max(2, int(half * rng.uniform(0.1, 0.4)))
    reach = half - thick // 2 - 1
    end = int(rng.choice([180, 270, 360, 360]))
    axes = (reach, int(reach * rng.uniform(0.4, 1)))
    cv2.ellipse(fine, (half, half), axes, 0, 0, end, 255, thick)


def _stroke(fine: np.ndarray, rng: Generator) -> None:
    """A stick, a tool with a head, or a bent wire."""
    side = len(fine)
    points = rng.uniform(0.1, 0.9, (int(rng.integers(2, 4)), 2)) * side
    points[0], points[-1] = [0.08 * side, side / 2], [0.92 * side, side / 2]
    thick = max(2, int(side * rng.uniform(0.025, 0.14)))
    cv2.polylines(fine, [points.astype(np.int32)], False, 255, thick)
    if rng.random() < 0.6:
        head = (int(side * rng.uniform(0.04, 0.14)), int(side * rng.uniform(0.06, 0.25)))
        centre = (int(0.92 * side) - head[0], side // 2)
        if rng.random() < 0.5:
            cv2.ellipse(fine, centre, head, 0, 0, 360, 255, -1)
        else:
            low, high = np.array(centre) - head, np.array(centre) + head
            cv2.rectangle(fine, tuple(map(int, low)), tuple(map(int, high)), 255, -1)


def _blob(fine: np.ndarray, rng: Generator) -> None:
    side = len(fine)
    coarse = rng.random((5, 5)).astype(np.float32)
    axis = np.linspace(-1, 1, 5)
    coarse -= 0.5 * (axis[:, None] ** 2 + axis**2)
    field = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((field > 0.1).astype(np.uint8))
    if len(stats) > 1:
        fine[labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()] = 255


def _letter(fine: np.ndarray, rng: Generator) -> None:
    side = len(fine)
    letter = chr(int(rng.integers(ord("A"), ord("Z") + 1)))
    place = (int(0.2 * side), int(0.8 * side))
    thick = max(2, int(side * rng.uniform(0.06, 0.16)))
    cv2.putText(fine, letter, place, cv2.FONT_HERSHEY_SIMPLEX, side / 36, 255, thick)


def _shaded(mask: np.ndarray, light: np.ndarray, rng: Generator, surface: Surface) -> np.ndarray:
    """The shape's colours: one or two surfaces, lit as if it were puffed up."""
    size = mask.shape[::-1]
    colour = surface(size, rng).copy()
    if rng.random() < 0.35:  # two-coloured, or with a label
        edge = rng.uniform(-0.3, 0.3) * len(mask)
        y, x = np.mgrid[: len(mask), : len(mask)] - len(mask) / 2
        angle = rng.uniform(0, 2 * np.pi)
        other = np.cos(angle) * x + np.sin(angle) * y > edge
        colour[other] = surface(size, rng)[other]
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    bevel = max(depth.max() * rng.uniform(0.15, 1), 1)
    height = bevel * np.sqrt(1 - (1 - np.minimum(depth / bevel, 1)) ** 2)
    height = cv2.GaussianBlur(height, (0, 0), max(0.05 * bevel, 0.6))
    slope_y, slope_x = np.gradient(height)
    normal = np.stack([-slope_x, -slope_y, np.ones_like(height)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lit = np.clip(normal @ light, 0, 1)
    ambient = rng.uniform(0.15, 0.6)
    shine = rng.uniform(0, 120) * lit ** int(rng.choice([8, 30, 80]))
    return colour * (ambient + (1.2 - ambient) * lit)[..., None] + shine[..., None]


def _window(side: int, size: int, place: np.ndarray) -> tuple[tuple, tuple] | None:
    """What of a square at `place` (x, y) lies in the picture, and what of the square that is."""
    low, high = np.maximum(place, 0), np.minimum(place + size, side)
    if (high <= low).any():
        return None
    inner, outer = low - place, high - place
    return (
        (slice(low[1], high[1]), slice(low[0], high[0])),
        (slice(inner[1], outer[1]), slice(inner[0], outer[0])),
    )


def _shadow(
    canvas: np.ndarray,
    mask: np.ndarray,
    place: np.ndarray,
    light: np.ndarray,
    dark: float,
    rng: Generator,
) -> None:
    reach = len(mask) * rng.uniform(0.02, 0.25)
    rim = int(len(mask) * 0.3) + 2
    wide = cv2.copyMakeBorder(mask, rim, rim, rim, rim, cv2.BORDER_CONSTANT)
    wide = cv2.GaussianBlur(wide, (0, 0), max(reach * rng.uniform(0.1, 0.6), 0.6))
    window = _window(len(canvas), len(wide), place - rim - (light[:2] * reach).astype(int))
    if window:
        canvas[window[0]] *= 1 - dark * wide[window[1]][..., None]


def _paste(
    canvas: np.ndarray, mask: np.ndarray, place: np.ndarray, colour: np.ndarray
) -> np.ndarray:
    """Put a shape on the picture; returns where it is, bool."""
    inside = np.zeros(canvas.shape[:2], bool)
    window = _window(len(canvas), len(mask), place)
    if window:
        share = mask[window[1]]
        canvas[window[0]] += (colour[window[1]] - canvas[window[0]]) * share[..., None]
        inside[window[0]] = share > 0.5
    return inside

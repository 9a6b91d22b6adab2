"""Pictures of every kind out of rendered scenes, for what finds masks and cares for no colour.

A scene's regions are known, so that table, walls and objects can be given any surface, and four
scenes in one picture make everything in them small.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import skimage
from numpy.random import Generator, default_rng

from training import data, drawn, textures

DRAWN = 0.2  # the share of pictures that no scene is in
BANK, BANK_SEED = 240, 20261124
# Surfaces alone. The other pictures that scikit-image brings show things: they are tested on.
PHOTOGRAPHS = ("brick", "grass", "gravel", "page", "text", "immunohistochemistry")


@dataclass(frozen=True)
class Picture:
    """A picture S×S×3 uint8 and its regions S/2×S/2 uint8, numbered as in `PackedScenes`.

    `whole` says whether all of its background belongs to one room and one table.
    """

    colour: np.ndarray
    regions: np.ndarray
    whole: bool


def draw(scenes: list[data.PackedScenes], side: int, rng: Generator) -> Picture:
    """Draw a picture of one scene, of four, of nine or of none, as any camera might take it."""
    if rng.random() < DRAWN:
        colour, regions = drawn.draw(side, rng, _laid)
        return Picture(spoil(turn_colours(colour, rng), rng), regions, True)
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.35, 0.05]))
    edges = _edges(count, side, rng)
    colour = np.empty((side, side, 3), np.uint8)
    regions = np.empty((side // 2, side // 2), np.uint8)
    first = 0
    for top, bottom in zip(edges[0][:-1], edges[0][1:], strict=True):
        for left, right in zip(edges[1][:-1], edges[1][1:], strict=True):
            tile, part = _crop(scenes, (bottom - top, right - left), count > 1, rng)
            part = np.where(part >= data.FIRST_OBJECT, part + first, part)
            first = max(first, int(part.max()) - data.FIRST_OBJECT + 1)
            colour[top:bottom, left:right] = tile
            regions[top // 2 : bottom // 2, left // 2 : right // 2] = part
    colour = retexture(colour, regions, rng) if count == 1 else colour
    return Picture(spoil(turn_colours(colour, rng), rng), regions, count == 1)


def _edges(count: int, side: int, rng: Generator) -> list[np.ndarray]:
    """Where the tiles of a picture meet, for its rows and its columns: even pixels."""
    lines = np.arange(count + 1) / count
    jitter = rng.uniform(-0.2, 0.2, (2, count + 1)) / count
    jitter[:, [0, -1]] = 0
    return list(2 * np.rint((lines + jitter) * side / 2).astype(int))


def _crop(
    scenes: list[data.PackedScenes], size: tuple[int, int], tile: bool, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of one scene, mirrored or turned at random: h×w×3, and its regions h/2×w/2."""
    chosen = scenes[rng.integers(len(scenes))]
    index = int(rng.integers(len(chosen)))
    height, width = chosen.regions.shape[1:]
    scale = rng.uniform(0.6, 1) if tile else rng.uniform(0.4, 1)
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    h = int(min(1, scale * stretch) * height)
    w = int(min(1, scale / stretch) * width)
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    window = np.s_[index, top : top + h, left : left + w]
    colour, regions = (np.ascontiguousarray(x[window]) for x in (chosen.colour, chosen.regions))
    if rng.random() < 0.5:
        colour, regions = colour[:, ::-1], regions[:, ::-1]
    quarters = int(rng.choice([0, 1, 2, 3], p=[0.8, 0.07, 0.06, 0.07]))
    colour, regions = (np.ascontiguousarray(np.rot90(x, quarters)) for x in (colour, regions))
    if tile and rng.random() < 0.5:
        half = retexture(colour[::2, ::2], regions[::2, ::2], rng)
        colour = cv2.resize(half, colour.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    way = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
    colour = cv2.resize(colour, size[::-1], interpolation=way)
    half = (size[1] // 2, size[0] // 2)
    return colour, cv2.resize(regions, half, interpolation=cv2.INTER_NEAREST)


@cache
def _bank() -> np.ndarray:
    """Textures N×256×256×3 uint8: drawn ones, noise of all scales, and photographs of surfaces."""
    rng, side = default_rng(BANK_SEED), textures.SIDE
    drawn = [textures.draw(rng) for _ in range(BANK // 3)]
    noise = [_fractal(rng, side) for _ in range(BANK // 3)]
    surfaces = [_surface(str(name), rng, side) for name in rng.choice(PHOTOGRAPHS, BANK // 3)]
    return np.stack(drawn + noise + surfaces)


def _fractal(rng: Generator, side: int) -> np.ndarray:
    """Noise between two colours whose power falls with frequency, slowly or fast."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) + 1 / side
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / frequency ** rng.uniform(0.4, 2.2)
    return _two_tone(np.fft.ifft2(spectrum).real, rng)


def _surface(name: str, rng: Generator, side: int) -> np.ndarray:
    """A piece of a photograph; of a grey one, in two colours of its own."""
    image = getattr(skimage.data, name)()
    size = int(rng.uniform(0.3, 1) * min(image.shape[:2]))
    top, left = (rng.integers(length - size + 1) for length in image.shape[:2])
    piece = cv2.resize(image[top : top + size, left : left + size], (side, side))
    return piece if piece.ndim == 3 else _two_tone(piece.astype(float), rng)


def _two_tone(pattern: np.ndarray, rng: Generator) -> np.ndarray:
    low, high = np.percentile(pattern, [2, 98])
    share = np.clip((pattern - low) / max(high - low, 1e-6), 0, 1)[..., None]
    dark, light = rng.uniform(0, 255, (2, 3))
    return (dark + (light - dark) * share * rng.uniform(0.2, 1)).astype(np.uint8)


def retexture(colour: np.ndarray, regions: np.ndarray, rng: Generator) -> np.ndarray:
    """The picture with new surfaces on some of its regions, their shading kept."""
    size = colour.shape[1::-1]
    full = cv2.resize(regions, size, interpolation=cv2.INTER_NEAREST)
    shade = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.float32) + 12
    result = colour.astype(np.float32)
    for region in np.unique(full):
        if rng.random() > (0.3 if region >= data.FIRST_OBJECT else 0.5):
            continue
        x, y, w, h = cv2.boundingRect((full == region).astype(np.uint8))
        window = np.s_[y : y + h, x : x + w]
        inside = full[window] == region
        light = shade[window] / shade[window][inside].mean()
        strength = rng.uniform(0.4, 1)
        new = _laid(size, rng)[window] * np.clip(light, 0, 2.5)[..., None]
        old = result[window]
        old[inside] = ((1 - strength) * old + strength * new)[inside]
    return np.clip(result, 0, 255).astype(np.uint8)


def _laid(size: tuple[int, int], rng: Generator) -> np.ndarray:
    """A texture, or one plain colour, at some scale, turn and slant over `size` = (w, h)."""
    if rng.random() < 0.3:
        return np.broadcast_to(rng.uniform(0, 255, 3), (size[1], size[0], 3)).astype(np.float32)
    texture = _bank()[rng.integers(BANK)]
    scale = np.exp(rng.uniform(-1.6, 1.2))
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    warp = scale * turn @ np.diag([1, rng.uniform(0.4, 1)]) @ turn.T
    warp = np.hstack([warp, rng.uniform(-500, 500, (2, 1))])
    laid = cv2.warpAffine(texture, warp, size, borderMode=cv2.BORDER_REFLECT)
    tint = rng.uniform(0.4, 1.3, 3)
    return laid.astype(np.float32) * tint


def turn_colours(colour: np.ndarray, rng: Generator) -> np.ndarray:
    """Any hues: channels permuted, hue turned, saturation, value and gamma changed."""
    if rng.random() < 0.7:
        colour = colour[..., rng.permutation(3)]
    hsv = cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 180)) % 180
    hsv[..., 1] *= 0.0 if rng.random() < 0.05 else rng.uniform(0.3, 1.5)
    hsv[..., 2] *= rng.uniform(0.5, 1.3)
    colour = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)
    if rng.random() < 0.05:
        colour = 255 - colour
    gamma, warmth = np.exp(rng.uniform(-0.5, 0.5)), rng.uniform(0.85, 1.15, 3)
    levels = 255 * (np.arange(256) / 255)[:, None] ** gamma * warmth
    table = np.clip(levels, 0, 255).astype(np.uint8)[:, None]
    return cv2.LUT(colour, np.ascontiguousarray(table))


def spoil(colour: np.ndarray, rng: Generator) -> np.ndarray:
    """What a camera adds: blur, motion, vignetting, noise, coarse pixels and JPEG."""
    side = len(colour)
    if rng.random() < 0.25:
        colour = cv2.GaussianBlur(colour, (0, 0), rng.uniform(0.3, 1.6) * side / 384)
    if rng.random() < 0.15:
        colour = move(colour, rng.uniform(3, 12) * side / 384, rng.uniform(0, np.pi))
    if rng.random() < 0.15:
        small = int(side * rng.uniform(0.35, 0.8))
        colour = cv2.resize(colour, (small, small), interpolation=cv2.INTER_AREA)
        colour = cv2.resize(colour, (side, side), interpolation=cv2.INTER_LINEAR)
    result = colour.astype(np.float32)
    if rng.random() < 0.3:
        axis = np.linspace(-1, 1, side, dtype=np.float32)
        result *= (1 - rng.uniform(0, 0.3) * (axis[:, None] ** 2 + axis**2))[..., None]
    if rng.random() < 0.7:
        result += rng.normal(0, rng.uniform(0, 9), result.shape).astype(np.float32)
    colour = np.clip(result, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.uniform(20, 90))
        _, packed = cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, quality])
        colour = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return colour


def move(colour: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Blur along a line of so many pixels at an angle in radians, as a moving camera does."""
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    reach = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    start, end = np.rint(middle - reach).astype(int), np.rint(middle + reach).astype(int)
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return cv2.filter2D(colour, -1, kernel / kernel.sum())

"""Procedural textures of tables, walls and clutter."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, zoom

SIDE = 256


def draw(rng: Generator) -> np.ndarray:
    """Draw a SIDE×SIDE×3 uint8 texture: plain, wood, stone, cloth, tiles or stripes."""
    pattern = (_plain, _wood, _stone, _cloth, _tiles, _stripes)[rng.integers(6)](rng)
    ground, ink = _tone(rng), _tone(rng)
    contrast = rng.uniform(0.1, 0.7)
    image = ground + (ink - ground) * contrast * pattern[..., None]
    image += rng.normal(0, rng.uniform(0, 0.02), image.shape)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def _tone(rng: Generator) -> np.ndarray:
    """A muted colour: furniture is rarely as vivid as the objects on it."""
    value = rng.uniform(0.15, 0.9)
    if rng.random() < 0.45:
        warm = np.array([1.0, rng.uniform(0.62, 0.88), rng.uniform(0.35, 0.75)])
        return value * warm
    return value * (1 + rng.uniform(-0.14, 0.14, 3))


def _cloud(rng: Generator, coarse: int) -> np.ndarray:
    """Smooth noise in 0..1 with about `coarse` blobs a side."""
    noise = zoom(rng.random((coarse, coarse)), SIDE / coarse, order=1, mode="grid-wrap")
    noise = gaussian_filter(noise[:SIDE, :SIDE], 1.0, mode="wrap")
    return (noise - noise.min()) / max(np.ptp(noise), 1e-6)


def _plain(rng: Generator) -> np.ndarray:
    return 0.2 * _cloud(rng, 8)


def _wood(rng: Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    grain = y * rng.uniform(6, 25) + 1.2 * _cloud(rng, 4) + 0.25 * np.sin(2 * np.pi * x)
    planks = (np.floor(y * rng.integers(2, 6)) * 0.37) % 1
    return 0.7 * (0.5 + 0.5 * np.sin(2 * np.pi * grain)) + 0.3 * planks


def _stone(rng: Generator) -> np.ndarray:
    return sum(_cloud(rng, n) / k for k, n in enumerate((4, 16, 64), 1)) / 1.83


def _cloth(rng: Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    count = rng.integers(30, 60)
    return 0.5 + 0.25 * (np.sin(2 * np.pi * count * x) + np.sin(2 * np.pi * count * y))


def _tiles(rng: Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    count = rng.integers(3, 10)
    if rng.random() < 0.5:
        return ((np.floor(x * count) + np.floor(y * count)) % 2).astype(float)
    line = rng.uniform(0.03, 0.08)
    return np.maximum((x * count) % 1 < line, (y * count) % 1 < line).astype(float)


def _stripes(rng: Generator) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    count, tilt = rng.integers(3, 16), rng.integers(-2, 3)
    wave = (count * x + tilt * y) % 1
    return (wave < rng.uniform(0.2, 0.6)).astype(float)

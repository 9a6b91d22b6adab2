"""Textures of the second generator: 512×512×3 uint8."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.random import Generator

SIDE = 512


def draw(rng: Generator) -> np.ndarray:
    """Draw marble, planks, cells, gingham, terrazzo or one plain colour."""
    kinds = (_marble, _planks, _cells, _gingham, _terrazzo, _plain)
    shade = kinds[rng.integers(len(kinds))](rng)[..., None]
    low, high = (_tone(rng) for _ in range(2))
    mixed = low + (high - low) * shade * rng.uniform(0.2, 1)
    return (255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def _tone(rng: Generator) -> np.ndarray:
    saturation = rng.uniform(0, 0.35) if rng.random() < 0.7 else rng.uniform(0.3, 0.9)
    return np.array(colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.1, 0.95)))


def _smooth(rng: Generator, cells: int) -> np.ndarray:
    coarse = rng.random((cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _plain(rng: Generator) -> np.ndarray:
    return 0.15 * _smooth(rng, 6)


def _marble(rng: Generator) -> np.ndarray:
    across = np.linspace(0, rng.uniform(3, 12), SIDE)[None]
    fold = sum(_smooth(rng, 4 * 2**k) / 2**k for k in range(4))
    return np.abs(np.sin(np.pi * (across + rng.uniform(1, 4) * fold))) ** 0.5


def _planks(rng: Generator) -> np.ndarray:
    count = int(rng.integers(3, 9))
    grain = cv2.resize(rng.random((SIDE, 6)).astype(np.float32), (SIDE, SIDE))
    board = np.repeat(rng.random(count), -(-SIDE // count))[:SIDE, None]
    return 0.5 * board + 0.5 * grain


def _cells(rng: Generator) -> np.ndarray:
    seeds = np.full((SIDE, SIDE), 255, np.uint8)
    places = rng.integers(0, SIDE, (int(rng.integers(20, 400)), 2))
    seeds[places[:, 0], places[:, 1]] = 0
    far = cv2.distanceTransform(seeds, cv2.DIST_L2, 5)
    return far / far.max()


def _gingham(rng: Generator) -> np.ndarray:
    line = (np.arange(SIDE) // int(rng.integers(8, 64))) % 2
    return (line[:, None] + line[None]) / 2


def _terrazzo(rng: Generator) -> np.ndarray:
    image = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(int(rng.integers(60, 600))):
        corners = rng.integers(0, SIDE, 2) + rng.integers(-9, 10, (5, 2))
        cv2.fillConvexPoly(image, cv2.convexHull(corners), int(rng.integers(60, 256)))
    return image / 255

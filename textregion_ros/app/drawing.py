"""Groundings drawn over the picture they were found in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from textregion_ros.core.boxes import Box
from textregion_ros.core.palette import colour
from textregion_ros.core.results import Grounding, Region
from textregion_ros.core.text import one_line

MOST_TEXT = 60  # characters of a label
HALO, PLATE, INK = (0, 0, 0), (24, 24, 24), (255, 255, 255)


@dataclass(frozen=True)
class Label:
    """A line to be written.

    Attributes:
        text: The line.
        colour: Of the bar before it, RGB.
        near: What it is written beside, x y w h, px.
    """

    text: str
    colour: tuple[int, int, int]
    near: Box


def draw(rgb: np.ndarray, groundings: Sequence[Grounding]) -> np.ndarray:
    """Outline what was found, and write each text with its score, found or not.

    The n-th text has the n-th colour, whatever was found. The things by which another was told
    from others have thin outlines. Nothing is tinted: colours are often what was asked for.

    Args:
        rgb: uint8 H×W×3.
        groundings: Answers about the picture.

    Returns:
        A new array of the same shape and type.
    """
    picture = rgb.copy()
    width = max(1, round(rgb.shape[0] / 320))
    found = [(k, one.text, region) for k, one in enumerate(groundings) for region in one.regions]
    for number, one in enumerate(groundings):
        for anchor in one.anchors:
            cv2.drawContours(picture, _outline(anchor), -1, bright(number), 1)
    for extra, halo in ((2, True), (0, False)):
        for number, _, region in found:
            paint = HALO if halo else bright(number)
            cv2.drawContours(picture, _outline(region), -1, paint, width + extra)
    labels = [
        Label(f"{one_line(text, MOST_TEXT)} {region.score:.2f}", bright(number), region.box)
        for number, text, region in found
    ]
    corner = (0, rgb.shape[0], 0, 0)
    labels += [
        Label(_missing(one), bright(number), corner)
        for number, one in enumerate(groundings)
        if not one.regions
    ]
    return _write(picture, labels)


def bright(number: int) -> tuple[int, int, int]:
    """Return the colour of the n-th text, counted from 0, at its full brightness: RGB."""
    r, g, b = (round(255 * part / max(colour(number))) for part in colour(number))
    return r, g, b


def _missing(grounding: Grounding) -> str:
    text = one_line(grounding.text, MOST_TEXT)
    if grounding.unknown:
        return f"{text}: not known: {one_line(', '.join(grounding.unknown), MOST_TEXT)}"
    if grounding.missing:
        return f"{text}: not found, there is no {one_line(grounding.missing, MOST_TEXT)}"
    return f"{text}: not found {grounding.score:.2f}"


def _outline(region: Region) -> list[np.ndarray]:
    """The borders of a region's mask in the picture; those of its box where it has no mask."""
    x, y, w, h = region.box
    crop = region.crop if region.crop.size else np.ones((h, w), bool)
    borders, _ = cv2.findContours(
        np.ascontiguousarray(crop, np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(x, y)
    )
    return list(borders)


def _write(picture: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """Write labels where they cover neither each other nor, where it can be, what was found."""
    height, width = picture.shape[:2]
    font = _font(max(11, round(height / 36)))
    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    pad = max(2, height // 160)
    things = [label.near for label in labels]
    taken: list[Box] = []
    for label in labels:
        text = _fitted(label.text, font, width - 4 * pad)
        _, top, right, bottom = font.getbbox(text)
        size = (int(right) + 4 * pad, int(bottom - top) + 2 * pad)
        x, y = _place(size, label.near, taken, things, (height, width))
        w, h = size
        taken.append((x - 1, y - 1, w + 2, h + 2))  # a seam, so that two do not look like one
        pen.rectangle((x, y, x + w - 1, y + h - 1), fill=PLATE)
        pen.rectangle((x, y, x + pad - 1, y + h - 1), fill=label.colour)
        pen.text((x + 2 * pad, y + pad - top), text, font=font, fill=INK)
    return np.array(canvas)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, cut where it is wider than so many px."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _place(
    size: tuple[int, int],
    near: Box,
    taken: Sequence[Box],
    things: Sequence[Box],
    image_size: tuple[int, int],
) -> tuple[int, int]:
    """Left and top of a label that covers no other one, few things, and is near to its own."""
    (w, h), (height, width) = size, image_size
    x, y, box_width, box_height = near
    # Above and below its thing and beside it, and then everywhere.
    columns = np.r_[x, x + box_width - w, x + box_width, x - w, np.arange(0, width, max(1, w // 4))]
    rows = np.r_[y - h, y + box_height, y, y + box_height - h, np.arange(0, height, max(1, h // 2))]
    columns = columns.clip(0, max(0, width - w))
    rows = rows.clip(0, max(0, height - h))
    left, top = (part.ravel() for part in np.meshgrid(columns, rows))
    gap = np.hypot(
        np.maximum(np.maximum(x - left - w, left - x - box_width), 0),
        np.maximum(np.maximum(y - top - h, top - y - box_height), 0),
    )
    # Of places that are equally near, the one above its thing, where its left edge is.
    moved = np.abs(left - x) + np.abs(top - (y - h))
    cost = gap + 0.01 * moved + 0.03 * _covered(left, top, size, things)
    best = np.lexsort((cost, _covered(left, top, size, taken)))[0]
    return int(left[best]), int(top[best])


def _covered(
    left: np.ndarray, top: np.ndarray, size: tuple[int, int], boxes: Sequence[Box]
) -> np.ndarray:
    """How many pixels of boxes a label covers at each place, N."""
    covered = np.zeros(len(left))
    for x, y, w, h in boxes:
        across = np.minimum(left + size[0], x + w) - np.maximum(left, x)
        down = np.minimum(top + size[1], y + h) - np.maximum(top, y)
        covered += across.clip(0) * down.clip(0)
    return covered

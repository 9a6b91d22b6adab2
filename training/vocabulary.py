"""The names of the demo world: colours, categories, and the pairs kept for testing."""

from __future__ import annotations

from training import shapes

# Hue in degrees, saturation, value: the range each name is drawn from.
COLOURS = {
    "red": ((-9, 8), (0.8, 1.0), (0.55, 0.95)),
    "green": ((95, 145), (0.6, 1.0), (0.35, 0.85)),
    "blue": ((207, 235), (0.7, 1.0), (0.45, 0.95)),
    "yellow": ((49, 60), (0.75, 1.0), (0.8, 1.0)),
    "orange": ((20, 33), (0.85, 1.0), (0.85, 1.0)),
    "purple": ((265, 292), (0.5, 0.9), (0.4, 0.8)),
    "white": ((0, 360), (0.0, 0.06), (0.85, 1.0)),
    "black": ((0, 360), (0.0, 0.25), (0.03, 0.12)),
}
CATEGORIES = tuple(shapes.CATEGORIES)
HELD_OUT = frozenset(
    {
        ("purple", "banana"),
        ("orange", "hammer"),
        ("blue", "mug"),
        ("green", "cube"),
        ("yellow", "bottle"),
        ("red", "cone"),
        ("black", "bowl"),
        ("white", "ball"),
    }
)
"""Pairs (colour, category) that are never trained on."""

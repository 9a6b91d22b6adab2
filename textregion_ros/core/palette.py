"""One colour for each text, the same in the overlay and in RViz."""

from __future__ import annotations

PALETTE = (
    (163, 81, 251),
    (255, 64, 64),
    (255, 161, 160),
    (255, 118, 51),
    (255, 182, 51),
    (209, 212, 53),
    (76, 251, 18),
    (148, 207, 26),
    (64, 222, 138),
    (27, 150, 64),
    (0, 214, 193),
    (46, 156, 170),
    (0, 196, 255),
    (54, 71, 151),
    (102, 117, 255),
    (0, 25, 239),
    (134, 58, 255),
    (83, 0, 135),
    (205, 58, 255),
    (255, 151, 202),
    (255, 57, 201),
)
"""RGB, 0..255; these are supervision's default colours."""


def colour(number: int) -> tuple[int, int, int]:
    """Return the colour of the n-th text, counted from 0; after the last the first comes again."""
    return PALETTE[number % len(PALETTE)]

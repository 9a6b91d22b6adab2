"""Orders that pick one of several: leftmost, nearest, largest, … .

Every order gives each thing a number, the first in the order the least one. Two numbers that differ
by less than 1 are too close to tell which comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from textregion_ros.space.placement import Layout
from textregion_ros.space.relations import foot_flat

# Places are told apart from so much of the things' own size on, sizes from such a share on.
PLACE = 0.25
SIZE = 0.05
# In a picture a far thing looks smaller: there it takes more.
SIZE_FLAT = 0.15
_LEAST = 1e-9

Function = Callable[[Layout], np.ndarray]


@dataclass(frozen=True)
class Order:
    """The functions of an order, as in `relations.Measure`."""

    flat: Function
    solid: Function | None = None
    needs: str = "solid"


def order(name: str, things: Layout) -> tuple[np.ndarray, bool]:
    """Return each thing's number in an order.

    Args:
        name: one of `ORDERS`.
        things: R regions.

    Returns:
        float64 R, and whether the picture stood in for space: it does for all where it must for
        one of them.

    Raises:
        KeyError: there is no such order.
    """
    chosen = ORDERS[name]
    if chosen.solid is None or not len(things):
        return chosen.flat(things), False
    known = bool(getattr(things, chosen.needs).all())
    return (chosen.solid if known else chosen.flat)(things), not known


def leftmost(things: Layout) -> np.ndarray:
    """By the mask's middle in the picture."""
    return things.u / _noticed(things.right - things.left)


def topmost(things: Layout) -> np.ndarray:
    """By the mask's middle in the picture."""
    return things.v / _noticed(things.bottom - things.top)


def nearest(things: Layout) -> np.ndarray:
    """By the centroid's distance from the camera."""
    return things.distance / _noticed(things.x1 - things.x0)


def nearest_flat(things: Layout) -> np.ndarray:
    """By how low its foot is in the picture, as on a table that is seen from above."""
    return -foot_flat(things) / _noticed(things.bottom - things.top)


def largest(things: Layout) -> np.ndarray:
    """By the largest side of the upright box."""
    return _by_size(np.sqrt(things.face), SIZE)


def largest_flat(things: Layout) -> np.ndarray:
    """By the mask's area in the picture."""
    return _by_size(np.sqrt(things.area), SIZE_FLAT)


def tallest(things: Layout) -> np.ndarray:
    """By the extent along the vertical."""
    return _by_size(things.y1 - things.y0, SIZE)


def tallest_flat(things: Layout) -> np.ndarray:
    """By the box's height in the picture."""
    return _by_size(things.bottom - things.top, SIZE_FLAT)


def middle(things: Layout) -> np.ndarray:
    """By how near it is to the median, across or down the picture, where they spread more."""
    if not len(things):
        return np.zeros(0)
    across = np.ptp(things.u) >= np.ptp(things.v)
    numbers = leftmost(things) if across else topmost(things)
    return np.abs(numbers - np.median(numbers))


def backwards(function: Function) -> Function:
    """Return the order from the other end."""
    return lambda things: -function(things)


def _noticed(sizes: np.ndarray) -> float:
    """The least distance that is noticed among things of these sizes."""
    return max(PLACE * float(np.median(sizes)), _LEAST) if len(sizes) else 1.0


def _by_size(sizes: np.ndarray, noticed: float) -> np.ndarray:
    return -np.log(np.maximum(sizes, _LEAST)) / noticed


ORDERS: dict[str, Order] = {
    "leftmost": Order(leftmost),
    "rightmost": Order(backwards(leftmost)),
    "topmost": Order(topmost),
    "bottommost": Order(backwards(topmost)),
    "middle": Order(middle),
    "nearest": Order(nearest_flat, nearest),
    "farthest": Order(backwards(nearest_flat), backwards(nearest)),
    "largest": Order(largest_flat, largest),
    "smallest": Order(backwards(largest_flat), backwards(largest)),
    "tallest": Order(tallest_flat, tallest, needs="upright"),
    "shortest": Order(backwards(tallest_flat), backwards(tallest), needs="upright"),
}

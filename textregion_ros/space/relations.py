"""How well one region stands in a relation to another: soft values, 0 … 1.

Every relation is a function of the layout of the things and those of the anchors, element by
element: things R×1 and anchors 1×A give values R×A. Left, right, above and below are the picture's,
as the viewer sees it. The others are of space, and have a second function that reads the picture
where depth is missing, or the vertical where that is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from textregion_ros.space.placement import Layout

# A direction holds fully up to so many degrees off, and not at all from so many on.
STRAIGHT, ASIDE = 45.0, 90.0
# Of two anchors, a thing between sees them so many degrees apart, or at least so many.
OPPOSITE, APART = 150.0, 100.0
# What rests on something is within so many metres of its top; depth and rims blur it.
CONTACT = 0.02
# A tabletop seen from above looks so much shorter than it is deep.
FORESHORTENING = 1.5

Function = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Measure:
    """The functions of a relation.

    flat: of the picture. solid: of space, None where the picture is what is meant. needs: the field
    of the layout that says where solid can be used.
    """

    flat: Function
    solid: Function | None = None
    needs: str = "solid"


def measure(name: str, things: Layout, *anchors: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return how well each thing stands in a relation to each anchor.

    Args:
        name: one of `RELATIONS`.
        things: R regions.
        anchors: A regions; for "between" two layouts, of A and of B regions.

    Returns:
        Values float64 R×A (R×A×B), 0 … 1, and bool of the same shape: whether the picture stood
        in for space.

    Raises:
        KeyError: there is no such relation.
    """
    return evaluate(RELATIONS[name], things, *anchors)


def evaluate(relation: Measure, things: Layout, *anchors: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of any measure, as `measure` does."""
    axes = 1 + len(anchors)
    sides = [side.along(axis, axes) for axis, side in enumerate((things, *anchors))]
    if relation.solid is None:
        values = relation.flat(*sides)
        return values, np.zeros(values.shape, bool)
    known = np.array(True)
    for side in sides:
        known = known & getattr(side, relation.needs)
    if known.all():
        return relation.solid(*sides), ~known
    values = relation.flat(*sides)
    return np.where(known, relation.solid(*sides), values) if known.any() else values, ~known


def ramp(x: np.ndarray, zero: float | np.ndarray, one: float | np.ndarray) -> np.ndarray:
    """Return 0 up to `zero`, 1 from `one` on (or the other way round), and smooth between."""
    t = ((x - zero) / (one - zero)).clip(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def direction(along: np.ndarray, across: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return how well a displacement points one way.

    along, across: its parts that way and square to it. clear: as far along it is no overlap.
    """
    angle = np.degrees(np.arctan2(np.abs(across), along))
    return ramp(angle, ASIDE, STRAIGHT) * ramp(along, 0.0, np.maximum(clear, 1e-9))


def left_of(thing: Layout, anchor: Layout) -> np.ndarray:
    """The mask's middle lies to the left, by at most 45° and not by 90° up or down."""
    clear = _width(thing, anchor) / 4
    return direction(anchor.u - thing.u, thing.v - anchor.v, clear)


def right_of(thing: Layout, anchor: Layout) -> np.ndarray:
    """The mask's middle lies to the right, by at most 45° and not by 90° up or down."""
    return left_of(anchor, thing)


def above(thing: Layout, anchor: Layout) -> np.ndarray:
    """The mask's middle lies higher in the picture, by at most 45° to a side and not by 90°."""
    clear = _height(thing, anchor) / 8
    return direction(anchor.v - thing.v, thing.u - anchor.u, clear)


def below(thing: Layout, anchor: Layout) -> np.ndarray:
    """The mask's middle lies lower in the picture, by at most 45° to a side and not by 90°."""
    return above(anchor, thing)


def in_front_of(thing: Layout, anchor: Layout) -> np.ndarray:
    """Along the ground, it lies from the anchor towards the viewer, and not aside."""
    nearer, aside, clear = _nearer(thing, anchor)
    return direction(nearer, aside, clear)


def in_front_of_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Its foot is lower in the picture, as on a table that is seen from above."""
    nearer = foot_flat(thing) - foot_flat(anchor)
    return direction(nearer, thing.u - anchor.u, _width(thing, anchor) / 4)


def behind(thing: Layout, anchor: Layout) -> np.ndarray:
    """Along the ground, it lies from the anchor away from the viewer, and not aside."""
    nearer, aside, clear = _nearer(thing, anchor)
    return direction(-nearer, aside, clear)


def behind_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """The anchor's foot is lower in the picture, as on a table that is seen from above."""
    return in_front_of_flat(anchor, thing)


def gap(thing: Layout, anchor: Layout) -> np.ndarray:
    """Free space between the upright boxes around two regions, m."""
    x = np.maximum(thing.x0 - anchor.x1, anchor.x0 - thing.x1)
    y = np.maximum(thing.y0 - anchor.y1, anchor.y0 - thing.y1)
    z = np.maximum(thing.z0 - anchor.z1, anchor.z0 - thing.z1)
    return np.sqrt(x.clip(0) ** 2 + y.clip(0) ** 2 + z.clip(0) ** 2)


def gap_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Free space between two regions on a table that is seen from above, px of its near side.

    None between what is seen on or in the other.
    """
    reach = _width(thing, anchor) / 2
    space = np.hypot(thing.u - anchor.u, foot_flat(thing) - foot_flat(anchor)) - reach
    return space.clip(0) * (1.0 - np.maximum(on_flat(thing, anchor), on_flat(anchor, thing)))


def next_to(thing: Layout, anchor: Layout) -> np.ndarray:
    """Less space between them than they measure, and neither on or in the other."""
    beside = 1.0 - np.maximum(_within(thing, anchor), _within(anchor, thing))
    return beside * _close(gap(thing, anchor), _size(thing, anchor))


def next_to_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Less space between them in the picture than they measure, and neither in the other.

    What is half hidden behind the other is next to it, and what stands on it looks the same.
    """
    beside = 1.0 - np.maximum(_within_flat(thing, anchor), _within_flat(anchor, thing))
    return beside * _close(gap_flat(thing, anchor), _size_flat(thing, anchor))


def far_from(thing: Layout, anchor: Layout) -> np.ndarray:
    """More space between them than they measure."""
    return 1.0 - _close(gap(thing, anchor), _size(thing, anchor))


def far_from_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """More space between them in the picture than they measure."""
    return 1.0 - _close(gap_flat(thing, anchor), _size_flat(thing, anchor))


def on(thing: Layout, anchor: Layout) -> np.ndarray:
    """It stands over the anchor, and its underside is where the anchor's top is."""
    lift = np.abs(thing.y0 - anchor.y1)
    slack = CONTACT + 0.15 * (thing.y1 - thing.y0)
    higher = ramp(thing.y1 - anchor.y1, -CONTACT / 2, CONTACT / 2)
    return _within(thing, anchor) * ramp(lift, 2.0 * slack, slack) * higher


def on_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Its foot is inside the anchor's outline, and lower than where one behind it is cut off."""
    height = (anchor.bottom - anchor.top).clip(1e-9)
    foot = (anchor.bottom - thing.bottom) / height
    over = ramp(foot, -0.05, 0.1) * ramp(foot, 1.0, 0.85)
    return _over_flat(thing, anchor) * over


def under(thing: Layout, anchor: Layout) -> np.ndarray:
    """The anchor is over it, and its top is not higher than the anchor's underside."""
    over = np.maximum(_within(thing, anchor), _within(anchor, thing))
    height = thing.y1 - thing.y0
    return over * ramp(anchor.y0 - thing.y1, -(CONTACT + 0.5 * height), -CONTACT / 2)


def under_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """The anchor's foot is inside its outline, or it is seen right below the anchor."""
    hidden = _over_flat(thing, anchor) * ramp(thing.bottom - anchor.bottom, 0.0, 1.0)
    close = _close(gap_flat(thing, anchor), _size_flat(thing, anchor))
    return np.maximum(on_flat(anchor, thing), hidden * close * below(thing, anchor))


def inside(thing: Layout, anchor: Layout) -> np.ndarray:
    """It is within the anchor's outline seen from above, and begins below the anchor's top."""
    height = (anchor.y1 - anchor.y0).clip(CONTACT)
    sunk = ramp((anchor.y1 - thing.y0) / height, -0.1, 0.3)
    raised = ramp(thing.y0 - anchor.y0, -2.0 * CONTACT, -CONTACT / 2)
    return _within(thing, anchor) * sunk * raised


def inside_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Its box is within the anchor's box, or sticks out of it at the top."""
    height = (anchor.bottom - anchor.top).clip(1e-9)
    foot = ramp((anchor.bottom - thing.bottom) / height, -0.05, 0.1)
    return _over_flat(thing, anchor) * foot * ramp(thing.bottom - anchor.top, 0.0, 0.3 * height)


def between(thing: Layout, one: Layout, other: Layout) -> np.ndarray:
    """Along the ground, the two anchors lie in opposite directions."""
    return _opposite(one.x - thing.x, one.z - thing.z, other.x - thing.x, other.z - thing.z)


def between_flat(thing: Layout, one: Layout, other: Layout) -> np.ndarray:
    """The two anchors lie in opposite directions on a table that is seen from above."""
    foot = foot_flat(thing)
    return _opposite(
        one.u - thing.u, foot_flat(one) - foot, other.u - thing.u, foot_flat(other) - foot
    )


def apart(thing: Layout, anchor: Layout) -> np.ndarray:
    """How far apart two regions are, m: the space between them, then that of their middles."""
    x, y, z = thing.x - anchor.x, thing.y - anchor.y, thing.z - anchor.z
    return gap(thing, anchor) + 0.1 * np.sqrt(x * x + y * y + z * z)


def apart_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """How far apart two regions are in the picture, px, as `apart`."""
    middles = np.hypot(thing.u - anchor.u, foot_flat(thing) - foot_flat(anchor))
    return gap_flat(thing, anchor) + 0.1 * middles


def _nearer(thing: Layout, anchor: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How much nearer to the viewer it is than the anchor, how far aside, and what is clear, m.

    Along the ground, on the viewer's line to the anchor.
    """
    away = np.hypot(anchor.x, anchor.z).clip(1e-9)
    right, ahead = anchor.x / away, anchor.z / away
    x, z = thing.x - anchor.x, thing.z - anchor.z
    clear = (thing.z1 - thing.z0 + anchor.z1 - anchor.z0) / 4
    return -(x * right + z * ahead), x * ahead - z * right, clear


def _close(space: np.ndarray, size: np.ndarray) -> np.ndarray:
    """1 where there is no space, 1/2 where there is as much as the size."""
    return 1.0 / (1.0 + (space / size) ** 2)


def _opposite(u: np.ndarray, v: np.ndarray, u2: np.ndarray, v2: np.ndarray) -> np.ndarray:
    angle = np.degrees(np.abs(np.arctan2(u * v2 - v * u2, u * u2 + v * v2)))
    return ramp(angle, APART, OPPOSITE)


def _within(thing: Layout, anchor: Layout) -> np.ndarray:
    """Whether most of it, seen from above, lies within the anchor."""
    return ramp(
        _share(thing.x0, thing.x1, anchor.x0, anchor.x1)
        * _share(thing.z0, thing.z1, anchor.z0, anchor.z1),
        0.2,
        0.7,
    )


def _within_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Whether most of its box lies within the anchor's."""
    return ramp(
        _share(thing.left, thing.right, anchor.left, anchor.right)
        * _share(thing.top, thing.bottom, anchor.top, anchor.bottom),
        0.4,
        0.9,
    )


def _over_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """Whether most of its width lies within the anchor's."""
    return ramp(_share(thing.left, thing.right, anchor.left, anchor.right), 0.3, 0.8)


def _share(low: np.ndarray, high: np.ndarray, low2: np.ndarray, high2: np.ndarray) -> np.ndarray:
    """What share of the interval low … high lies within the other."""
    shared = np.minimum(high, high2) - np.maximum(low, low2)
    return shared.clip(0) / (high - low).clip(1e-9)


def foot_flat(region: Layout) -> np.ndarray:
    """How near to the viewer the middle of its foot is, on a table that is seen from above, px.

    The foot is taken to be as deep as it is wide.
    """
    return FORESHORTENING * region.bottom - (region.right - region.left) / 2


def _width(thing: Layout, anchor: Layout) -> np.ndarray:
    return thing.right - thing.left + anchor.right - anchor.left


def _height(thing: Layout, anchor: Layout) -> np.ndarray:
    return thing.bottom - thing.top + anchor.bottom - anchor.top


def _size(thing: Layout, anchor: Layout) -> np.ndarray:
    """The mean of what they measure across, seen from above."""
    spans = np.hypot(thing.x1 - thing.x0, thing.z1 - thing.z0)
    return ((spans + np.hypot(anchor.x1 - anchor.x0, anchor.z1 - anchor.z0)) / 2).clip(1e-9)


def _size_flat(thing: Layout, anchor: Layout) -> np.ndarray:
    """The mean of what they measure across in the picture."""
    return _width(thing, anchor) / 2 + 1e-9


RELATIONS: dict[str, Measure] = {
    "left of": Measure(left_of),
    "right of": Measure(right_of),
    "above": Measure(above),
    "below": Measure(below),
    "in front of": Measure(in_front_of_flat, in_front_of),
    "behind": Measure(behind_flat, behind),
    "next to": Measure(next_to_flat, next_to),
    "far from": Measure(far_from_flat, far_from),
    "on": Measure(on_flat, on, needs="upright"),
    "under": Measure(under_flat, under, needs="upright"),
    "inside": Measure(inside_flat, inside, needs="upright"),
    "between": Measure(between_flat, between),
}
DISTANCE = Measure(apart_flat, apart)

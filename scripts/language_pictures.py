#!/usr/bin/env python3
"""Draw the pictures of docs/language.md from what the library measures.

    python scripts/language_pictures.py [FOLDER]        (docs/images/language by default)

One picture for each relation: how well a small thing stands in it to its anchor, wherever the
thing's middle is. Two more show the orders and some sentences.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from textregion_ros.language import read
from textregion_ros.language.resolving import resolve
from textregion_ros.space.orders import ORDERS, order
from textregion_ros.space.placement import Layout, Placement
from textregion_ros.space.relations import RELATIONS, Measure, evaluate

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "language"
STEPS = 61
UP = np.array([0.0, -1.0, 0.0])
AWAY = 0.9  # of the anchor from the camera, m
ANCHOR, ANSWER, OTHER = "#1f4e8c", "#c2410c", "#9ca3af"


@dataclass(frozen=True)
class Solid:
    """A box in space, m: its middle to the right, up, and beyond AWAY; its width, height, depth."""

    x: float
    y: float
    z: float
    size: tuple[float, float, float]

    def placement(self) -> Placement:
        """As a region of which the points are known."""
        middle = np.array([self.x, -self.y, AWAY + self.z])
        width, height, depth = self.size
        corners = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)])
        points = middle + corners * np.array([width, height, depth]) / 2
        return Placement((0, 0, 1, 1), None, middle, middle, np.array(self.size), points)

    def edges(self, side: bool) -> tuple[float, float, float, float]:
        """Left, low, width and height of its outline, seen from the side or from above."""
        across = self.size[1] if side else self.size[2]
        at = self.y if side else self.z
        return self.x - self.size[0] / 2, at - across / 2, self.size[0], across


CUBE = Solid(0, 0.04, 0, (0.08, 0.08, 0.08))
SMALL = Solid(0, 0.03, 0, (0.06, 0.06, 0.06))
# What stands for the anchors of each relation, and for the thing: boxes of everyday sizes.
ANCHORS: dict[str, tuple[Solid, ...]] = {
    "on": (Solid(0, 0.03, 0, (0.24, 0.06, 0.24)),),
    "inside": (Solid(0, 0.06, 0, (0.24, 0.12, 0.24)),),
    "under": (Solid(0, 0.22, 0, (0.30, 0.04, 0.30)),),
    "between": (replace(CUBE, x=-0.2, z=0.05), replace(CUBE, x=0.2, z=-0.05)),
}
FLAT_ANCHORS = {"between": ((60, 120, 60, 60), (280, 180, 60, 60))}
# Of these the height matters, and they are seen from the side.
UPRIGHT = {"on", "inside", "under"}


def main(folder: Path) -> None:
    """Write every picture into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 8, "axes.titlesize": 8, "svg.hashsalt": "textregion"})
    for name, relation in RELATIONS.items():
        save(draw_relation(name, relation), folder / f"{name.replace(' ', '-')}.png")
    save(draw_orders(), folder / "orders.png")
    save(draw_sentences(), folder / "sentences.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure without the date or the version that made it."""
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.05, metadata={"Software": None})


def draw_relation(name: str, relation: Measure) -> Figure:
    """The relation in space beside the same in the picture, or in the picture alone."""
    views = 1 if relation.solid is None else 2
    figure = Figure(figsize=(2.7 * views + 0.7, 2.6), layout="constrained")
    panels = figure.subplots(1, views, squeeze=False)[0]
    if relation.solid is not None:
        draw_in_space(panels[0], name, relation)
    image = draw_in_picture(panels[-1], name, relation)
    bar = figure.colorbar(image, ax=list(panels), shrink=0.8)
    bar.set_label(f"{name}, 0 … 1")
    return figure


def draw_in_space(axes: Axes, name: str, relation: Measure) -> None:
    """The value of a relation over places in space, m, from above or from the side."""
    side = name in UPRIGHT
    anchors = ANCHORS.get(name, (CUBE,))
    across = np.linspace(-0.4, 0.4, STEPS)
    along = np.linspace(0.0, 0.4, STEPS) if side else np.linspace(-0.4, 0.4, STEPS)
    things = [
        replace(SMALL, x=x, **({"y": other} if side else {"z": other}))
        for other in along
        for x in across
    ]
    values = value_of(relation, things_of(things), [things_of([anchor]) for anchor in anchors])
    show(axes, values, (across[0], across[-1], along[0], along[-1]))
    for anchor in anchors:
        axes.add_patch(outline(*anchor.edges(side)))
    axes.set(
        title="in space, from the side" if side else "in space, from above",
        xlabel="to the right, m",
        ylabel="up, m" if side else "away from the viewer, m",
    )


def draw_in_picture(axes: Axes, name: str, relation: Measure) -> mpl.image.AxesImage:
    """The value of a relation over places in the picture, px."""
    boxes = FLAT_ANCHORS.get(name, ((150, 140, 100, 80),))
    u, v = np.linspace(20, 380, STEPS), np.linspace(20, 340, STEPS)
    things = flat_layout([(int(x) - 20, int(y) - 20, 40, 40) for y in v for x in u])
    flat = replace(relation, solid=None)
    values = value_of(flat, things, [flat_layout([box]) for box in boxes])
    image = show(axes, values, (u[0], u[-1], v[-1], v[0]), origin="upper")
    for x, y, w, h in boxes:
        axes.add_patch(outline(x, y, w, h))
    axes.set(title="in the picture", xlabel="px", ylabel="px")
    return image


def value_of(relation: Measure, things: Layout, anchors: Sequence[Layout]) -> np.ndarray:
    """The values of a STEPS×STEPS grid of things."""
    return evaluate(relation, things, *anchors)[0].reshape(STEPS, STEPS)


def things_of(solids: Sequence[Solid]) -> Layout:
    """The layout of boxes in space."""
    return Layout.of([solid.placement() for solid in solids], UP)


def flat_layout(boxes: Sequence[tuple[int, int, int, int]]) -> Layout:
    """The layout of boxes in a picture."""
    return Layout.of([Placement(box) for box in boxes])


def show(
    axes: Axes, values: np.ndarray, extent: tuple[float, ...], origin: str = "lower"
) -> mpl.image.AxesImage:
    """Values 0 … 1 as colours, and a line where they are a half."""
    image = axes.imshow(
        values, cmap="YlOrBr", vmin=0, vmax=1, extent=extent, origin=origin, aspect="equal"
    )
    if values.min() < 0.5 < values.max():
        axes.contour(values, [0.5], colors="black", linewidths=0.8, extent=extent, origin=origin)
    return image


def outline(x: float, y: float, w: float, h: float) -> Rectangle:
    """An anchor."""
    return Rectangle((x, y), w, h, fill=False, edgecolor=ANCHOR, linewidth=1.5)


# Mugs of several sizes as a picture shows them: x y w h, px.
MUGS = (
    (20, 170, 60, 70),
    (120, 60, 40, 45),
    (190, 210, 90, 60),
    (300, 90, 45, 80),
    (380, 150, 55, 55),
)


def draw_orders() -> Figure:
    """Five mugs in every order, numbered as the library ranks them in a picture."""
    figure = Figure(figsize=(8.6, 4.6), layout="constrained")
    panels = figure.subplots(3, 4).ravel()
    for axes, name in zip(panels, ORDERS, strict=False):
        numbers, _ = order(name, flat_layout(MUGS))
        first = numbers.argsort(kind="stable")
        for rank, index in enumerate(first, 1):
            draw_thing(axes, MUGS[index], str(rank), ANSWER if rank == 1 else OTHER)
        frame(axes, name)
    for axes in panels[len(ORDERS) :]:
        axes.set_axis_off()
    return figure


def frame(axes: Axes, title: str, size: tuple[int, int] = (460, 300)) -> None:
    """An empty picture with a title."""
    axes.set_title(title, fontsize=7)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0), xticks=[], yticks=[], aspect=1)


def draw_thing(
    axes: Axes, box: tuple[int, int, int, int], text: str, colour: str, width: float = 1.5
) -> None:
    """A box with a word in it."""
    x, y, w, h = box
    axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=width))
    axes.text(x + w / 2, y + h / 2, text, ha="center", va="center", color=colour, fontsize=6.5)


THINGS = {
    "red mug": (30, 150, 60, 60),
    "blue mug": (130, 80, 50, 50),
    "ball": (200, 150, 50, 50),
    "plate": (280, 170, 130, 70),
    "white mug": (310, 140, 60, 60),
    "spoon": (215, 245, 70, 18),
}
SENTENCES = (
    "the red mug left of the ball",
    "the mug on the plate",
    "the second mug from the left",
    "the mug left of the ball",
    "all mugs except the red one",
    "the mug closest to the spoon",
    "the ball between the red mug and the plate",
    "the mug behind the bottle",
)


def names_score(noun: str) -> np.ndarray:
    """1 or nearly for the things whose name holds every word of a noun."""
    return np.array([0.95 if set(noun.split()) <= set(name.split()) else 0.02 for name in THINGS])


def draw_sentences() -> Figure:
    """What some sentences mean among the same things: the answer bold, its anchors thin."""
    figure = Figure(figsize=(8.6, 3.9), layout="constrained")
    layout = flat_layout(list(THINGS.values()))
    for axes, sentence in zip(figure.subplots(2, 4).ravel(), SENTENCES, strict=True):
        answer = resolve(read(sentence), names_score, layout, threshold=0.5)
        for index, (name, box) in enumerate(THINGS.items()):
            colour, width = OTHER, 0.6
            if index in answer.regions:
                colour, width = ANSWER, 2.5
            elif index in answer.anchors:
                colour, width = ANCHOR, 1.0
            draw_thing(axes, box, name.replace(" ", "\n"), colour, width)
        frame(axes, f"{sentence}\n{outcome(answer.missing, answer.ambiguous)}", (440, 290))
    return figure


def outcome(missing: str | None, ambiguous: bool) -> str:
    """In a few words."""
    return f"not found: no {missing}" if missing else "ambiguous" if ambiguous else "found"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)

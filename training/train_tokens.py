"""Teach the projection from the trunk's features to tokens, the trunk itself staying as it is.

    python -m training.train_tokens --features runs/features*.npz --photographs runs/photos.npz
        --out runs/tokens

The dimensions of ImageNet's classes are the frozen classifier's own, and only their common weight
is learnt. The axes of the tabletop are one linear layer, taught on rendered regions with true
masks; on photographs it is taught to keep quiet.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from training.concepts import (
    AXES,
    CLASS_DIMS,
    COLOUR,
    DIMS,
    FIRST_CATEGORY,
    FIRST_COLOUR,
    SURFACE,
    THING,
    axis,
    class_basis,
    class_directions,
    noun_vector,
    phrase_vector,
)
from training.features import Regions
from training.trunk import read_classifier
from training.vocabulary import CATEGORIES, COLOURS, HELD_OUT
from training.words import Noun, nouns

TOP = 1280
OBJECTS, OTHERS, SHOTS, CLASSES = 160, 96, 96, 120
"""Of a step: object regions, other regions, regions of photographs, classes to be told apart."""
SURE, UNLIKELY = 0.35, 0.02
"""The frozen classifier's own probability from which a photographed region is its class, and below
which it is not."""
# What a tabletop category may be taken for without being wrong, beside its own classes.
RESEMBLES = {
    "ball": "417 948 950 951 957 971",
    "cube": "478 492 519 549 637",
    "can": "427 438 440 441 463 647 653 737",
    "bottle": "653 711 720 725 804 838 883 899 901",
    "mug": "438 441 463 647 653 725 738 899 967 969",
    "bowl": "505 567 712 896 909 924 925 926 962 968",
    "plate": "567 640 659 712 809 836 868",
    "book": "446 527 620 681 692",
    "hammer": "499 587 596 784 792",
    "screwdriver": "418 499 512 677 769 783 845",
    "spoon": "473 499 600 618 813",
    "ring": "457 643 868",
    "cone": "488 679 785 822 999",
}


class Projection(nn.Module):
    """Features N×1792 of regions -> unit tokens N×DIMS: linear but for their length."""

    def __init__(self, features: Tensor, photographs: Tensor) -> None:
        """Both N×1792: what the features are standardised by."""
        super().__init__()
        every = torch.cat([features, photographs])
        self.register_buffer("mean", every.mean(0))
        self.register_buffer("deviation", every.std(0) + 1e-3)
        self.register_buffer("class_mean", photographs[:, -TOP:].mean(0))
        self.register_buffer("basis", class_basis())
        self.axes = nn.Linear(features.shape[1], AXES)
        self.class_weight = nn.Parameter(torch.tensor(-2.0))
        self.scale = nn.Parameter(torch.tensor(3.0))
        nn.init.normal_(self.axes.weight, std=0.01)

    def raw(self, features: Tensor) -> Tensor:
        """Tokens that are not yet unit vectors; linear in the features."""
        classes = (features[:, -TOP:] - self.class_mean) @ self.basis.T
        axes = self.axes((features - self.mean) / self.deviation)
        return torch.cat([classes * self.class_weight.exp(), axes], 1)

    def forward(self, features: Tensor) -> Tensor:
        """Unit tokens."""
        return F.normalize(self.raw(features), dim=1)

    def logits(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        """N×M: how much better texts M×DIMS describe tokens than the negatives do."""
        rivals = torch.maximum(tokens[:, THING], tokens[:, SURFACE])
        return self.scale.exp() * (tokens @ vectors.T - rivals[:, None])

    def linear(self) -> tuple[Tensor, Tensor]:
        """The whole map as one matrix DIMS×1792 and a bias [DIMS]."""
        size = len(self.mean)
        with torch.no_grad():
            bias = self.raw(torch.zeros(1, size))[0]
            return (self.raw(torch.eye(size)) - bias).T.contiguous(), bias


class Vectors:
    """The texts of the tabletop as vectors, and which of ImageNet's classes each thing may be."""

    def __init__(self) -> None:
        named = {noun.name: noun for noun in nouns()}
        own = [named[category] for category in CATEGORIES]
        self.categories = torch.stack([noun_vector(noun) for noun in own])
        self.colours = torch.stack([axis(FIRST_COLOUR + i) for i in range(len(COLOURS))])
        self.pairs = torch.stack(
            [phrase_vector(noun, colour) for colour in range(len(COLOURS)) for noun in own]
        )
        self.trained = torch.tensor([(c, k) not in HELD_OUT for c in COLOURS for k in CATEGORIES])
        self.classes = F.pad(class_directions(), (0, AXES))
        self.alike = torch.zeros(len(CATEGORIES), 1000, dtype=torch.bool)
        for index, noun in enumerate(own):
            more = RESEMBLES.get(noun.name, "").split()
            self.alike[index, [*noun.classes, *map(int, more)]] = True


def two_sided(logits: Tensor, wanted: Tensor, counts: Tensor | None, against: float) -> Tensor:
    """Binary cross-entropy, mean over wanted ones plus `against` × mean over the others.

    counts: bool, which entries count; None for all.
    """
    counts = torch.ones_like(wanted) if counts is None else counts.expand_as(wanted)
    loss = F.softplus(torch.where(wanted, -logits, logits))
    yes, no = (wanted & counts).float(), (~wanted & counts).float()
    first = (loss * yes).sum() / yes.sum().clamp(min=1)
    return first + against * (loss * no).sum() / no.sum().clamp(min=1)


def scene_loss(
    model: Projection, vectors: Vectors, features: Tensor, category: Tensor, colour: Tensor,
    some: Tensor,
) -> Tensor:
    """Of object regions N×1792 first, then others, whose category is −1. some: classes drawn."""
    tokens, objects = model(features), category >= 0
    count = int(objects.sum())
    pair = colour * len(CATEGORIES) + category
    pairs = model.logits(tokens, vectors.pairs)
    kinds = model.logits(tokens, vectors.categories)
    colours = model.logits(tokens[:count], vectors.colours)
    classes = model.logits(tokens, vectors.classes[some])
    hot = lambda index, size: F.one_hot(index.clamp(min=0), size).bool() & (index >= 0)[:, None]  # noqa: E731
    allowed = torch.ones_like(classes, dtype=torch.bool)
    allowed[:count] = ~vectors.alike[category[:count]][:, some]
    return (
        two_sided(pairs, hot(pair.where(objects, -1), pairs.shape[1]), vectors.trained[None], 3.0)
        + two_sided(kinds, hot(category, len(CATEGORIES)), None, 3.0)
        + two_sided(colours, hot(colour[:count], len(COLOURS)), None, 2.0)
        + two_sided(classes, torch.zeros_like(allowed), allowed, 10.0)
        + F.cross_entropy(pairs[:count].masked_fill(~vectors.trained, -1e4), pair[:count])
        + F.cross_entropy(kinds[:count], category[:count])
        + F.cross_entropy(colours, colour[:count])
    )


def photograph_loss(
    model: Projection, vectors: Vectors, features: Tensor, guess: Tensor
) -> Tensor:
    """Of photographed regions N×1792, which are none of the tabletop's things.

    guess: N×1000, the frozen classifier's probabilities.
    """
    tokens = model(features)
    best, index = guess.max(1)
    wanted = F.one_hot(index, 1000).bool() & (best > SURE)[:, None]
    classes = model.logits(tokens, vectors.classes)
    names = model.logits(tokens, torch.cat([vectors.pairs, vectors.categories]))
    return two_sided(classes, wanted, (guess < UNLIKELY) | wanted, 10.0) + two_sided(
        names, torch.zeros_like(names, dtype=torch.bool), None, 3.0
    )


def train(
    model: Projection, regions: Regions, photographs: Tensor, args: argparse.Namespace
) -> None:
    """Train in place; the log goes to args.out/log.csv."""
    vectors, rng = Vectors(), Generator().manual_seed(args.seed)
    features = torch.from_numpy(regions.features).float()
    category, colour = torch.from_numpy(regions.category), torch.from_numpy(regions.colour)
    objects, others = (category >= 0).nonzero()[:, 0], (category < 0).nonzero()[:, 0]
    weight, bias = read_classifier()
    guess = (photographs[:, -TOP:] @ weight.T + bias).softmax(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.decay)
    draw = lambda pool, count: pool[torch.randint(len(pool), (count,), generator=rng)]  # noqa: E731
    start = time.monotonic()
    with (args.out / "log.csv").open("w") as log:
        for step in range(args.steps):
            for group in optimizer.param_groups:
                group["lr"] = args.lr * min(1, (step + 1) / 50, 2 * (1 - step / args.steps))
            rows = torch.cat([draw(objects, OBJECTS), draw(others, OTHERS)])
            some = torch.randint(1000, (CLASSES,), generator=rng)
            shots = torch.randint(len(photographs), (SHOTS,), generator=rng)
            scene = scene_loss(model, vectors, features[rows], category[rows], colour[rows], some)
            photo = photograph_loss(model, vectors, photographs[shots], guess[shots])
            optimizer.zero_grad()
            (scene + photo).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            if step % 50 == 0:
                spent = time.monotonic() - start
                row = f"{step},{spent:.0f}s,scene={scene.item():.4f},photo={photo.item():.4f}"
                print(row, file=log, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    regions = Regions.load(*args.features)
    photographs = torch.from_numpy(Regions.load(args.photographs).features).float()
    model = Projection(torch.from_numpy(regions.features).float(), photographs)
    train(model, regions, photographs, args)
    torch.save(model.state_dict(), args.out / "projection.pt")


if __name__ == "__main__":
    main()

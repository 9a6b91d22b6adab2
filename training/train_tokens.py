"""Teach what a region's features say of it, the trunk itself staying as it is.

    python -m training.train_tokens --features runs/features*.npz --photographs runs/photos.npz
        --out runs/tokens

ImageNet's classes are read off by the frozen classifier, in its 256 strongest directions. What is
trained is one linear layer that reads kind and colour of the tabletop's things off rendered
regions with true masks, and that learns from photographs, without any label, to keep quiet there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from training.concepts import class_basis
from training.features import STRANGER, SURFACE, Regions
from training.trunk import read_classifier
from training.vocabulary import CATEGORIES, COLOURS

TOP = 1280
OBJECTS, OTHERS, SHOTS = 192, 128, 64
"""Of a step: object regions, other regions, regions of photographs."""
SHARPNESS = 2.0
"""By which the classifier's logits are multiplied: a region's mean says less than a crop does."""
NAMELESS, BARE = len(CATEGORIES), len(CATEGORIES) + 1
"""Kinds after the categories: a thing without a name, and table or room."""
KINDS = len(CATEGORIES) + 2


class Reader(nn.Module):
    """Features N×1792 of regions -> logits of kinds N×16 and of colours N×8."""

    def __init__(self, features: Tensor) -> None:
        """features: N×1792, by which they are standardised."""
        super().__init__()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("deviation", features.std(0) + 1e-3)
        self.linear = nn.Linear(features.shape[1], KINDS + len(COLOURS))
        nn.init.zeros_(self.linear.weight)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of kinds and colours."""
        standard = (features - self.mean) / self.deviation
        if self.training:
            standard = F.dropout(standard, 0.1)
        return self.linear(standard).split([KINDS, len(COLOURS)], 1)

    @torch.no_grad()
    def whole_map(self) -> tuple[Tensor, Tensor]:
        """What the pyramid projects to, as one matrix (256 + 24)×1792 and a bias: classes first."""
        weight = self.linear.weight / self.deviation
        bias = self.linear.bias - weight @ self.mean
        classes = F.pad(class_basis(), (weight.shape[1] - TOP, 0))
        return torch.cat([classes, weight]), torch.cat([torch.zeros(len(classes)), bias])


def class_reader() -> tuple[Tensor, Tensor]:
    """Weights 1000×256 and bias [1000] from the pyramid's class directions to sharpened logits."""
    weight, bias = read_classifier()
    centred = (weight - weight.mean(0)) @ class_basis().T
    return SHARPNESS * centred, SHARPNESS * (bias - bias.mean())


def loss_of(reader: Reader, features: Tensor, category: Tensor, colour: Tensor) -> Tensor:
    """Of regions N×1792: negative log likelihood of kind and, of objects, of colour."""
    kinds, colours = reader(features)
    likely = kinds.log_softmax(1)
    target = category.clone()
    target[category == STRANGER], target[category == SURFACE] = NAMELESS, BARE
    known = target >= 0
    # Of the rest it is known only that it is none of the categories.
    other = torch.logsumexp(likely[~known][:, NAMELESS:], 1)
    kind = (F.nll_loss(likely[known], target[known], reduction="sum") - other.sum()) / len(kinds)
    objects = category >= 0
    return kind + F.cross_entropy(colours[objects], colour[objects])


def train(reader: Reader, regions: Regions, photographs: Tensor, args: argparse.Namespace) -> None:
    """Train in place; the log goes to args.out/log.csv."""
    rng = Generator().manual_seed(args.seed)
    features = torch.from_numpy(regions.features).float()
    category, colour = torch.from_numpy(regions.category), torch.from_numpy(regions.colour)
    objects, others = (category >= 0).nonzero()[:, 0], (category < 0).nonzero()[:, 0]
    nothing = torch.full((SHOTS,), -1)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=args.lr, weight_decay=args.decay)

    def draw(pool: Tensor, count: int) -> Tensor:
        return pool[torch.randint(len(pool), (count,), generator=rng)]

    start = time.monotonic()
    with (args.out / "log.csv").open("w") as log:
        for step in range(args.steps):
            for group in optimizer.param_groups:
                group["lr"] = args.lr * min(1, 2 * (1 - step / args.steps))
            rows = torch.cat([draw(objects, OBJECTS), draw(others, OTHERS)])
            shots = torch.randint(len(photographs), (SHOTS,), generator=rng)
            loss = loss_of(
                reader,
                torch.cat([features[rows], photographs[shots]]),
                torch.cat([category[rows], nothing]),
                torch.cat([colour[rows], nothing]),
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 50 == 0:
                row = f"{step},{time.monotonic() - start:.0f}s,loss={loss.item():.4f}"
                print(row, file=log, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", type=Path, nargs="+", required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    regions = Regions.load(*args.features)
    photographs = torch.from_numpy(Regions.load(args.photographs).features).float()
    reader = Reader(torch.cat([torch.from_numpy(regions.features).float(), photographs]))
    train(reader, regions, photographs, args)
    torch.save(reader.state_dict(), args.out / "reader.pt")


if __name__ == "__main__":
    main()

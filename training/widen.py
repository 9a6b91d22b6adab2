r"""Train the compact SAM2 on, from weights that know one kind of picture, on any kind.

    torchrun --nproc-per-node 2 -m training.widen --weights runs/sam2/model.safetensors \
        --scenes scenes/train scenes/wide --out runs/widened

A prompt's three masks are taught the same answers as in training.train_sam2. What differs are the
pictures (training.augment) and their sizes.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from hydra.utils import instantiate
from numpy.random import Generator, default_rng
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training import augment, data, loop
from training.train_sam2 import Batch, Trainer, as_batch, dice_loss, draw_points

# The input's side in px, images a step and how often: half of the steps at a third of the price.
AVERAGE = 0.995
SPECK = 8  # px: what is smaller than this would outweigh all else in the cross-entropy
SIZES = ((288, 5, 0.5), (384, 3, 0.35), (480, 2, 0.15))


def draw_batch(scenes: list[data.PackedScenes], rng: Generator) -> Batch:
    """Draw augmented pictures of one size and points on them."""
    side, images, _ = SIZES[rng.choice(len(SIZES), p=[share for *_, share in SIZES])]
    pictures = [augment.draw(scenes, side, rng) for _ in range(images)]
    places, targets, weights = zip(*(draw_points(p.regions, rng) for p in pictures), strict=True)
    for picture, place, weight in zip(pictures, places, weights, strict=True):
        if not picture.whole:
            # Tables of several scenes are no region: nothing is taught there.
            x, y = (place * len(picture.regions)).astype(int).T
            weight[picture.regions[y, x] < data.FIRST_OBJECT, 0] = 0
    return as_batch(
        [p.colour for p in pictures], [p.regions for p in pictures], places, targets, weights
    )


def even_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy over the size of masks and targets, and dice, of N×K×H×W masks.

    At a mask's edge a pixel too many costs what a pixel too few does. Where all of the inside
    weighs as much as all of the outside, unsure masks of small things grow fat.
    """
    logits, targets = logits.flatten(2), targets.flatten(2)
    each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(2)
    masks = logits.sigmoid()
    size = 0.5 * (masks.detach().sum(2) + targets.sum(2)) + SPECK
    return ((each / size + dice_loss(masks, targets)) * weights).sum() / weights.sum()


class AveragedTrainer(Trainer):
    """Keeps a running average of the weights; that is what is written out.

    The trunk's batch statistics stay what they were: a few pictures of every kind would tell little
    of them.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.mask_loss = even_loss
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
        self.average.requires_grad_(False)
        self.model.image_encoder.trunk.eval()


def main() -> None:
    """The command line."""
    parser = loop.parser(__doc__.split("\n")[0], "sam2.yaml", steps=1900, decay=800, lr=6e-4)
    parser.add_argument("--scenes", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True, help="weights to go on from")
    args = loop.parse(parser)
    scenes = [data.load(folder) for folder in args.scenes]
    model = instantiate(OmegaConf.load(args.config))
    model.load_state_dict(load_file(args.weights))
    trainer = AveragedTrainer(model)

    def step_loss(step: int, _: Generator) -> tuple[Tensor, dict[str, float]]:
        trainer.average.update_parameters(trainer.model)
        return trainer(draw_batch(scenes, default_rng([args.seed, step, loop.rank()])))

    loop.run(trainer, trainer.average.module, step_loss, args)


if __name__ == "__main__":
    main()

"""Train the compact SAM2 of the demo profile on rendered scenes.

    python -m training.train_sam2 --scenes scenes/train --out runs/sam2

A prompt is one point. Its three masks are taught fixed answers: the region the point lies in
(object, table or room), the object nearest to it, and the second nearest. So a coarse grid of
points still finds an object that is thinner than the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from numpy.random import Generator
from omegaconf import OmegaConf
from torch import Tensor, nn

from training import data, loop

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POINTS = 12
# Until which step, the input's side in px, and images a step. What a point means is learnt as well
# at half size, where a step costs a third.
STAGES = ((1700, 192, 6), (math.inf, 384, 4))
AFFINITY_WEIGHT = 0.5
LEAST_AREA = 12  # px of what is taught, at half the input's size: less is a matter of luck
REACH = 0.06
"""Share of the picture's side after which a near object matters e times less to a point."""


@dataclass(frozen=True)
class Batch:
    """Images B×3×S×S float; per point its image, place in 0..1 (x, y) and three targets.

    With T = S / 2, `targets` is N×3×T×T bool; `regions` B×T×T int; `weights` N×3 say how
    much each matters, 0 where the scene has no such object.
    """

    images: Tensor
    points: Tensor
    owner: Tensor
    targets: Tensor
    weights: Tensor
    regions: Tensor


def draw_batch(scenes: data.PackedScenes, rng: Generator, side: int, images: int) -> Batch:
    """Draw augmented images and points on them, half of the points on objects."""
    pictures, regions = zip(
        *(_augment(scenes, int(n), side, rng) for n in rng.integers(len(scenes), size=images)),
        strict=True,
    )
    prompts = zip(*(draw_points(region, rng) for region in regions), strict=True)
    return as_batch(pictures, regions, *prompts)


def as_batch(
    pictures: Sequence[np.ndarray],
    regions: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
) -> Batch:
    """One batch of pictures S×S×3 uint8, their regions S/2×S/2, and what `draw_points` gave."""
    picture = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    picture = (picture - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return Batch(
        images=picture,
        points=torch.from_numpy(np.concatenate(places)),
        owner=torch.arange(len(pictures)).repeat_interleave(POINTS),
        targets=torch.from_numpy(np.concatenate(targets)),
        weights=torch.from_numpy(np.concatenate(weights)),
        regions=torch.from_numpy(np.stack(regions).astype(np.int64)),
    )


def _augment(
    scenes: data.PackedScenes, index: int, side: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random crop, flip and gain: the picture at `side` px and the regions at half."""
    height, width = scenes.regions.shape[1:]
    scale = rng.uniform(0.65, 1) if rng.random() < 0.6 else 1.0
    h, w = int(height * scale), int(width * scale)
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    window = np.s_[top : top + h, left : left + w]
    colour, region = (
        np.ascontiguousarray(x[index][window]) for x in (scenes.colour, scenes.regions)
    )
    picture = cv2.resize(colour, (side, side), interpolation=cv2.INTER_LINEAR)
    region = cv2.resize(region, (side // 2, side // 2), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        picture, region = picture[:, ::-1], region[:, ::-1]
    gain, offset = rng.uniform(0.75, 1.25), rng.uniform(-15, 15)
    return np.clip(picture * gain + offset, 0, 255).astype(np.uint8), region


def draw_points(region: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (x, y in 0..1) and what their three masks should be."""
    count, side = POINTS, len(region)
    numbers, areas = np.unique(region, return_counts=True)
    ids = [int(i) for i in numbers[areas >= LEAST_AREA] if i >= data.FIRST_OBJECT]
    distance = {
        i: cv2.distanceTransform((region != i).astype(np.uint8), cv2.DIST_L2, 3) for i in ids
    }
    places = rng.integers(side, size=(count, 2))
    for k in range(count // 2 if ids else 0):
        ys, xs = np.nonzero(region == rng.choice(ids))
        pick = rng.integers(len(ys))
        # A little off the object, as a grid of points would be.
        places[k] = np.array([xs[pick], ys[pick]]) + rng.normal(0, side / 96, 2).astype(int)
    places = places.clip(0, side - 1)
    targets = np.zeros((count, 3, side, side), bool)
    weights = np.zeros((count, 3), np.float32)
    for k, (x, y) in enumerate(places):
        near = sorted(ids, key=lambda i: distance[i][y, x])[:2]
        for slot, i in enumerate([region[y, x], *near]):
            targets[k, slot] = region == i
            far = distance[i][y, x] / side / REACH if slot else 0.0
            weights[k, slot] = (1.0, 1.0, 0.5)[slot] * math.exp(-far)
    return ((places + 0.5) / side).astype(np.float32), targets, weights


def build(config: Path) -> nn.Module:
    """Instantiate the configuration and start it where learning from scratch is quick.

    Published weights grew out of pre-trained trunks. From nothing, where a prompt points is found
    late, since position codes drown in the features; here the decoder looks there from the start.
    """
    model = instantiate(OmegaConf.load(config))
    prompts = model.sam_prompt_encoder
    with torch.no_grad():
        for conv in model.image_encoder.neck.convs.parameters():
            conv.mul_(0.3)
        for label in (*prompts.point_embeddings, prompts.not_a_point_embed):
            label.weight.mul_(0.1)
        waves = prompts.pe_layer.positional_encoding_gaussian_matrix
        angle = torch.rand(waves.shape[1]) * math.pi
        pace = torch.logspace(math.log10(0.25), math.log10(2), waves.shape[1])
        waves.copy_(pace * torch.stack([angle.cos(), angle.sin()]))
        transformer = model.sam_mask_decoder.transformer
        for layer in transformer.layers:
            layer.norm1.weight.fill_(0.3)
            _attend_by_position(layer.cross_attn_token_to_image)
        _attend_by_position(transformer.final_attn_token_to_image)
    return model


def _attend_by_position(attention: nn.Module) -> None:
    """Make query and key projections pick the same waves, a slow to a fast one in each head."""
    inner, width = attention.q_proj.weight.shape
    waves, heads = width // 2, attention.num_heads
    each = inner // heads // 2
    pick = 0.02 * torch.randn(inner, width)
    for head in range(heads):
        for k in range(each):
            row, wave = 2 * (head * each + k), head + heads * (k * (waves // heads) // each)
            pick[row, wave] = pick[row + 1, wave + waves] = 6.0
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.copy_(pick)
        projection.bias.zero_()


class Trainer(nn.Module):
    """The model, and heads on its finest features that teach every pixel and are not kept.

    They tell room, table and object apart, point to the centre of the own object, and give
    pixels of one region like codes. The decoder finds its masks the sooner for it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        width = model.sam_prompt_embed_dim
        self.affinity = nn.Conv2d(width, 32, 1)
        self.dense = nn.Sequential(nn.Conv2d(width, 64, 1), nn.GELU(), nn.Conv2d(64, 3 + 2, 1))
        self.mask_loss = balanced_loss

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss and its parts."""
        features = self._encode(batch.images)
        logits, quality = self._decode(features, batch)
        fine = F.interpolate(
            logits, size=batch.regions.shape[1:], mode="bilinear", align_corners=False
        )
        # Every other pixel, from a random corner, says as much as all and costs a quarter.
        top, left = torch.randint(2, (2,)).tolist()
        fine, targets = (x[..., top::2, left::2] for x in (fine, batch.targets))
        mask_loss = self.mask_loss(fine, targets.float(), batch.weights)
        regions = batch.regions[:, top::2, left::2]
        overlap = _best_overlap(fine.detach() > 0, regions, batch.owner)
        quality_loss = (quality - overlap).abs().mean()
        affinity_loss = self._affinity_loss(features[0], batch)
        dense_loss, gap = self._dense_loss(features[0], batch)
        loss = mask_loss + quality_loss + AFFINITY_WEIGHT * affinity_loss + dense_loss
        with torch.no_grad():
            own = _overlap(fine > 0, targets)
            on = batch.weights > 0.4
            parts = {
                "mask": mask_loss.item(),
                "quality": quality_loss.item(),
                "affinity": affinity_loss.item(),
                "dense": dense_loss.item(),
                "gap": gap.item(),
                **{f"iou{k}": own[:, k][on[:, k]].mean().item() for k in range(3)},
            }
        return loss, parts

    def _encode(self, images: Tensor) -> list[Tensor]:
        # Halves the trunk's time where a CPU computes in bfloat16; the decoder gains nothing.
        with torch.autocast("cpu", torch.bfloat16):
            levels = self.model.image_encoder(images)["backbone_fpn"]
        return [level.float() for level in levels]

    def _decode(self, features: list[Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        decoder, prompts = self.model.sam_mask_decoder, self.model.sam_prompt_encoder
        prompts.input_image_size = tuple(batch.images.shape[2:])
        prompts.image_embedding_size = tuple(features[2].shape[2:])
        fine = [decoder.conv_s0(features[0]), decoder.conv_s1(features[1])]
        coarse = features[2] + self.model.no_mem_embed.view(1, -1, 1, 1)
        points = (batch.points * batch.images.shape[-1])[:, None]
        labels = torch.ones(len(points), 1, dtype=torch.int32)
        sparse, dense = prompts(points=(points, labels), boxes=None, masks=None)
        logits, quality, _, _ = decoder(
            image_embeddings=coarse[batch.owner],
            image_pe=prompts.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            repeat_image=False,
            high_res_features=[level[batch.owner] for level in fine],
        )
        return logits, quality

    def _affinity_loss(self, feature: Tensor, batch: Batch) -> Tensor:
        # What all pixels share is taken out, or every pair would start out alike.
        code = F.normalize(F.instance_norm(self.affinity(feature)), dim=1)
        side = code.shape[-1]
        place = (batch.points * side).long().clamp(max=side - 1)
        mine = code[batch.owner, :, place[:, 1], place[:, 0]]
        logits = torch.einsum("nc,nchw->nhw", mine, code[batch.owner]) * 8 - 3
        target = F.avg_pool2d(batch.targets[:, 0].float(), batch.targets.shape[-1] // side)
        entropy = F.binary_cross_entropy_with_logits(logits, target)
        return entropy + dice_loss(logits.sigmoid().flatten(1), target.flatten(1)).mean()

    def _dense_loss(self, feature: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        step = batch.regions.shape[1] // feature.shape[2]
        regions = batch.regions[:, ::step, ::step]
        kinds, offsets = self.dense(feature).split([3, 2], dim=1)
        kind_loss = F.cross_entropy(kinds, regions.clamp(max=data.FIRST_OBJECT))
        inside, centres = _object_centres(regions)
        gap = (offsets.permute(0, 2, 3, 1)[inside] - centres[inside]).norm(dim=-1)
        return kind_loss + 4 * gap.mean(), gap.mean()


def _object_centres(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Where objects are, bool B×H×W, and each pixel's way to its centre, B×H×W×2 in 0..1."""
    count, side = int(regions.max()) + 1, regions.shape[-1]
    onehot = F.one_hot(regions, count).float()
    axis = (torch.arange(side) + 0.5) / side
    place = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    centre = (
        torch.einsum("bhwr,hwc->brc", onehot, place) / onehot.sum((1, 2)).clamp(min=1)[..., None]
    )
    return regions >= data.FIRST_OBJECT, torch.einsum("bhwr,brc->bhwc", onehot, centre) - place


def balanced_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy, inside and outside a mask alike heavy, and dice, of N×K×H×W masks."""
    logits, targets = logits.flatten(2), targets.flatten(2)
    each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    inside = (each * targets).sum(2) / targets.sum(2).clamp(min=1)
    outside = (each * (1 - targets)).sum(2) / (1 - targets).sum(2).clamp(min=1)
    dice = dice_loss(logits.sigmoid(), targets)
    return ((0.5 * (inside + outside) + dice) * weights).sum() / weights.sum()


def dice_loss(probability: Tensor, targets: Tensor) -> Tensor:
    """1 − Dice's coefficient over the last dimension."""
    shared = (probability * targets).sum(-1)
    return 1 - (2 * shared + 1) / (probability.sum(-1) + targets.sum(-1) + 1)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU of bool masks N×K×H×W, pair by pair."""
    a, b = a.flatten(2), b.flatten(2)
    return (a & b).sum(2) / (a | b).sum(2).clamp(min=1)


@torch.no_grad()
def _best_overlap(masks: Tensor, regions: Tensor, owner: Tensor) -> Tensor:
    """IoU of every mask, N×3, with whichever region of its scene fits it best."""
    onehot = F.one_hot(regions.flatten(1), int(regions.max()) + 1).float()
    masks = masks.flatten(2).float()
    both = torch.einsum("nkp,npr->nkr", masks, onehot[owner])
    union = masks.sum(2)[..., None] + onehot.sum(1)[owner][:, None] - both
    return (both / union.clamp(min=1)).amax(2)


def main() -> None:
    """The command line."""
    args = loop.arguments(__doc__.split("\n")[0], "sam2.yaml", steps=4900, decay=1100, lr=1e-3)
    scenes = data.load(args.scenes)
    trainer = Trainer(build(args.config))

    def step_loss(step: int, rng: Generator) -> tuple[Tensor, dict[str, float]]:
        side, images = next(stage[1:] for stage in STAGES if step < stage[0])
        return trainer(draw_batch(scenes, rng, side, images))

    loop.run(trainer, trainer.model, step_loss, args)


if __name__ == "__main__":
    main()

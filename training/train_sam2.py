"""Train the compact SAM2 of the demo profile on rendered scenes.

    python -m training.train_sam2 --scenes scenes/train --out runs/sam2

A prompt is one point. Its three masks are taught fixed answers: the region the point lies in
(object, table or room), the object nearest to it, and the second nearest. So a coarse grid of
points still finds an object that is thinner than the grid.
"""

from __future__ import annotations

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
IMAGE, TARGET, LOW = 384, 192, 96
IMAGES, POINTS = 4, 12
AFFINITY_WEIGHT = 0.5


@dataclass(frozen=True)
class Batch:
    """Images B×3×384×384 float; per point its image, place in 0..1 (x, y) and three targets.

    `targets` is N×3×192×192 bool; `regions` B×192×192 int; `weights` N×3 is 0 where the scene
    has no such object.
    """

    images: Tensor
    points: Tensor
    owner: Tensor
    targets: Tensor
    weights: Tensor
    regions: Tensor


def draw_batch(scenes: data.PackedScenes, rng: Generator, images: int, points: int) -> Batch:
    """Draw augmented images and points on them, half of the points on objects."""
    pictures, regions = zip(
        *(_augment(scenes, int(n), rng) for n in rng.integers(len(scenes), size=images)),
        strict=True,
    )
    places, targets, weights = zip(
        *(_draw_points(region, points, rng) for region in regions), strict=True
    )
    picture = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    picture = (picture - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return Batch(
        images=picture,
        points=torch.from_numpy(np.concatenate(places)),
        owner=torch.arange(images).repeat_interleave(points),
        targets=torch.from_numpy(np.concatenate(targets)),
        weights=torch.from_numpy(np.concatenate(weights)),
        regions=torch.from_numpy(np.stack(regions).astype(np.int64)),
    )


def _augment(
    scenes: data.PackedScenes, index: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random crop, flip and gain: the picture at 384 px and the regions at 192 px."""
    height, width = scenes.regions.shape[1:]
    scale = rng.uniform(0.65, 1) if rng.random() < 0.6 else 1.0
    h, w = int(height * scale), int(width * scale)
    top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
    window = np.s_[top : top + h, left : left + w]
    picture = cv2.resize(
        np.ascontiguousarray(scenes.colour[index][window]), (IMAGE, IMAGE), interpolation=cv2.INTER_LINEAR
    )
    region = cv2.resize(
        np.ascontiguousarray(scenes.regions[index][window]), (TARGET, TARGET), interpolation=cv2.INTER_NEAREST
    )
    if rng.random() < 0.5:
        picture, region = picture[:, ::-1], region[:, ::-1]
    gain, offset = rng.uniform(0.75, 1.25), rng.uniform(-15, 15)
    return np.clip(picture * gain + offset, 0, 255).astype(np.uint8), region


def _draw_points(
    region: np.ndarray, count: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (x, y in 0..1) and what their three masks should be."""
    ids = [i for i in np.unique(region) if i >= data.FIRST_OBJECT]
    distance = {i: cv2.distanceTransform((region != i).astype(np.uint8), cv2.DIST_L2, 3) for i in ids}
    places = rng.integers(TARGET, size=(count, 2))
    for k in range(count // 2 if ids else 0):
        ys, xs = np.nonzero(region == rng.choice(ids))
        pick = rng.integers(len(ys))
        # A little off the object, as a grid of points would be.
        places[k] = np.clip([xs[pick], ys[pick]] + rng.normal(0, 2, 2).astype(int), 0, TARGET - 1)
    targets = np.zeros((count, 3, TARGET, TARGET), bool)
    weights = np.zeros((count, 3), np.float32)
    for k, (x, y) in enumerate(places):
        near = sorted(ids, key=lambda i: distance[i][y, x])[:2]
        for slot, i in enumerate([region[y, x], *near]):
            targets[k, slot] = region == i
            weights[k, slot] = (1.0, 1.0, 0.5)[slot]
    return ((places + 0.5) / TARGET).astype(np.float32), targets, weights


def build(config: Path) -> nn.Module:
    """Instantiate the configuration, its prompts set to look where they point from the start."""
    model = instantiate(OmegaConf.load(config))
    transformer = model.sam_mask_decoder.transformer
    attentions = [layer.cross_attn_token_to_image for layer in transformer.layers]
    for attention in [*attentions, transformer.final_attn_token_to_image]:
        # Equal query and key projections make a token attend where its position code agrees;
        # learnt from scratch, this is what the decoder otherwise waits longest for.
        nn.init.orthogonal_(attention.q_proj.weight, gain=2.0)
        attention.k_proj.weight.data.copy_(attention.q_proj.weight)
    model.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(2.0)
    return model


class Trainer(nn.Module):
    """The model with the head of the auxiliary pixel-affinity loss, which is not kept."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        width = model.sam_prompt_embed_dim
        self.affinity = nn.Conv2d(width, 32, 1)
        self.affinity_scale = nn.Parameter(torch.tensor([8.0, -4.0]))

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss and its parts."""
        features = self._encode(batch.images)
        logits, quality = self._decode(features, batch)
        fine = F.interpolate(logits, size=(TARGET, TARGET), mode="bilinear", align_corners=False)
        mask_loss = _mask_loss(fine, batch.targets.float(), batch.weights)
        overlap = _best_overlap(fine.detach() > 0, batch)
        quality_loss = (quality - overlap).abs().mean()
        affinity_loss = self._affinity_loss(features[0], batch)
        loss = mask_loss + quality_loss + AFFINITY_WEIGHT * affinity_loss
        with torch.no_grad():
            own = _overlap(fine > 0, batch.targets)
            on = batch.weights > 0
            parts = {
                "mask": mask_loss.item(),
                "quality": quality_loss.item(),
                "affinity": affinity_loss.item(),
                **{f"iou{k}": own[:, k][on[:, k]].mean().item() for k in range(3)},
            }
        return loss, parts

    def _encode(self, images: Tensor) -> list[Tensor]:
        return self.model.image_encoder(images)["backbone_fpn"]

    def _decode(self, features: list[Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        decoder, prompts = self.model.sam_mask_decoder, self.model.sam_prompt_encoder
        fine = [decoder.conv_s0(features[0]), decoder.conv_s1(features[1])]
        coarse = features[2] + self.model.no_mem_embed.view(1, -1, 1, 1)
        points = (batch.points * IMAGE)[:, None]
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
        code = F.normalize(self.affinity(feature), dim=1)
        place = (batch.points * LOW).long().clamp(max=LOW - 1)
        mine = code[batch.owner, :, place[:, 1], place[:, 0]]
        scale, bias = self.affinity_scale
        logits = torch.einsum("nc,nchw->nhw", mine, code[batch.owner]) * scale + bias
        target = F.avg_pool2d(batch.targets[:, :1].float(), TARGET // LOW)
        return _mask_loss(logits[:, None], target, batch.weights[:, :1])


def _mask_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Focal (γ = 2, α = 0.25, weight 20) and dice loss of N×K×H×W masks, as SAM is trained."""
    logits, targets = logits.flatten(2), targets.flatten(2)
    probability = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    miss = probability + targets - 2 * probability * targets
    focal = (entropy * miss**2 * (0.75 - 0.5 * targets)).mean(2)
    dice = 1 - (2 * (probability * targets).sum(2) + 1) / (
        probability.sum(2) + targets.sum(2) + 1
    )
    return ((20 * focal + dice) * weights).sum() / weights.sum()


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU of bool masks N×K×H×W, pair by pair."""
    a, b = a.flatten(2), b.flatten(2)
    return (a & b).sum(2) / (a | b).sum(2).clamp(min=1)


@torch.no_grad()
def _best_overlap(masks: Tensor, batch: Batch) -> Tensor:
    """IoU of every mask, N×3, with whichever region of its scene fits it best."""
    onehot = F.one_hot(batch.regions.flatten(1), int(batch.regions.max()) + 1).float()
    masks = masks.flatten(2).float()
    both = torch.einsum("nkp,npr->nkr", masks, onehot[batch.owner])
    union = masks.sum(2)[..., None] + onehot.sum(1)[batch.owner][:, None] - both
    return (both / union.clamp(min=1)).amax(2)


def main() -> None:
    """The command line."""
    args = loop.arguments(__doc__.split("\n")[0], "sam2.yaml", steps=2600, decay=700)
    scenes = data.load(args.scenes)
    trainer = Trainer(build(args.config))

    def step_loss(rng: Generator) -> tuple[Tensor, dict[str, float]]:
        return trainer(draw_batch(scenes, rng, IMAGES, POINTS))

    loop.run(trainer, trainer.model, step_loss, args)


if __name__ == "__main__":
    main()

"""Train the compact CLIP of the demo profile on rendered scenes.

    python -m training.train_clip --scenes scenes/train --out runs/clip

What is taught is the region token itself (the method of arXiv 2505.23769 as for SigLIP2): patches
of window and whole picture fused, their mean under a mask, through the attention pool's
projections. Crops, encoded whole, are taught beside it, so that the model's own image embedding
means something too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import cv2
import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor, nn

from textregion_ros.regions.encoders import AttentionPoolTower
from textregion_ros.regions.encoders.open_clip_model import make_clip
from training import data, loop
from training.vocabulary import CATEGORIES, COLOURS, HELD_OUT

CROP, GRID = 128, 8
SCENES, CROPS = 6, 4
BLOCK = 2
"""Windows of a scene's block, along each side; a block holds most objects whole."""
ALIGN_FROM = 600
"""The step from which on sentences are taught."""
# At 640×480 the profile cuts 5×4 windows.
WINDOW = (128, 120)
NEUTRAL = ("object", "thing", "stuff", "texture")
SURROUNDINGS = ("background", "table")
PAIRS = [(c, k) for c in COLOURS for k in CATEGORIES if (c, k) not in HELD_OUT]
PAIR_KIND = torch.tensor([len(SURROUNDINGS) + CATEGORIES.index(k) for _, k in PAIRS])
PAIR_COLOUR = torch.tensor([list(COLOURS).index(c) for c, _ in PAIRS])
KINDS = len(SURROUNDINGS) + len(CATEGORIES)
KIND_WEIGHT = torch.tensor([0.1] * len(SURROUNDINGS) + [1.0] * len(CATEGORIES))
"""Of a patch: most show room or table."""
PAIR_INDEX = {pair: index for index, pair in enumerate(PAIRS)}
HEAD_SCALE = 14.0
PLAIN = ("{}", "a {}", "the {}")
HALF = torch.autocast("cpu", torch.bfloat16)
"""Pictures are encoded in bfloat16, which some CPUs compute 1.4 times as fast."""


@dataclass(frozen=True)
class Batch:
    """Views and the regions in them.

    `globals_` S×3×128×128 are the whole pictures, `windows` 4S×3×128×128 the four windows of each
    scene's block, `crops` C×3×128×128 object-centred pictures, all normalised; `centres` 4S×64×2
    are the places of the windows' patches, x and y in -1..1 of the whole picture. Region r is
    `masks[r]` (4×64 weights in 0..1) in the block of `scene[r]`; after these R regions come the
    crops' objects, `crop_masks` C×64. Of all, `pair` and `colour` are -1 where it is no object,
    and `category` counts table and background too. `patches` (4S + C)×64 are the categories at the
    patch centres of windows and crops.
    """

    globals_: Tensor
    windows: Tensor
    centres: Tensor
    masks: Tensor
    scene: Tensor
    crops: Tensor
    crop_masks: Tensor
    pair: Tensor
    category: Tensor
    colour: Tensor
    patches: Tensor


def draw_batch(scenes: data.PackedScenes, rng: Generator, count: int, crops: int) -> Batch:
    """Draw scenes, a block of windows around an object of each, and object-centred crops."""
    pictures, windows, centres, regions, patches, cut = [], [], [], [], [], []
    for s, index in enumerate(rng.integers(len(scenes), size=count)):
        picture, region = np.asarray(scenes.colour[index]), np.asarray(scenes.regions[index])
        if rng.random() < 0.5:
            picture, region = picture[:, ::-1], region[:, ::-1]
        picture = _jitter(picture, rng)
        labels = [_label(item) for item in scenes.objects[index]]
        pictures.append(cv2.resize(picture, (CROP, CROP), interpolation=cv2.INTER_AREA))
        box = _draw_block(region, len(labels), rng)
        windows += _windows(picture[box])
        centres.append(_centres(box, region.shape))
        regions += _block_regions(region, box, labels, s, rng)
        nearest = _on_grid(region[box], cv2.INTER_NEAREST_EXACT)
        patches.append(_by_window(_kinds(labels)[nearest]))
        cut += [_draw_crop(picture, region, labels, rng) for _ in range(crops)]
    mask, where, *truth = zip(*regions, strict=True)
    crop, crop_mask, crop_patches, *crop_truth = zip(*cut, strict=True)
    pair, category, colour = (torch.tensor(a + b) for a, b in zip(truth, crop_truth, strict=True))
    return Batch(
        globals_=_normalised(pictures),
        windows=_normalised(windows),
        centres=torch.from_numpy(np.concatenate(centres)).float(),
        masks=torch.from_numpy(np.stack(mask)).float(),
        scene=torch.tensor(where),
        crops=_normalised(crop),
        crop_masks=torch.from_numpy(np.stack(crop_mask)).float(),
        pair=pair,
        category=category,
        colour=colour,
        patches=torch.from_numpy(np.concatenate([*patches, np.stack(crop_patches)])),
    )


def _jitter(picture: np.ndarray, rng: Generator) -> np.ndarray:
    gain = rng.uniform(0.85, 1.15) * (1 + rng.uniform(-0.04, 0.04, 3))
    noisy = picture * gain.astype(np.float32) + rng.uniform(-8, 8)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _label(item: dict) -> tuple[int, int, int]:
    """Indices of pair, category (after the surroundings) and colour."""
    pair = item["colour"], item["category"]
    category = len(SURROUNDINGS) + CATEGORIES.index(pair[1])
    return PAIR_INDEX[pair], category, list(COLOURS).index(pair[0])


def _kinds(labels: list[tuple[int, int, int]]) -> np.ndarray:
    """The category of every region id."""
    return np.array([*range(data.FIRST_OBJECT), *(category for _, category, _ in labels)])


def _draw_block(region: np.ndarray, objects: int, rng: Generator) -> tuple[slice, slice]:
    """Where a block of windows of about the profile's size lies, a random object in it."""
    height, width = region.shape
    zoom = rng.uniform(0.85, 1.2)
    w, h = (BLOCK * int(side * zoom) for side in WINDOW)
    ys, xs = np.nonzero(region == data.FIRST_OBJECT + rng.integers(max(objects, 1)))
    pick = rng.integers(len(ys)) if len(ys) else 0
    x, y = (xs[pick], ys[pick]) if len(ys) else (width // 2, height // 2)
    left = int(np.clip(x - rng.uniform(0.2, 0.8) * w, 0, width - w))
    top = int(np.clip(y - rng.uniform(0.2, 0.8) * h, 0, height - h))
    return np.s_[top : top + h, left : left + w]


def _windows(block: np.ndarray) -> list[np.ndarray]:
    """The windows of a block, row by row, at the encoder's size."""
    return [
        cv2.resize(window, (CROP, CROP), interpolation=cv2.INTER_CUBIC)
        for row in np.split(block, BLOCK)
        for window in np.split(row, BLOCK, axis=1)
    ]


def _centres(box: tuple[slice, slice], shape: tuple[int, int]) -> np.ndarray:
    step = (np.arange(BLOCK * GRID) + 0.5) / (BLOCK * GRID)
    y, x = (
        (part.start + step * (part.stop - part.start)) / side * 2 - 1
        for part, side in zip(box, shape, strict=True)
    )
    return _by_window(np.stack(np.meshgrid(x, y), -1))


def _on_grid(picture: np.ndarray, interpolation: int) -> np.ndarray:
    """A block's picture at its patch centres, 16×16."""
    return cv2.resize(picture, (BLOCK * GRID,) * 2, interpolation=interpolation)


def _by_window(grid: np.ndarray) -> np.ndarray:
    """What a block's patches have, 16×16×…, window by window, 4×64×…."""
    split = grid.reshape(BLOCK, GRID, BLOCK, GRID, *grid.shape[2:]).swapaxes(1, 2)
    return split.reshape(BLOCK * BLOCK, GRID * GRID, *grid.shape[2:])


def _block_regions(
    region: np.ndarray,
    box: tuple[slice, slice],
    labels: list[tuple[int, int, int]],
    scene: int,
    rng: Generator,
) -> list[tuple[np.ndarray, int, int, int, int]]:
    """Table, room and the objects that lie in the block for the most part, masks a little wrong."""
    found = []
    inside, everywhere = (np.bincount(r.ravel(), minlength=256) for r in (region[box], region))
    for i in np.unique(region[box]):
        mask = (region[box] == i).astype(np.float32)
        radius = rng.integers(0, 5)
        if i >= data.FIRST_OBJECT and radius:
            # Upsampled low-resolution masks are a few pixels wide of the mark.
            mask = cv2.dilate(mask, np.ones((radius * 2 - 1,) * 2, np.uint8))
        weight = _by_window(_on_grid(mask, cv2.INTER_LINEAR))
        if i >= data.FIRST_OBJECT and weight.sum() > 0.3 and inside[i] > 0.5 * everywhere[i]:
            found.append((weight, scene, *labels[i - data.FIRST_OBJECT]))
        elif i < data.FIRST_OBJECT and weight.sum() > 1:
            keep = rng.random(weight.shape) < rng.uniform(0.2, 1)
            if (weight * keep).sum() > 0:
                found.append((weight * keep, scene, -1, int(i), -1))
    return found


def _draw_crop(
    picture: np.ndarray, region: np.ndarray, labels: list[tuple[int, int, int]], rng: Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int, int]:
    """A picture around a random object, the object's mask and the categories at its patches."""
    chosen = rng.integers(len(labels))
    ys, xs = np.nonzero(region == data.FIRST_OBJECT + chosen)
    size = np.array([np.ptp(xs) + 1, np.ptp(ys) + 1])
    size = np.maximum(size, size.max() * rng.uniform(0.5, 1)) * rng.uniform(1.05, 1.6)
    centre = np.array([xs.min() + xs.max(), ys.min() + ys.max()]) / 2
    low = np.clip(centre - size / 2, 0, None).astype(int)
    high = np.minimum(centre + size / 2, region.shape[::-1]).astype(int) + 1
    box = np.s_[low[1] : high[1], low[0] : high[0]]
    crop = cv2.resize(picture[box], (CROP, CROP), interpolation=cv2.INTER_AREA)
    inside = (region[box] == data.FIRST_OBJECT + chosen).astype(np.float32)
    mask = cv2.resize(inside, (GRID, GRID), interpolation=cv2.INTER_AREA).ravel()
    nearest = cv2.resize(region[box], (GRID, GRID), interpolation=cv2.INTER_NEAREST_EXACT)
    return crop, mask, _kinds(labels)[nearest.ravel()], *labels[chosen]


def _normalised(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


class RegionClip(nn.Module):
    """The CLIP model with the two readings that are taught."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        self.clip = make_clip(config)
        # Words that training never meets say nothing, instead of something random.
        nn.init.zeros_(self.clip.text.token_embedding.weight)
        self.encoder = AttentionPoolTower(self.clip.visual)
        width = self.clip.visual.trunk.embed_dim
        self.patch_head = nn.Linear(width, KINDS)
        self.kind_head, self.colour_head = nn.Linear(width, KINDS), nn.Linear(width, len(COLOURS))
        self.tokenizer = open_clip.SimpleTokenizer(context_length=self.clip.context_length)

    def patches(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Patch values ×64×D of the whole pictures, of the windows and of the crops."""
        views = [batch.globals_, batch.windows, batch.crops]
        with HALF:
            values = self.encoder.values(torch.cat(views))
        return values.float().split([len(view) for view in views])

    def image_vectors(self, close: Tensor) -> Tensor:
        """Unit vectors C×D of whole crops from their patches, as the model encodes an image."""
        visual = self.clip.visual
        return F.normalize(visual.head(visual.trunk.forward_head(close)), dim=-1)

    def region_tokens(self, whole: Tensor, local: Tensor, close: Tensor, batch: Batch) -> Tensor:
        """Unit tokens (R + C)×D from `patches`."""
        coarse = whole.transpose(1, 2).unflatten(2, (GRID, GRID))
        coarse = coarse.repeat_interleave(BLOCK * BLOCK, 0)
        around = F.grid_sample(
            coarse,
            batch.centres[:, None],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        fused = self.encoder.global_weight * around[:, :, 0].transpose(1, 2) + local
        # A crop is its own whole picture.
        alone = (1 + self.encoder.global_weight) * close
        values = torch.cat([fused.flatten(0, 1), alone.flatten(0, 1)])
        # All patches make one grid, of which a region holds some of its own block's or crop's.
        blocks = torch.zeros(len(batch.masks), len(whole), *batch.masks.shape[1:])
        blocks[torch.arange(len(blocks)), batch.scene] = batch.masks
        crops = torch.diag_embed(batch.crop_masks.T, dim1=0, dim2=1)
        masks = torch.block_diag(blocks.flatten(1), crops.flatten(1))
        return F.normalize(self.encoder.pool(values, masks), dim=-1)

    def class_loss(self, vectors: Tensor, pair: Tensor) -> Tensor:
        """How badly the heads read kind and colour off unit vectors N×D of known pairs."""
        kinds = F.cross_entropy(self.kind_head(HEAD_SCALE * vectors), PAIR_KIND[pair])
        colours = self.colour_head(HEAD_SCALE * vectors)
        return kinds + F.cross_entropy(colours, PAIR_COLOUR[pair])

    def sentences(self, names: list[str], rng: Generator) -> Tensor:
        """Unit vectors of the names, each in a template drawn at random."""
        templates = open_clip.OPENAI_IMAGENET_TEMPLATES
        texts = []
        for name in names:
            name = PLAIN[rng.integers(len(PLAIN))].format(name)
            plain = rng.random() < 0.25
            texts.append(name if plain else templates[rng.integers(len(templates))](name))
        tokens = self.tokenizer(texts)
        # The tower is causal, so what follows the longest sentence need not be computed.
        length = int(tokens.argmax(1).max()) + 1
        tower = self.clip.text
        x = tower.token_embedding(tokens[:, :length]) + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
        x = x[torch.arange(len(x)), tokens.argmax(1)] @ tower.text_projection
        return F.normalize(x, dim=-1)


def loss_of(
    model: RegionClip, batch: Batch, step: int, rng: Generator
) -> tuple[Tensor, dict[str, float]]:
    """What pictures show, told by classes at first and by sentences later.

    Two towers that know nothing wait for each other: neither parts what the other does not part
    yet. So both are first taught the classes, by heads they share, and only then one another.
    """
    whole, local, close = model.patches(batch)
    tokens = model.region_tokens(whole, local, close, batch)
    image, shown = model.image_vectors(close), batch.pair[len(batch.masks) :]
    objects = batch.pair >= 0
    kinds = model.patch_head(torch.cat([local, close])).flatten(0, 1)
    losses = {
        "kind": F.cross_entropy(model.kind_head(HEAD_SCALE * tokens), batch.category),
        "patch": F.cross_entropy(kinds, batch.patches.flatten(), KIND_WEIGHT),
        "region": model.class_loss(tokens[objects], batch.pair[objects]),
        "crop": model.class_loss(image, shown),
    }
    if step >= ALIGN_FROM:
        losses |= _sentence_losses(model, tokens, image, batch, rng)
    with torch.no_grad():
        figures = {name: float(value) for name, value in losses.items()}
        in_block = objects & (torch.arange(len(tokens)) < len(batch.masks))
        for name, vectors, pair in (
            ("regions", tokens[in_block], batch.pair[in_block]),
            ("crops", image, shown),
        ):
            hits = model.kind_head(HEAD_SCALE * vectors).argmax(1) == PAIR_KIND[pair]
            figures[name] = hits.float().mean().item()
    return sum(losses.values()), figures


def _sentence_losses(
    model: RegionClip, tokens: Tensor, image: Tensor, batch: Batch, rng: Generator
) -> dict[str, Tensor]:
    """Contrast with all trained pairs, all categories and all colours; relevancy; crops."""
    thing = rng.choice(NEUTRAL[:2], len(COLOURS))
    names = [f"{colour} {kind}" for colour, kind in PAIRS]
    names += [*SURROUNDINGS, *CATEGORIES]
    names += [f"{colour} {noun}" for colour, noun in zip(COLOURS, thing, strict=True)]
    names += NEUTRAL
    scale = model.clip.logit_scale.exp().clamp(max=100)
    sentences = model.sentences(names, rng)
    logits = (scale * tokens @ sentences.T).split(
        [len(PAIRS), KINDS, len(COLOURS), len(NEUTRAL)], 1
    )
    pairs, kinds, colours, neutral = logits
    objects = batch.pair >= 0
    ground = neutral.amax(1, keepdim=True)
    wanted = F.one_hot(batch.pair.clamp(min=0), len(PAIRS)).bool() & objects[:, None]
    return {
        "pair_text": F.cross_entropy(pairs[objects], batch.pair[objects]),
        "kind_text": F.cross_entropy(kinds, batch.category),
        "colour_text": F.cross_entropy(colours[objects], batch.colour[objects]),
        "crop_text": F.cross_entropy(
            scale * image @ sentences[: len(PAIRS)].T, batch.pair[len(batch.masks) :]
        ),
        "relevancy": _relevancy_loss(pairs - ground, wanted)
        + 0.5 * _relevancy_loss(kinds - ground, F.one_hot(batch.category, KINDS).bool()),
        "text": model.class_loss(sentences[: len(PAIRS)], torch.arange(len(PAIRS))),
    }


def _relevancy_loss(margin: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy of a text beating the neutral ones, wrong texts three times as heavy."""
    each = F.binary_cross_entropy_with_logits(margin, wanted.float(), reduction="none")
    return each[wanted].mean() + 3 * each[~wanted].mean()


def main() -> None:
    """The command line."""
    args = loop.arguments(__doc__.split("\n")[0], "clip.json", steps=5400, decay=1700, lr=1.5e-3)
    scenes = data.load(args.scenes)
    model = RegionClip(json.loads(args.config.read_text()))

    def step_loss(step: int, rng: Generator) -> tuple[Tensor, dict[str, float]]:
        return loss_of(model, draw_batch(scenes, rng, SCENES, CROPS), step, rng)

    loop.run(model, model.clip, step_loss, args)


if __name__ == "__main__":
    main()

"""Train the compact CLIP of the demo profile on rendered scenes.

    python -m training.train_clip --scenes scenes/train --out runs/clip

What is taught is the region token itself (method of arXiv 2505.23769, CLIP variant): window and
whole-image value vectors fused, normalised by patch, summed under a mask, through the last
block's output projection and MLP. Crops, encoded whole, are taught beside it, so that the
model's own image embedding means something too.
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

from training import data, loop
from training.scenes import CATEGORIES, COLOURS, HELD_OUT

CROP, GRID = 128, 8
SCENES, WINDOWS, CROPS = 10, 4, 2
# At 640×480 the profile cuts 5×4 windows.
WINDOW = (128, 120)
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
NEUTRAL = ("object", "thing", "stuff", "texture")
SURROUNDINGS = ("background", "table")
PAIRS = [(c, k) for c in COLOURS for k in CATEGORIES if (c, k) not in HELD_OUT]
PAIR_INDEX = {pair: index for index, pair in enumerate(PAIRS)}
PLAIN = ("{}", "a {}", "the {}")


@dataclass(frozen=True)
class Batch:
    """Views and the regions in them.

    `globals_` S×3×128×128 and `windows` W×3×128×128 are normalised pictures; window w belongs
    to scene `scene[w]` and its patch centres lie at `centres[w]` (64×2, x and y in -1..1 of the
    whole picture). Region r is `masks[r]` (64 weights in 0..1) in window `window[r]`; its
    `pair`, `colour` are -1 where it is no object; `category` counts table and background too.
    `crops` and `crop_pair` are object-centred pictures and what they show.
    """

    globals_: Tensor
    windows: Tensor
    scene: Tensor
    centres: Tensor
    masks: Tensor
    window: Tensor
    pair: Tensor
    category: Tensor
    colour: Tensor
    crops: Tensor
    crop_pair: Tensor


def draw_batch(
    scenes: data.PackedScenes, rng: Generator, count: int, windows: int, crops: int
) -> Batch:
    """Draw scenes, windows around some of their objects, and object-centred crops."""
    pictures, rows, regions, cut = [], [], [], []
    for s, index in enumerate(rng.integers(len(scenes), size=count)):
        picture, region = np.asarray(scenes.colour[index]), np.asarray(scenes.regions[index])
        if rng.random() < 0.5:
            picture, region = picture[:, ::-1], region[:, ::-1]
        picture = _jitter(picture, rng)
        labels = [_label(item) for item in scenes.objects[index]]
        pictures.append(cv2.resize(picture, (CROP, CROP), interpolation=cv2.INTER_AREA))
        for _ in range(windows):
            window, centres, box = _draw_window(picture, region, len(labels), rng)
            regions += _window_regions(region[box], labels, len(rows), rng)
            rows.append((window, centres, s))
        cut += [_draw_crop(picture, region, labels, rng) for _ in range(crops)]
    mask, where, pair, category, colour = zip(*regions, strict=True)
    return Batch(
        globals_=_normalised(pictures),
        windows=_normalised([row[0] for row in rows]),
        scene=torch.tensor([row[2] for row in rows]),
        centres=torch.from_numpy(np.stack([row[1] for row in rows])).float(),
        masks=torch.from_numpy(np.stack(mask)).float(),
        window=torch.tensor(where),
        pair=torch.tensor(pair),
        category=torch.tensor(category),
        colour=torch.tensor(colour),
        crops=_normalised([item[0] for item in cut]),
        crop_pair=torch.tensor([item[1] for item in cut]),
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


def _draw_window(
    picture: np.ndarray, region: np.ndarray, objects: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    """A window of about the profile's size that holds a pixel of a random object."""
    height, width = region.shape
    zoom = rng.uniform(0.85, 1.2)
    w, h = int(WINDOW[0] * zoom), int(WINDOW[1] * zoom)
    ys, xs = np.nonzero(region == data.FIRST_OBJECT + rng.integers(max(objects, 1)))
    pick = rng.integers(len(ys)) if len(ys) else 0
    x, y = (xs[pick], ys[pick]) if len(ys) else (width // 2, height // 2)
    left = int(np.clip(x - rng.integers(w), 0, width - w))
    top = int(np.clip(y - rng.integers(h), 0, height - h))
    box = np.s_[top : top + h, left : left + w]
    view = cv2.resize(picture[box], (CROP, CROP), interpolation=cv2.INTER_CUBIC)
    step = (np.arange(GRID) + 0.5) / GRID
    gx, gy = np.meshgrid((left + step * w) / width, (top + step * h) / height)
    return view, np.stack([gx, gy], -1).reshape(-1, 2) * 2 - 1, box


def _window_regions(
    region: np.ndarray, labels: list[tuple[int, int, int]], window: int, rng: Generator
) -> list[tuple[np.ndarray, int, int, int, int]]:
    """Every region that meets the window's patch centres, its mask a little wrong."""
    found = []
    for i in np.unique(region):
        mask = (region == i).astype(np.float32)
        radius = rng.integers(0, 5)
        if i >= data.FIRST_OBJECT and radius:
            # Upsampled low-resolution masks are a few pixels wide of the mark.
            mask = cv2.dilate(mask, np.ones((radius * 2 - 1,) * 2, np.uint8))
        weight = cv2.resize(mask, (GRID, GRID), interpolation=cv2.INTER_LINEAR).ravel()
        if i >= data.FIRST_OBJECT and weight.sum() > 0.3:
            found.append((weight, window, *labels[i - data.FIRST_OBJECT]))
        elif i < data.FIRST_OBJECT and weight.sum() > 1:
            keep = rng.random(weight.shape) < rng.uniform(0.2, 1)
            if (weight * keep).sum() > 0:
                found.append((weight * keep, window, -1, int(i), -1))
    return found


def _draw_crop(
    picture: np.ndarray, region: np.ndarray, labels: list[tuple[int, int, int]], rng: Generator
) -> tuple[np.ndarray, int]:
    chosen = rng.integers(len(labels))
    ys, xs = np.nonzero(region == data.FIRST_OBJECT + chosen)
    size = np.array([np.ptp(xs) + 1, np.ptp(ys) + 1])
    size = np.maximum(size, size.max() * rng.uniform(0.5, 1)) * rng.uniform(1.05, 1.6)
    centre = np.array([xs.min() + xs.max(), ys.min() + ys.max()]) / 2
    low = np.clip(centre - size / 2, 0, None).astype(int)
    high = np.minimum(centre + size / 2, region.shape[::-1]).astype(int) + 1
    crop = picture[low[1] : high[1], low[0] : high[0]]
    return cv2.resize(crop, (CROP, CROP), interpolation=cv2.INTER_AREA), labels[chosen][0]


def _normalised(pictures: list[np.ndarray]) -> Tensor:
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return (stacked - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


class RegionClip(nn.Module):
    """The CLIP model with the two readings that are taught."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        self.clip = open_clip.CLIP(**config)
        # Words that training never meets say nothing, instead of something random.
        nn.init.zeros_(self.clip.token_embedding.weight)
        self.tokenizer = open_clip.SimpleTokenizer(context_length=self.clip.context_length)

    def region_tokens(self, batch: Batch) -> Tensor:
        """Unit tokens, regions×D (paper, section 3; the CLIP variant with MLP)."""
        visual = self.clip.visual
        block = visual.transformer.resblocks[-1]
        views = self._last_input(torch.cat([batch.globals_, batch.windows]))
        width = views.shape[-1]
        value = F.linear(
            block.ln_1(views), block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
        )
        whole, local = value.split([len(batch.globals_), len(batch.windows)])
        coarse = whole.transpose(1, 2).unflatten(2, (GRID, GRID))[batch.scene]
        around = F.grid_sample(
            coarse, batch.centres[:, None], mode="bilinear", padding_mode="border", align_corners=False
        )
        fused = F.normalize(around[:, :, 0].transpose(1, 2) + local, dim=-1)
        total = torch.einsum("rp,rpd->rd", batch.masks, fused[batch.window])
        y = block.attn.out_proj(total)
        y = y + block.mlp(block.ln_2(y))
        return F.normalize(visual.ln_post(y) @ visual.proj, dim=-1)

    def _last_input(self, views: Tensor) -> Tensor:
        visual = self.clip.visual
        return visual.forward_intermediates(
            views,
            indices=[len(visual.transformer.resblocks) - 2],
            stop_early=True,
            normalize_intermediates=False,
            intermediates_only=True,
            output_fmt="NLC",
        )["image_intermediates"][0]

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
        clip = self.clip
        x = clip.token_embedding(tokens[:, :length]) + clip.positional_embedding[:length]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
        x = x[torch.arange(len(x)), tokens.argmax(1)] @ clip.text_projection
        return F.normalize(x, dim=-1)


def loss_of(model: RegionClip, batch: Batch, rng: Generator) -> tuple[Tensor, dict[str, float]]:
    """Contrast with all trained pairs, all categories and all colours; relevancy; crops."""
    pairs = model.sentences([f"{c} {k}" for c, k in PAIRS], rng)
    categories = model.sentences([*SURROUNDINGS, *CATEGORIES], rng)
    colours = model.sentences([f"{c} {n}" for c, n in zip(COLOURS, rng.choice(NEUTRAL[:2], 8), strict=True)], rng)
    neutral = model.sentences(list(NEUTRAL), rng)
    scale = model.clip.logit_scale.exp().clamp(max=100)
    tokens = model.region_tokens(batch)
    objects = batch.pair >= 0
    pair_logits = scale * tokens @ pairs.T
    category_logits = scale * tokens @ categories.T
    losses = {
        "pair": F.cross_entropy(pair_logits[objects], batch.pair[objects]),
        "category": F.cross_entropy(category_logits, batch.category),
        "colour": F.cross_entropy(scale * tokens[objects] @ colours.T, batch.colour[objects]),
    }
    ground = scale * (tokens @ neutral.T).amax(1, keepdim=True)
    wanted = F.one_hot(batch.pair.clamp(min=0), len(PAIRS)).bool() & objects[:, None]
    losses["relevancy"] = _relevancy_loss(pair_logits - ground, wanted)
    wanted = F.one_hot(batch.category, categories.shape[0]).bool()
    losses["relevancy"] += 0.5 * _relevancy_loss(category_logits - ground, wanted)
    image = model.clip.encode_image(batch.crops, normalize=True)
    crop_logits = scale * image @ pairs.T
    losses["crop"] = 0.5 * F.cross_entropy(crop_logits, batch.crop_pair)
    with torch.no_grad():
        hits = pair_logits[objects].argmax(1) == batch.pair[objects]
        crop_hits = crop_logits.argmax(1) == batch.crop_pair
        figures = {name: float(value) for name, value in losses.items()}
        figures |= {"region_acc": hits.float().mean().item(), "crop_acc": crop_hits.float().mean().item()}
        figures["scale"] = scale.item()
    return sum(losses.values()), figures


def _relevancy_loss(margin: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy of a text beating the neutral texts, right and wrong texts alike heavy."""
    each = F.binary_cross_entropy_with_logits(margin, wanted.float(), reduction="none")
    return each[wanted].mean() + 3 * each[~wanted].mean()


def main() -> None:
    """The command line."""
    args = loop.arguments(__doc__.split("\n")[0], "clip.json", steps=3000, decay=800)
    scenes = data.load(args.scenes)
    model = RegionClip(json.loads(args.config.read_text()))

    def step_loss(rng: Generator) -> tuple[Tensor, dict[str, float]]:
        return loss_of(model, draw_batch(scenes, rng, SCENES, WINDOWS, CROPS), rng)

    loop.run(model, model.clip, step_loss, args)


if __name__ == "__main__":
    main()

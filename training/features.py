"""Features of the frozen trunk under true and proposed masks, kept, so that a trial takes minutes.

    python -m training.features --scenes scenes/train --out runs/features.npz

What a region's token is made from, and nothing that is trained: the means of the trunk's levels
under the region, on the grid on which the profile pools them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator, default_rng
from torch import Tensor
from tqdm import tqdm

from textregion_ros.models.pyramid import FeaturePyramid, resample
from textregion_ros.regions import TextRegion
from training.evaluate import LabelledScene, read_scenes, region_masks
from training.trunk import load_trunk
from training.vocabulary import CATEGORIES, COLOURS

PROPOSE_EACH = 5
"""Every how many scenes proposals are added to the true masks: they take longest."""
PHOTOGRAPH_SIDES = (384, 480, 640)
SIDES = (288, 640)
"""Short sides in px at which pictures are seen in training: things are small and large."""
MEAN, DEVIATION = 127.0, 128.0
NOTHING_KNOWN, STRANGER, SURFACE = -1, -2, -3
"""Categories of regions that are no labelled object: anything else, a thing, table or room."""
PIECES = 3
"""Pieces of table and room to a picture."""
FITS, APART = 0.5, 0.2
"""IoU with an object from which a proposal is that object, and below which it is none."""


@dataclass(frozen=True)
class Regions:
    """Region features, and what is known about the regions.

    features: float16 N×1792, the means of every level, finest first. whole: float16 N×1792, of
    the whole picture. category, colour: int64 [N], below 0 where the region is none of the
    objects: the category then is NOTHING_KNOWN, STRANGER or SURFACE.
    scene: int64 [N]. pixels: float32 [N], the region's area on the grid, cells. proposed: bool [N],
    whether the mask is a proposal.
    """

    features: np.ndarray
    whole: np.ndarray
    category: np.ndarray
    colour: np.ndarray
    scene: np.ndarray
    pixels: np.ndarray
    proposed: np.ndarray

    def save(self, path: Path) -> None:
        """Write an .npz."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, *paths: Path) -> Regions:
        """Read one or more files of `save`."""
        parts = [dict(np.load(path)) for path in paths]
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def augment(rgb: np.ndarray, rng: Generator) -> np.ndarray:
    """Another camera and another lamp: exposure, gamma, white balance, blur, noise, JPEG."""
    picture = rgb.astype(np.float32) / 255
    picture = picture ** rng.uniform(0.7, 1.45)
    gains = rng.uniform(0.7, 1.25) * (1 + rng.uniform(-0.1, 0.1, 3))
    picture = picture * gains.astype(np.float32) + rng.uniform(-0.03, 0.03)
    grey = picture.mean(2, keepdims=True)
    picture = grey + (picture - grey) * rng.uniform(0.65, 1.2)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    picture += rng.normal(0, rng.uniform(0, 0.025), picture.shape).astype(np.float32)
    picture = (255 * picture.clip(0, 1)).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture


def fit(rgb: np.ndarray, short: int) -> np.ndarray:
    """A picture of about this short side, its sides multiples of 32, as the encoder is fed."""
    scale = short / min(rgb.shape[:2])
    height, width = (max(32, round(side * scale / 32) * 32) for side in rgb.shape[:2])
    shrinks = height < rgb.shape[0]
    return cv2.resize(
        rgb, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


@torch.inference_mode()
def levels_of(trunk: FeaturePyramid, rgb: np.ndarray) -> list[Tensor]:
    """All levels C×h×w of a picture with sides multiples of 32, the finest two at stride 8."""
    pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
    views = ((pixels - MEAN) / DEVIATION).contiguous(memory_format=torch.channels_last)
    levels = trunk.levels(views)
    size = levels[2].shape[2:]
    return [(resample(x, size) if x.shape[2] > size[0] else x)[0].contiguous() for x in levels]


def pool(levels: list[Tensor], masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of all levels under bool masks R×H×W: float16 R×1792; and areas in cells of 8 px [R].

    As if every level were spread over the grid of stride 8 first; but it is the masks that are
    brought to each level's grid, by the transpose of that spreading.
    """
    height, width = levels[2].shape[1:]
    weights = torch.stack(
        [
            torch.from_numpy(
                cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            )
            for mask in masks
        ]
    )
    area = weights.sum((1, 2)).clamp(min=1e-3)
    means = []
    for level in levels:
        rows, columns = (
            spreading(*pair) for pair in zip(level.shape[1:], (height, width), strict=True)
        )
        coarse = torch.einsum("rhw,hi,wj->rij", weights, rows, columns)
        means.append(coarse.flatten(1) @ level.flatten(1).T / area[:, None])
    return torch.cat(means, 1).half().numpy(), area.numpy()


@cache
def spreading(coarse: int, fine: int) -> Tensor:
    """The matrix fine×coarse of a bilinear resize along one axis."""
    line = torch.eye(coarse)[:, None]
    return F.interpolate(line, fine, mode="linear", align_corners=False)[:, 0].T.contiguous()


def jitter(mask: np.ndarray, rng: Generator) -> np.ndarray:
    """A mask a few pixels wide of the mark, as proposals are."""
    radius = int(rng.integers(-2, 5))
    kernel = np.ones((abs(radius) + 1,) * 2, np.uint8)
    change = cv2.dilate if radius > 0 else cv2.erode
    changed = change(mask.astype(np.uint8), kernel) > 0
    return changed if changed.any() else mask


def true_masks(scene: LabelledScene, rng: Generator) -> tuple[list[np.ndarray], list[int]]:
    """Jittered masks of the objects at least a quarter visible, and their places in the list."""
    found = []
    for index, item in enumerate(scene.objects):
        mask = scene.masks == item["id"]
        if item["visible"] >= 0.25 and mask.sum() >= 40:
            found.append((jitter(mask, rng), index))
    return [mask for mask, _ in found], [index for _, index in found]


def other_masks(scene: LabelledScene, rng: Generator) -> tuple[list[np.ndarray], list[int]]:
    """What no name is taught for: things beside the objects, and pieces of table and room.

    The masks, and of each whether it is a STRANGER or SURFACE.
    """
    known = {item["id"] for item in scene.objects}
    strangers = [
        jitter(scene.masks == number, rng)
        for number in np.unique(scene.masks)
        if number and number not in known
    ]
    height, width = scene.masks.shape
    pieces = []
    for _ in range(PIECES):
        h, w = (int(side * rng.uniform(0.04, 0.6)) for side in (height, width))
        y, x = int(rng.integers(height - h)), int(rng.integers(width - w))
        piece = np.zeros((height, width), bool)
        piece[y : y + h, x : x + w] = scene.masks[y : y + h, x : x + w] == 0
        pieces.append(piece)
    both = [(mask, STRANGER) for mask in strangers] + [(mask, SURFACE) for mask in pieces]
    kept = [(mask, kind) for mask, kind in both if mask.sum() >= 40]
    return [mask for mask, _ in kept], [kind for _, kind in kept]


def proposed_masks(
    model: TextRegion, scene: LabelledScene, picture: np.ndarray
) -> tuple[list[np.ndarray], list[int]]:
    """Proposals: each the object that it fits, or none (−1); those in between are left out."""
    encoded = model.encode(picture)
    masks, owners = [], []
    truth = np.array([scene.masks == item["id"] for item in scene.objects]).reshape(
        len(scene.objects), -1
    )
    for mask in region_masks(encoded):
        shared = truth @ mask.ravel().astype(np.float32)
        overlap = shared / np.maximum(truth.sum(1) + mask.sum() - shared, 1)
        best = int(overlap.argmax()) if len(overlap) else 0
        if not len(overlap) or overlap[best] < APART or overlap[best] >= FITS:
            masks.append(mask)
            owners.append(best if len(overlap) and overlap[best] >= FITS else -1)
    return masks, owners


def scene_regions(
    trunk: FeaturePyramid, model: TextRegion | None, scene: LabelledScene, rng: Generator
) -> Regions | None:
    """One rendition of a scene; with the model, its proposals too."""
    picture = augment(scene.rgb, rng)
    masks, owners = true_masks(scene, rng)
    others, sorts = other_masks(scene, rng)
    masks, owners = masks + others, owners + sorts
    proposed = [False] * len(masks)
    if model is not None:
        more, whose = proposed_masks(model, scene, picture)
        masks, owners = masks + more, owners + whose
        proposed += [True] * len(more)
    if not masks:
        return None
    levels = levels_of(trunk, fit(picture, int(rng.integers(*SIDES))))
    means, area = pool(levels, np.stack(masks))
    whole = torch.cat([level.mean((1, 2)) for level in levels])
    kinds, hues = list(CATEGORIES), list(COLOURS)
    items = [scene.objects[owner] if owner >= 0 else None for owner in owners]
    return Regions(
        features=means,
        whole=whole.half().numpy()[None].repeat(len(means), 0),
        category=np.array(
            [kinds.index(i["category"]) if i else o for i, o in zip(items, owners, strict=True)]
        ),
        colour=np.array([hues.index(i["colour"]) if i else -1 for i in items]),
        scene=np.full(len(means), scene.number),
        pixels=area.astype(np.float32),
        proposed=np.array(proposed),
    )


def photograph_regions(trunk: FeaturePyramid, model: TextRegion, rgb: np.ndarray) -> Regions:
    """Proposals on a photograph, seen at three sizes, about which nothing is known."""
    scale = min(1.0, 1024 / max(rgb.shape[:2]))
    picture = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    masks = region_masks(model.encode(picture))
    seen = [levels_of(trunk, fit(picture, side)) for side in PHOTOGRAPH_SIDES]
    means, areas = zip(*(pool(levels, masks) for levels in seen), strict=True)
    wholes = [torch.cat([x.mean((1, 2)) for x in levels]).half().numpy() for levels in seen]
    count = len(masks) * len(seen)
    return Regions(
        features=np.concatenate(means),
        whole=np.repeat(np.stack(wholes), len(masks), 0),
        category=np.full(count, NOTHING_KNOWN),
        colour=np.full(count, -1),
        scene=np.zeros(count, int),
        pixels=np.concatenate(areas).astype(np.float32),
        proposed=np.ones(count, bool),
    )


def read_photographs(names: Path, folder: Path) -> Iterator[np.ndarray]:
    """The pictures that a file of training/photographs names, RGB."""
    for entry in json.loads(names.read_text())["pictures"]:
        picture = cv2.imread(str(folder / entry["picture"]))
        if picture is None:
            raise SystemExit(f"{folder} lacks {entry['picture']}: {entry['source']}")
        yield picture[..., ::-1].copy()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=Path, help="made by training.scenes")
    parser.add_argument("--photographs", type=Path, help="a file of training/photographs instead")
    parser.add_argument("--pictures", type=Path, help="the folder where those photographs are")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--renditions", type=int, default=3)
    parser.add_argument("--proposals", default="demo", help="the profile that proposes regions")
    parser.add_argument("--first", type=int, default=0, help="the first scene to take")
    parser.add_argument("--count", type=int, default=10**6, help="how many scenes to take")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    trunk = load_trunk().to(memory_format=torch.channels_last)
    model = TextRegion.from_profile(args.proposals, device="cpu")
    if args.photographs:
        pictures = read_photographs(args.photographs, args.pictures)
        found = [photograph_regions(trunk, model, rgb) for rgb in pictures]
        return write(found, args.out)
    found = []
    scenes = islice(read_scenes(args.scenes), args.first, args.first + args.count)
    for scene in tqdm(scenes, "scenes", miniters=10):
        for rendition in range(args.renditions):
            rng = default_rng([args.seed, scene.number, rendition])
            proposer = model if rendition == 0 and scene.number % PROPOSE_EACH == 0 else None
            found.append(scene_regions(trunk, proposer, scene, rng))
    return write([regions for regions in found if regions is not None], args.out)


def write(found: list[Regions], out: Path) -> None:
    """Write all regions as one file."""
    parts = [vars(regions) for regions in found]
    Regions(**{k: np.concatenate([part[k] for part in parts]) for k in parts[0]}).save(out)


if __name__ == "__main__":
    main()

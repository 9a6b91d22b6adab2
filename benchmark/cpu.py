"""Measure what memory order and precision change on this CPU, end to end.

    python -m benchmark.cpu

Every variant encodes the same picture, by turns, so that a busy machine slows them all. Prints and
writes a table of medians, ratios to float32 as shipped, and whether the answers are the same.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils._pytree import tree_map_only

from textregion_ros.app.recording import load_recording
from textregion_ros.core.masks import mask_iou
from textregion_ros.core.scene import Scene
from textregion_ros.regions import TextRegion, load_profile

RESULTS = Path(__file__).with_name("results")
SENTENCES = ("red mug", "green bottle", "blue book", "yellow banana", "white plate", "black ball")
STAGES = ("sam_encoder", "views", "sam_decoder")


@contextmanager
def channels_last(model: TextRegion) -> Iterator[None]:
    """The weights of both encoders in channels-last order; convolutions then keep to it."""
    encoders = (model.proposer.image_features.sam2.image_encoder, model.encoder.tower)
    for encoder in encoders:
        encoder.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for encoder in encoders:
            encoder.to(memory_format=torch.contiguous_format)


def cast(function: Callable) -> Callable:
    """The function under autocast, its results in float32."""

    def run(*arguments: object) -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return tree_map_only(torch.Tensor, torch.Tensor.float, function(*arguments))

    return run


@contextmanager
def bfloat16_encoders(model: TextRegion) -> Iterator[None]:
    """Both encoders under autocast."""
    proposer, encoder = model.proposer, model.encoder
    model.proposer = replace(proposer, image_features=cast(proposer.image_features))
    model.encoder = replace(encoder, patch_values=cast(encoder.patch_values))
    try:
        yield
    finally:
        model.proposer, model.encoder = proposer, encoder


@contextmanager
def bfloat16_decoder(model: TextRegion) -> Iterator[None]:
    """The decoder's transformer under autocast."""
    proposer = model.proposer
    masks = replace(proposer.point_masks, attend=cast(proposer.point_masks.attend))
    model.proposer = replace(proposer, point_masks=masks)
    try:
        yield
    finally:
        model.proposer = proposer


@contextmanager
def both(model: TextRegion) -> Iterator[None]:
    """Channels-last encoders under autocast."""
    with channels_last(model), bfloat16_encoders(model):
        yield


VARIANTS: dict[str, Callable] = {
    "float32": lambda _model: nullcontext(),
    "channels-last encoders": channels_last,
    "bfloat16 encoders": bfloat16_encoders,
    "bfloat16 channels-last encoders": both,
    "bfloat16 decoder": bfloat16_decoder,
}


def same_answers(model: TextRegion, first: Scene, second: Scene) -> float:
    """The least IoU of the masks with which the two scenes answer a sentence."""
    pairs = zip(
        *(model.ground(scene, SENTENCES, threshold=0) for scene in (first, second)), strict=True
    )
    return min(mask_iou(a.regions[0].mask, b.regions[0].mask) for a, b in pairs)


def measure(prompts: str, threads: int, repeats: int) -> list[dict[str, str | float]]:
    """One row for each variant."""
    torch.set_num_threads(threads)
    profile = load_profile("demo")
    profile = replace(profile, proposals=replace(profile.proposals, prompts=prompts))
    model, rgb = TextRegion.from_profile(profile, "cpu"), load_recording().frames[0].rgb
    totals, stages, scenes = ({name: [] for name in VARIANTS} for _ in range(3))
    for number in range(repeats + 1):
        for name, variant in VARIANTS.items():
            with variant(model):
                start = time.perf_counter()
                scene = model.encode(rgb)
                total = 1e3 * (time.perf_counter() - start)
            if number:  # the first is slow
                totals[name].append(total)
                stages[name].append([scene.encoded.stage_ms[stage] for stage in STAGES])
                scenes[name] = scene
    shipped = np.median(totals["float32"])
    return [
        {
            "variant": name,
            "threads": threads,
            "prompts": scenes[name].encoded.prompts,
            "total_ms": round(float(np.median(totals[name])), 1),
            **dict(zip(STAGES, np.median(stages[name], axis=0).round(1).tolist(), strict=True)),
            "times_faster": round(float(shipped / np.median(totals[name])), 2),
            "least_iou": round(same_answers(model, scenes["float32"], scenes[name]), 3),
        }
        for name in VARIANTS
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", choices=("grid", "adaptive"), default="adaptive")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS / "cpu-variants.csv")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error("--repeats must be 1 or more")
    table = measure(args.prompts, args.threads, args.repeats)
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    print(args.out.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()

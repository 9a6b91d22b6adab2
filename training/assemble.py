"""Put trunk, projection and text tower together: the encoder's weights as they ship.

python -m training.assemble --tokens runs/tokens --text runs/text --out runs/encoder
"""

from __future__ import annotations

import argparse
import json
import math
from importlib.resources import files
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from textregion_ros.models.pyramid import ExpectedMeaning, FeaturePyramid
from textregion_ros.regions.encoders.open_clip_model import make_clip
from training.concepts import (
    CONSTANT,
    DIMS,
    FIRST_COLOUR,
    THING,
    axis,
    noun_vector,
)
from training.train_tokens import Reader, class_reader
from training.trunk import load_trunk
from training.vocabulary import CATEGORIES, COLOURS
from training.words import known_names, nouns

TEMPLATES = ("{}", "a photo of a {}.")
"""Those of the profile."""
SCALE = 20.0
"""What cosines are multiplied by; the profile's calibration has the last word on scores."""

CONFIG = Path(str(files("textregion_ros.models.demo") / "clip.json"))


@torch.inference_mode()
def class_meanings(model: nn.Module) -> Tensor:
    """1000×DIMS: what a token says of each class: the text tower's own vectors of its names.

    A name of several classes counts in each by its share; that of a tabletop category counts in
    full, so that ImageNet's mugs are mugs of the tabletop too.
    """
    every = [noun for noun in nouns() if noun.classes]
    vectors = name_vectors(model, [noun.name for noun in every])
    meanings = torch.zeros(1000, DIMS)
    for noun, vector in zip(every, vectors, strict=True):
        share = 1.0 if noun.name in CATEGORIES else 1.0 / len(noun.classes)
        meanings[list(noun.classes)] += share * vector
    return F.normalize(meanings, dim=1)


def name_vectors(model: nn.Module, names: list[str]) -> Tensor:
    """N×DIMS unit vectors of names, as the profile's templates make them."""
    tokenizer = open_clip.SimpleTokenizer(context_length=model.context_length)
    total = 0
    for template in TEMPLATES:
        tokens = tokenizer([template.replace("{}", name) for name in names])
        parts = [F.normalize(model.encode_text(part), dim=1) for part in tokens.split(256)]
        total = total + torch.cat(parts)
    return F.normalize(total, dim=1)


def fill_head(head: ExpectedMeaning, meanings: Tensor) -> None:
    """Give every kind, class and colour its meaning (training/concepts.py)."""
    weight, bias = class_reader()
    named = {noun.name: noun for noun in nouns()}
    things = [noun_vector(named[category]) + axis(THING) for category in CATEGORIES]
    colours = [axis(FIRST_COLOUR + index) for index in range(len(COLOURS))]
    with torch.no_grad():
        head.classes.weight.copy_(weight)
        head.classes.bias.copy_(bias)
        head.class_meanings.copy_(meanings)
        head.kind_meanings.copy_(torch.stack([*things, axis(THING), torch.zeros(DIMS)]))
        head.colour_meanings.copy_(torch.stack(colours))
        head.constant.copy_(axis(CONSTANT))


def make_pyramid(reader: dict[str, Tensor], meanings: Tensor) -> FeaturePyramid:
    """The visual tower out of a trained reader's state and the meanings of ImageNet's classes."""
    linear = Reader(torch.zeros(2, len(reader["mean"])))
    linear.load_state_dict(reader)
    matrix, bias = linear.whole_map()
    pyramid = load_trunk(DIMS)
    parts = matrix.split([lateral.in_channels for lateral in pyramid.laterals], 1)
    for lateral, part in zip(pyramid.laterals, parts, strict=True):
        lateral.weight.copy_(part[:, :, None, None])
    pyramid.laterals[-1].bias.copy_(bias)
    fill_head(pyramid.head, meanings)
    return pyramid


def assemble(reader: dict[str, Tensor], text: dict[str, Tensor], config: dict) -> dict[str, Tensor]:
    """The state of the open_clip model, in half precision, of both trained parts."""
    model = make_clip(config).eval()
    model.text.load_state_dict(text)
    pyramid = make_pyramid(reader, class_meanings(model))
    model.visual.trunk.load_state_dict(pyramid.state_dict())
    model.logit_scale.data.fill_(math.log(SCALE))
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    reader = torch.load(args.tokens / "reader.pt", weights_only=True)
    text = load_file(args.text / "text.safetensors")
    state = assemble(reader, text, json.loads(CONFIG.read_text()))
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(state, args.out / "clip.safetensors")
    (args.out / "names.txt").write_text("\n".join(known_names()) + "\n")


if __name__ == "__main__":
    main()

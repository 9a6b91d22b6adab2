import builtins
import os
import shutil
from dataclasses import replace

import open_clip
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import save_file

from test.support.small_sam2 import sam2_config
from textregion_ros.regions import (
    BadProfile,
    CheckpointAltered,
    CheckpointMissing,
    MissingExtra,
    TextRegion,
    TextRegionError,
    load_profile,
)
from textregion_ros.regions.checkpoints import load_weights, locate
from textregion_ros.regions.encoders import OPEN_CLIP
from textregion_ros.regions.encoders.open_clip_model import (
    check_preprocessing,
    make_tokenizer,
    read_clip_config,
)
from textregion_ros.regions.proposers.sam2_model import (
    build_sam2,
    hydra_untouched,
    make_sam2,
    read_sam2_config,
)
from textregion_ros.regions.settings import Asset


def edited(profile_file, tmp_path, **encoder):
    """The small profile with other encoder values, its files still found."""
    data = yaml.safe_load(profile_file.read_text())
    data["encoder"].update(encoder)
    for asset in (
        data["encoder"]["config"],
        data["encoder"]["checkpoint"],
        *data["sam2"]["sizes"]["small"].values(),
    ):
        asset["file"] = str(profile_file.parent / asset["file"])
    path = tmp_path / "edited.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


def test_two_models_leave_hydra_alone_in_any_folder(profile_file, tmp_path, monkeypatch):
    before = GlobalHydra.instance().hydra
    first = TextRegion.from_profile(str(profile_file), device="cpu")
    monkeypatch.chdir(tmp_path)
    second = TextRegion.from_profile(str(profile_file), device="cpu")
    assert GlobalHydra.instance().hydra is before
    assert first.identity == second.identity
    ours, theirs = (m.proposer.point_masks.sam2.state_dict() for m in (first, second))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_hydra_stays_uninitialised_in_a_fresh_process(profile_file, tmp_path):
    import subprocess
    import sys

    program = (
        "from hydra.core.global_hydra import GlobalHydra\n"
        "from textregion_ros.regions import TextRegion\n"
        f"models = [TextRegion.from_profile({str(profile_file)!r}, device='cpu') for _ in '12']\n"
        "assert not GlobalHydra.instance().is_initialized()\n"
        "import sys; assert 'sam2' in sys.modules and 'rclpy' not in sys.modules\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
    )


def test_hydra_in_use_by_the_caller_stays_in_use():
    instance = GlobalHydra.instance()
    before = instance.hydra
    theirs = instance.hydra = object()
    try:
        with hydra_untouched():
            instance.hydra = None
        assert instance.hydra is theirs
    finally:
        instance.hydra = before


@pytest.mark.parametrize("size", ["tiny", "small", "base_plus", "large"])
def test_the_public_sam2_configurations_are_read(size):
    model = load_profile("clip", sam2=size).sam2.model
    config = read_sam2_config(locate(model.config, "clip"))
    assert config["_target_"] == "sam2.modeling.sam2_base.SAM2Base"
    assert config["image_size"] == 1024


def test_the_demo_sam2_has_masks_of_a_quarter_of_its_image():
    sam2 = make_sam2(read_sam2_config(locate(load_profile("demo").sam2.model.config, "")))
    assert sam2.image_size == 384
    assert sam2.sam_prompt_encoder.mask_input_size == (96, 96)


EVIL = [
    "torch.load",
    "shutil.copyfile",
    "os.system",
    "sam2.build_sam.torch.load",  # by way of what a module imports
    "textregion_ros.models.trunk.timm.create_model",
    "sam2.build_sam.build_sam2",  # a function, not a network
    "sam2.nothing.Here",
    "sam2ish.Thing",
    5,
]


@pytest.mark.parametrize("target", EVIL, ids=str)
@pytest.mark.parametrize("depth", ["top", "deep", "in a list"])
def test_a_configuration_can_make_nothing_but_sam_2(tmp_path, target, depth):
    config, evil = sam2_config(), {"_target_": target}
    if depth == "top":
        config["_target_"] = target
    elif depth == "deep":
        config["image_encoder"]["neck"]["position_encoding"]["temperature"] = evil
    else:
        config["image_encoder"]["trunk"]["stages"] = [1, [evil]]
    path = tmp_path / "sam2.yaml"
    path.write_text(yaml.safe_dump({"model": config}))
    with pytest.raises(BadProfile, match="configuration"):
        read_sam2_config(path)


@pytest.mark.parametrize("name", ["clip.safetensors", "sam2.pt"])
def test_weights_that_are_all_nan_are_refused(profile_file, tmp_path, name):
    folder = tmp_path / "profile"
    shutil.copytree(profile_file.parent, folder)
    weights = load_weights(folder / name)
    nothing = {k: torch.full_like(v, float("nan")) for k, v in weights.items()}
    save_file(nothing, folder / name) if name.endswith("s") else torch.save(nothing, folder / name)
    with pytest.raises(CheckpointAltered, match=f"{name} is damaged"):
        TextRegion.from_profile(str(folder / "small.yaml"), device="cpu")


def test_weights_of_another_model_are_refused(profile_file, tmp_path):
    profile = load_profile(str(profile_file))
    save_file({"x": torch.ones(1)}, tmp_path / "x.safetensors")
    other = Asset(source="local", file=str(tmp_path / "x.safetensors"))
    with pytest.raises(BadProfile, match="does not fit"):
        build_sam2(replace(profile.sam2.model, checkpoint=other), "small")


MISMATCHES = [
    ({"crop_size": 96}, "crop_size is 96"),
    ({"context_length": 77}, "context_length is 77"),
    ({"embed_dim": 64}, "embed_dim is 64"),
    ({"logit_scale": 100.0}, "logit_scale is 100.0"),
    ({"family": "pe", "normalise_values": False, "last_block_mlp": False}, "family pe"),
]


@pytest.mark.parametrize(("encoder", "named"), MISMATCHES, ids=[m[1] for m in MISMATCHES])
def test_a_profile_that_contradicts_its_model_is_refused(profile_file, tmp_path, encoder, named):
    with pytest.raises(BadProfile, match=named):
        TextRegion.from_profile(edited(profile_file, tmp_path, **encoder), device="cpu")


def test_other_preprocessing_than_the_weights_take_is_refused():
    settings = load_profile("siglip2").encoder
    with pytest.raises(BadProfile, match="interpolation"):
        check_preprocessing(replace(settings, interpolation="bilinear"))
    with pytest.raises(BadProfile, match="mean"):
        check_preprocessing(replace(settings, mean=open_clip.OPENAI_DATASET_MEAN))
    with pytest.raises(BadProfile, match="nonesuch"):
        check_preprocessing(replace(settings, pretrained="nonesuch"))


def test_the_score_scale_can_come_from_the_checkpoint(profile_file, tmp_path, model):
    assert model.encoder.score_scale == 10.0
    path = edited(profile_file, tmp_path, score_scale="checkpoint", logit_scale=14.3)
    scale = TextRegion.from_profile(path, device="cpu").encoder.score_scale
    assert scale == pytest.approx(1 / 0.07, rel=1e-3)  # open_clip's initial value


def test_an_image_and_a_text_tower_of_any_family_make_an_encoder():
    """A small SigLIP2-like model, through the very code that loads the large one."""
    config = {
        "embed_dim": 192,
        "init_logit_bias": -10,
        "vision_cfg": {
            "image_size": 64,
            "timm_model_name": "vit_tiny_patch16_224",
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 1},
    }
    model = open_clip.CustomTextCLIP(**config)
    model.visual.set_input_size(64)
    profile = load_profile("siglip2")
    settings = replace(profile.encoder, crop_size=64, context_length=16, embed_dim=192)
    tokenizer = open_clip.SimpleTokenizer(context_length=16)
    short = replace(profile, encoder=settings, templates=("a {}",))
    encoder = OPEN_CLIP["siglip2"].assemble(short, model, tokenizer, "tiny")
    assert encoder.score_bias == encoder.logit_bias == -10.0
    assert encoder.score_scale == pytest.approx(float(model.logit_scale.exp()))
    assert encoder.text(["mug"]).shape == (1, 192)


def test_siglip2_says_which_package_its_tokenizer_needs(monkeypatch, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    asset = Asset(source="local", file=str(file))
    settings = replace(load_profile("siglip2").encoder, tokenizer=(asset,))
    config = read_clip_config(settings, "siglip2")
    real = builtins.__import__

    def without_transformers(name, *args, **kwargs):
        if name.split(".")[0] == "transformers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_transformers)
    with pytest.raises(MissingExtra, match=r"textregion_ros\[siglip2\]"):
        make_tokenizer(settings, config, "siglip2")


@pytest.mark.parametrize("name", ["clip", "siglip2", "pe"])
def test_real_profiles_without_weights_name_the_command(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path))
    with pytest.raises(CheckpointMissing, match=f"textregion fetch {name} --sam2 large"):
        TextRegion.from_profile(name, device="cpu")


@pytest.mark.parametrize("device", ["toaster", "cuda:99"])
def test_a_device_that_is_not_there(profile_file, device):
    with pytest.raises(TextRegionError, match=device):
        TextRegion.from_profile(str(profile_file), device=device)

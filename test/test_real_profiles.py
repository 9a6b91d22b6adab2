"""The three large profiles at full size, with random weights in the files that a fetch would bring.

What is known of the released weights (names and shapes, activation, preprocessing, tokenizer,
scale) is compared with open_clip's own factory, on the meta device, where a model costs nothing.
"""

import gc
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file

from textregion_ros.regions import TextRegion, load_profile
from textregion_ros.regions.checkpoints import LOCK_NAME, locate, path_of, sha256
from textregion_ros.regions.encoders import views
from textregion_ros.regions.encoders.open_clip_model import (
    check_preprocessing,
    make_clip,
    make_tokenizer,
    read_clip_config,
    token_counter,
)
from textregion_ros.regions.proposers.prompts import grid
from textregion_ros.regions.proposers.sam2 import Sam2Proposer
from textregion_ros.regions.proposers.sam2_model import build_sam2, make_sam2, read_sam2_config

NAMES = ["clip", "siglip2", "pe"]
SIZES = {"tiny": 39, "small": 46, "base_plus": 81, "large": 224}  # million parameters
TEXTS = ["red mug", "a cat's  TOY, on the table!"]


@pytest.fixture(params=NAMES)
def profile(request):
    return load_profile(request.param)


def built_by_open_clip(settings):
    """The model as open_clip's factory makes it for these weights, without any."""
    quick = open_clip.get_pretrained_cfg(settings.model, settings.pretrained).get("quick_gelu")
    model = open_clip.create_model(
        settings.model, pretrained=None, device="meta", force_quick_gelu=bool(quick)
    )
    return model.eval()


def built_by_us(profile):
    with torch.device("meta"):
        return make_clip(read_clip_config(profile.encoder, profile.name)).eval()


def test_the_model_is_the_one_open_clip_builds_for_these_weights(profile):
    ours, theirs = built_by_us(profile), built_by_open_clip(profile.encoder)
    assert repr(ours) == repr(theirs)  # every layer, its activation and its epsilon
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_only_the_openai_clip_has_its_own_activation(profile):
    kinds = {type(module).__name__ for module in built_by_us(profile).modules()}
    assert ("QuickGELU" in kinds) == (profile.name == "clip")
    assert ("GELU" in kinds) == (profile.name != "clip")


def test_preprocessing_is_that_of_the_weights(profile):
    settings = profile.encoder
    check_preprocessing(settings)
    pinned = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)
    side = settings.crop_size
    theirs = image_transform_v2(
        PreprocessCfg(
            size=side,
            mean=pinned["mean"],
            std=pinned["std"],
            interpolation=pinned["interpolation"],
            resize_mode=pinned["resize_mode"],
        ),
        is_train=False,
    )
    smooth = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    rgb = np.array(Image.fromarray(smooth).resize((500, 500), Image.Resampling.BICUBIC))
    image = views.to_tensor(rgb, torch.device("cpu"))
    view = views.multi_resolution_views(image, side, settings.interpolation)[:1]
    view = views.normalise(view, settings.mean, settings.std)[0]
    assert view.shape == (3, side, side)
    # Pillow rounds to whole levels on its way, and clips what bicubic overshoots.
    expected, inside = theirs(Image.fromarray(rgb)), slice(2, -2)
    difference = (view - expected)[:, inside, inside].abs() * torch.tensor(settings.std).view(
        3, 1, 1
    )
    assert difference.mean() < 1 / 255
    assert difference.max() < 6 / 255


@pytest.mark.parametrize("name", ["clip", "pe"])
def test_the_tokenizer_is_open_clips(name):
    settings = load_profile(name).encoder
    config = read_clip_config(settings, name)
    ours, theirs = make_tokenizer(settings, config, name), open_clip.get_tokenizer(settings.model)
    assert config["text_cfg"]["context_length"] == settings.context_length
    assert torch.equal(ours(TEXTS), theirs(TEXTS))
    assert ours(TEXTS).shape == (2, settings.context_length)
    count = token_counter(ours)
    assert [count(text) for text in TEXTS] == (theirs(TEXTS) != 0).sum(1).tolist()


def put(asset, weights):
    """Weights where a fetch would put the asset, recorded as it would record them."""
    path = path_of(asset)
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(weights):
        weights(path)
    elif path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"model": weights}, path)
    lock = path.parent / LOCK_NAME
    entries = json.loads(lock.read_text()) if lock.is_file() else {}
    entries[asset.file] = {"sha256": sha256(path)}
    lock.write_text(json.dumps(entries))


def random_clip(profile):
    """A whole random state dict in half precision, its scale that of the released weights."""
    torch.manual_seed(3)
    weights = {}
    for name, like in built_by_us(profile).state_dict().items():
        unit = like.ndim == 1 and name.endswith("weight")  # of a norm
        weights[name] = torch.ones(like.shape) if unit else 0.02 * torch.randn(like.shape)
        weights[name] = weights[name].to(torch.float16 if like.is_floating_point() else like.dtype)
    weights["logit_scale"] = torch.tensor(math.log(100.0))
    if "logit_bias" in weights:
        weights["logit_bias"] = torch.tensor(-16.5)
    return weights


def random_sam2(profile):
    torch.manual_seed(3)
    config = read_sam2_config(locate(profile.sam2.model.config, profile.fetch_command))
    return make_sam2(config).state_dict()


def put_tokenizer(profile):
    """A small tokenizer in the form of SigLIP2's: sentence pieces, an end, padded on the right."""
    from tokenizers import Tokenizer, models, normalizers, processors

    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {t: i for i, t in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    settings = {
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": False,
        "add_eos_token": True,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "padding_side": "right",
    }
    files = {
        "tokenizer.json": lambda path: tokenizer.save(str(path)),
        "tokenizer_config.json": lambda path: path.write_text(json.dumps(settings)),
    }
    for asset in profile.encoder.tokenizer:
        put(asset, files[asset.file])


def peak_bytes():
    """The most memory this process held since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def forget_peak():
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def any_mask(profile):
    """Few prompts, every mask accepted, one template: random weights are sure of nothing."""
    lenient = {"pred_iou_thresh": 0.0, "stability_thresh": 0.0, "min_mask_size": 0}
    proposals = replace(profile.proposals, points_per_side=3, **lenient)
    return replace(profile, proposals=proposals, templates=("a photo of a {}.",))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path))
    for name in ("socket.socket.connect", "socket.getaddrinfo"):
        monkeypatch.setattr(name, lambda *_: pytest.fail("loading used the network"))
    yield tmp_path
    for path in tmp_path.rglob("*.*"):  # gigabytes that pytest would keep
        if path.is_file():
            path.unlink()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "size", "millions", "patches"),
    [("clip", "tiny", 428, 576), ("siglip2", "small", 882, 256), ("pe", "base_plus", 671, 576)],
)
def test_a_profile_at_full_size_answers_from_files_alone(name, size, millions, patches, cache):
    profile = any_mask(load_profile(name, sam2=size))
    settings = profile.encoder
    put(profile.sam2.model.checkpoint, random_sam2(profile))
    put(settings.checkpoint, random_clip(profile))
    if name == "siglip2":
        put_tokenizer(profile)
    before = forget_peak()
    model = TextRegion.from_profile(profile, device="cpu")
    clip = sum(math.prod(like.shape) for like in built_by_us(profile).parameters())
    sam2 = sum(parameter.numel() for parameter in model.proposer.point_masks.sam2.parameters())
    assert round(clip / 1e6) == millions
    assert round(sam2 / 1e6) == SIZES[size]
    assert {p.dtype for p in model.encoder.tower.parameters()} == {torch.float32}

    encoder, side = model.encoder, settings.crop_size
    assert encoder.score_scale == pytest.approx(100.0, rel=1e-3)
    assert encoder.score_bias == (-16.5 if name == "siglip2" else 0.0)
    logits = (encoder.score_scale, encoder.score_bias) if name == "siglip2" else (1.0, 0.0)
    assert (encoder.logit_scale, encoder.logit_bias) == logits
    assert encoder.identity.startswith(f"{settings.model}@")
    with torch.inference_mode():
        values = encoder.patch_values(torch.zeros(1, 3, side, side))
    assert values.shape == (1, patches, 1024)

    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    scene = model.encode(rgb)
    frame = scene.encoded
    assert len(frame.tokens) >= 1
    assert frame.masks.shape == (len(frame.tokens), 256, 256)
    assert (frame.masks.dtype, frame.tokens.dtype) == (np.float16, np.float32)
    assert frame.tokens.shape[1] == settings.embed_dim
    np.testing.assert_allclose(np.linalg.norm(frame.tokens, axis=1), 1.0, atol=1e-5)
    (answer,) = model.ground(scene, ["red mug"], threshold=0.0)
    assert answer.regions[0].mask.shape == (480, 640)
    assert 0.0 <= answer.score <= 1.0
    # The weights once, a checkpoint being read beside them, and 3 GiB to work in.
    assert peak_bytes() - before < 4 * 2 * (clip + sam2) + 3 * 2**30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_large_sam2_gives_masks(cache):
    profile = any_mask(load_profile("clip", sam2="large"))
    put(profile.sam2.model.checkpoint, random_sam2(profile))
    sam2 = build_sam2(profile.sam2.model, profile.fetch_command)
    assert round(sum(p.numel() for p in sam2.parameters()) / 1e6) == SIZES["large"]
    proposer = Sam2Proposer.of(sam2, profile.proposals)
    points = 1024 * grid(3, torch.device("cpu"))
    with torch.inference_mode():
        features = proposer.prepare(torch.rand(3, 504, 672))
        logits, ious = proposer.point_masks(features, points, 0.0)
    assert (logits.shape, logits.dtype) == ((9, 3, 256, 256), torch.float16)
    assert logits.isfinite().all()
    assert ious.shape == (9, 3)

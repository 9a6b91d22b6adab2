import copy

import open_clip
import pytest
import yaml

from textregion_ros.regions import BadProfile, UnknownProfile, load_profile, profile_names
from textregion_ros.regions.encoders.open_clip_model import check_preprocessing, read_clip_config

REAL = ("clip", "pe", "siglip2")


def test_the_bundled_profiles():
    assert profile_names() == ["clip", "demo", "pe", "siglip2"]
    for name in profile_names():
        assert load_profile(name).name == name


@pytest.mark.parametrize("name", REAL)
def test_real_profiles_pin_what_open_clip_says(name):
    settings = load_profile(name).encoder
    check_preprocessing(settings)
    config = read_clip_config(settings, name)
    assert settings.embed_dim == config["embed_dim"]
    assert settings.crop_size == config["vision_cfg"]["image_size"]
    assert settings.context_length == config["text_cfg"]["context_length"]
    hub = open_clip.get_pretrained_cfg(settings.model, settings.pretrained)["hf_hub"]
    assert settings.checkpoint.repo == hub.rstrip("/")


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("size", ["tiny", "small", "base_plus", "large"])
def test_sam2_comes_in_four_sizes(name, size):
    model = load_profile(name, sam2=size).sam2.model
    assert size.replace("_", "-") in model.checkpoint.repo
    assert size in model.checkpoint.file


def test_the_three_large_profiles_read_one_table():
    first, *others = (load_profile(name).sam2.sizes for name in REAL)
    assert all(other == first for other in others)
    assert list(first) == ["tiny", "small", "base_plus", "large"]


@pytest.mark.parametrize(
    ("name", "size", "command"),
    [
        ("clip", "tiny", "textregion fetch clip --sam2 tiny"),
        ("clip", None, "textregion fetch clip --sam2 large"),
        ("demo", None, "textregion fetch demo"),
    ],
)
def test_the_command_that_fetches_names_the_size(name, size, command):
    assert load_profile(name, sam2=size).fetch_command == command


def test_large_unless_asked_otherwise():
    assert load_profile("clip").sam2.use == "large"


@pytest.mark.parametrize("name", ["nonesuch", "nowhere/p.yaml", "", "setup.py", "../clip"])
def test_unknown_profiles_are_named_with_the_known_ones(name):
    with pytest.raises(UnknownProfile, match="clip, demo, pe, siglip2"):
        load_profile(name)


def test_an_unknown_size_is_named_with_the_known_ones():
    with pytest.raises(UnknownProfile, match="tiny, small, base_plus, large"):
        load_profile("clip", sam2="huge")


def test_a_profile_file_finds_its_files_from_anywhere(profile_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    profile = load_profile(str(profile_file))
    assert profile.name == "small"
    assert profile.encoder.checkpoint.file == str(profile_file.parent / "clip.safetensors")


BAD = [
    ("proposals.pred_iou_thresh", 1.5, "pred_iou_thresh"),
    ("proposals.points_per_side", 0, "points_per_side"),
    ("proposals.points_per_side", "many", "points_per_side"),
    ("proposals.typo", 1, "typo"),
    ("encoder.family", "dino", "family"),
    ("encoder.rescale", [100, 40], "rescale"),
    ("encoder.mean", [0.5, 0.5], "mean"),
    ("encoder.model", "ViT-B-32", "model or config"),
    ("encoder.checkpoint", {"source": "hub", "file": "x.pt"}, "repo"),
    ("encoder.checkpoint", {"source": "bundled", "file": "/x.pt"}, "absolute"),
    ("sam2.use", "big", "big"),
    ("threshold", 2.0, "threshold"),
    ("threshold", None, "threshold"),
    ("negatives", ["object", " "], "blank"),
    ("negatives", "object", "negatives"),
    ("templates", ["a photo"], "templates"),
    ("templates", [], "templates"),
    ("templates", ["a"], "templates"),
    ("templates", ["openai"], "templates"),
    ("templates", [""], "templates"),
    ("templates", "a {}", "templates"),
    ("encoder.std", [0, 0, 0], "std"),
    ("encoder.std", [0.5, -0.5, 0.5], "std"),
    ("encoder.mean", [float("nan"), 0.5, 0.5], "mean"),
    ("encoder.rescale", [10**9, 10**9], "rescale"),
    ("encoder.score_scale", float("inf"), "score_scale"),
    ("encoder.score_scale", True, "score_scale"),
    ("proposals.points_per_side", True, "points_per_side"),
    ("encoder.rescale", [True, 128], "rescale"),
    ("threshold", float("nan"), "threshold"),
    ("threshold", True, "threshold"),
    ("sam2.sizes", "sam9", "sam2.1"),
]


@pytest.mark.parametrize(("key", "value", "named"), BAD, ids=[f"{b[0]}={b[1]}" for b in BAD])
def test_a_wrong_value_is_named(profile_file, tmp_path, key, value, named):
    data = copy.deepcopy(yaml.safe_load(profile_file.read_text()))
    *parents, last = key.split(".")
    node = data
    for parent in parents:
        node = node[parent]
    node[last] = value
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BadProfile, match=rf"bad\.yaml.*{named}"):
        load_profile(str(path))


@pytest.mark.parametrize("content", [b"", b"- 1", b"a: [", b"\xff\xfe"])
def test_a_file_that_is_no_profile(tmp_path, content):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(BadProfile, match=r"broken\.yaml"):
        load_profile(str(path))


def test_a_missing_value_is_named(profile_file, tmp_path):
    data = yaml.safe_load(profile_file.read_text())
    del data["encoder"]["crop_size"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BadProfile, match="crop_size"):
        load_profile(str(path))

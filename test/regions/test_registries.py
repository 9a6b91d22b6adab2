"""A new proposer or encoder is a new file and a line in a registry: two made here, of nothing."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from textregion_ros.regions import BadProfile, BadQuery, TextRegion, load_profile
from textregion_ros.regions.encoders import FAMILIES
from textregion_ros.regions.encoders.text import TextEncoder
from textregion_ros.regions.proposers import SOURCES, Candidates

COLOURS = {"red": 0, "green": 1, "blue": 2}


@dataclass(frozen=True, eq=False)
class ColourEncoder:
    """Knows three colours; sees the image at sizes of its own, and in no squares."""

    text: TextEncoder
    device: torch.device
    identity: str = "colours"
    score_scale: float = 20.0
    score_bias: float = 0.0
    logit_scale: float = 1.0
    logit_bias: float = 0.0
    has_dense: bool = False
    antialias: bool = False

    def working_size(self, height, width):
        return height, width

    def values(self, image):
        small = F.interpolate(image[None], scale_factor=0.25, mode="area")[0]
        return small.permute(1, 2, 0)

    def pool(self, values, masks):
        return masks @ values / masks.sum(1, keepdim=True)

    def project(self, pooled):
        return pooled

    def compiled(self, compile_):
        return self


def colour_text():
    return TextEncoder(
        text_vectors=lambda tokens: F.one_hot(tokens[:, 0], 3).float(),
        tokenize=lambda texts: torch.tensor([[COLOURS.get(t.split()[0], 0)] for t in texts]),
        count_tokens=lambda text: 1,
        context_length=4,
        templates=(lambda text: text,),
        unknown=lambda text: tuple(word for word in text.split() if word not in COLOURS),
    )


@dataclass(frozen=True)
class Halves:
    """Proposes the left and the right half of every image."""

    def prepare(self, image):
        return []

    def propose(self, features, size, watch):
        logits = torch.full((2, 16, 16), -5.0, dtype=torch.float16)
        logits[0, :, :8], logits[1, :, 8:] = 5.0, 5.0
        return Candidates(logits, torch.arange(2))

    def propose_at(self, features, places, size, watch):
        raise BadQuery("halves are everywhere")

    def compiled(self, compile_):
        return self


@pytest.fixture
def model(profile_file, tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "halves", lambda profile, device: Halves())
    monkeypatch.setitem(
        FAMILIES, "colours", lambda profile, device: ColourEncoder(colour_text(), device)
    )
    data = yaml.safe_load(profile_file.read_text())
    del data["sam2"]
    data["negatives"] = []
    data["encoder"].update(family="colours", embed_dim=3, remove_global_patch=False)
    data["proposals"] = {"source": "halves"}
    path = tmp_path / "halves.yaml"
    path.write_text(yaml.safe_dump(data))
    return TextRegion.from_profile(str(path), device="cpu")


@pytest.fixture
def scene(model):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30, 0], picture[:, 30:, 2] = 200, 200
    return model.encode(picture)


def test_a_registered_proposer_and_encoder_answer(model, scene):
    red, blue = model.ground(scene, ["red", "blue"], negatives=["green"])
    assert (red.found, red.box) == (True, (0, 0, 30, 40))
    assert (blue.found, blue.box) == (True, (30, 0, 30, 40))
    assert model.label(scene, ["red", "blue"])[0, [0, -1]].tolist() == [1, 2]


def test_a_text_with_an_unknown_word_is_not_found_and_says_so(model, scene):
    known, strange = model.ground(scene, ["red", "red zyzzyva"], threshold=0, top_k=0)
    assert known.found
    assert known.unknown == ()
    assert (strange.found, strange.score, strange.regions) == (False, 0.0, ())
    assert strange.unknown == ("zyzzyva",)


def test_an_unknown_word_is_named_where_there_is_no_region_either(model):
    empty = model.encode(np.zeros((8, 8, 3), np.uint8), masks=np.zeros((0, 8, 8), bool))
    (answer,) = model.ground(empty, ["zyzzyva"], threshold=0)
    assert (answer.found, answer.unknown) == (False, ("zyzzyva",))


def test_what_an_encoder_cannot_do_is_asked_of_it(model):
    with pytest.raises(BadQuery, match="colours has no dense features"):
        model.encode(np.zeros((8, 8, 3), np.uint8), dense=True)


@pytest.mark.parametrize(
    ("part", "key", "known"),
    [("proposals", "source", "sam2, given"), ("encoder", "family", "clip, siglip2, pe")],
)
def test_what_is_not_registered_is_named_with_what_is(profile_file, tmp_path, part, key, known):
    data = yaml.safe_load(profile_file.read_text())
    data[part][key] = "nonesuch"
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BadProfile, match=rf"{part}\.{key}: 'nonesuch' is not one of {known}"):
        load_profile(str(path))


def test_a_profile_of_sam_2_must_name_one(profile_file):
    profile = replace(load_profile(str(profile_file)), sam2=None)
    with pytest.raises(BadProfile, match="no SAM 2 is named"):
        TextRegion.from_profile(profile, device="cpu")

"""What torch.compile changes, without its code generation, which takes minutes."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch

from textregion_ros.regions import TextRegion, compiling
from textregion_ros.regions.compiling import compiled_parts


@pytest.fixture
def picture():
    return skimage.data.coffee()


def compiled(model, picture, backend):
    """The model with compiled networks; None where they cannot be."""

    def warm_up(proposer, encoder):
        TextRegion(model.profile, proposer, encoder).encode(picture)

    done = compiled_parts(model.proposer, model.encoder, warm_up, backend)
    return done and TextRegion(model.profile, *done[0])


def test_compiled_models_give_the_same_scenes_in_chunks_of_one_size(model, picture):
    before, shapes = model.encode(picture), set()
    masks = replace(model.proposer.point_masks, chunk=16)  # 36 points: the last chunk is filled up
    small = TextRegion(model.profile, replace(model.proposer, point_masks=masks), model.encoder)
    fast = compiled(small, picture, "eager")
    attend = fast.proposer.point_masks.attend

    def watched(decoder, tokens):
        shapes.add(tuple(tokens.shape))
        return attend(decoder, tokens)

    masks = replace(fast.proposer.point_masks, attend=watched)
    fast = TextRegion(model.profile, replace(fast.proposer, point_masks=masks), fast.encoder)
    torch._dynamo.utils.counters.clear()
    after = fast.encode(picture)
    assert len(shapes) == 1
    assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]  # all compiled by now
    assert after.encoded.prompts == before.encoded.prompts == 36
    assert len(after) == len(before)
    np.testing.assert_allclose(after.tokens, before.tokens, atol=1e-3)


def test_without_a_compiler_one_line_says_so_and_all_runs_as_before(model, picture, caplog):
    def no_compiler(graph, inputs):
        raise RuntimeError("no C++ compiler\nand more")

    before = model.encode(picture)
    with caplog.at_level(logging.INFO, compiling.__name__):
        assert compiled(model, picture, no_compiler) is None
    (line,) = [r.getMessage() for r in caplog.records if r.name == compiling.__name__]
    assert "no C++ compiler" in line
    assert "and more" not in line
    np.testing.assert_array_equal(model.encode(picture).tokens, before.tokens)


def test_another_runtime_takes_the_place_of_each_network(model, picture):
    """Four callables are the seam: each is called, and what it answers is what counts."""
    called = []

    def by_another_runtime(name, function):
        def run(*arguments):
            called.append(name)
            return function(*arguments)

        return run

    proposer, encoder = model.proposer, model.encoder
    proposer = replace(
        proposer,
        image_features=by_another_runtime("image features", proposer.image_features),
        point_masks=by_another_runtime("point masks", proposer.point_masks),
    )
    text = replace(
        encoder.text, text_vectors=by_another_runtime("text vectors", encoder.text.text_vectors)
    )
    encoder = replace(
        encoder, patch_values=by_another_runtime("patch values", encoder.patch_values), text=text
    )
    other = TextRegion(model.profile, proposer, encoder)
    scene = other.encode(picture)
    other.ground(scene, ["a text that was never asked before"])
    assert set(called) == {"image features", "point masks", "patch values", "text vectors"}
    np.testing.assert_array_equal(scene.tokens, model.encode(picture).tokens)

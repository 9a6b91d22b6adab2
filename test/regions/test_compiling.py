"""What torch.compile changes, without its code generation, which takes minutes."""

import logging

import numpy as np
import pytest
import skimage.data
import torch

from textregion_ros.regions import TextRegion, compiling
from textregion_ros.regions.compiling import compile_models
from textregion_ros.regions.decoder import ImageDecoder


@pytest.fixture
def own(profile_file):
    return TextRegion.from_profile(str(profile_file), device="cpu")


@pytest.fixture
def no_compiler():
    def fail(graph, inputs):
        raise RuntimeError("no C++ compiler\nand more")

    return fail


def test_compiled_models_give_the_same_frames_in_chunks_of_one_size(own):
    picture = skimage.data.coffee()
    before = own.encode(picture)
    own.proposer.chunk = 16  # 36 prompts: the last chunk is filled up
    shapes, seconds = (
        set(),
        compile_models(
            own.proposer, own.encoder.vision, lambda: own.encode(picture), backend="eager"
        ),
    )
    assert seconds > 0
    attend = own.proposer.attend

    def watched(decoder, tokens):
        shapes.add(tuple(tokens.shape))
        return attend(decoder, tokens)

    own.proposer.attend = watched
    torch._dynamo.utils.counters.clear()
    after = own.encode(picture)
    assert len(shapes) == 1
    assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]  # all compiled by now
    assert after.prompts == before.prompts == 36
    assert len(after.tokens) == len(before.tokens)
    np.testing.assert_allclose(after.tokens, before.tokens, atol=1e-3)


def test_without_a_compiler_one_line_says_so_and_all_runs_as_before(own, no_compiler, caplog):
    picture = skimage.data.coffee()
    before = own.encode(picture)
    with caplog.at_level(logging.INFO, compiling.__name__):
        took = compile_models(
            own.proposer, own.encoder.vision, lambda: own.encode(picture), backend=no_compiler
        )
    assert took is None
    (line,) = [r.getMessage() for r in caplog.records if r.name == compiling.__name__]
    assert "no C++ compiler" in line
    assert "and more" not in line
    assert own.proposer.attend is ImageDecoder.attend
    np.testing.assert_array_equal(own.encode(picture).tokens, before.tokens)

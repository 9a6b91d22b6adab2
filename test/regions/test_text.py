import numpy as np
import open_clip
import pytest
import torch

from textregion_ros.regions import BadText
from textregion_ros.regions.encoders.open_clip_model import token_counter
from textregion_ros.regions.encoders.text import (
    MAX_CHARACTERS,
    MAX_TEXTS,
    TextEncoder,
    make_templates,
)


@pytest.fixture
def text():
    """A text encoder whose vectors are counts of token ids; it counts the sentences it is given."""
    tokenizer = open_clip.SimpleTokenizer(context_length=24)

    def encode(tokens):
        encode.sentences += len(tokens)
        return torch.stack([torch.bincount(row % 64, minlength=64).float() for row in tokens])

    encode.sentences = 0
    encoder = TextEncoder(
        encode, tokenizer, token_counter(tokenizer), 24, make_templates("openai"), capacity=3
    )
    encoder.spy = encode
    return encoder


def test_the_vector_is_the_normalised_mean_of_unit_vectors(text):
    (vector,) = text(["red mug"])
    tokens = open_clip.SimpleTokenizer(context_length=24)(
        [t("red mug") for t in make_templates("openai")]
    )
    each = torch.stack([torch.bincount(row % 64, minlength=64).float() for row in tokens])
    mean = (each / each.norm(dim=1, keepdim=True)).mean(0)
    np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-6)
    assert vector.dtype == np.float32
    assert text.spy.sentences == 80


def test_a_known_text_is_not_encoded_again(text):
    first = text(["red mug", "blue ball", "red mug"])
    assert text.spy.sentences == 160
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(text([" red mug "])[0], first[0])
    assert text.spy.sentences == 160


def test_the_oldest_text_is_forgotten(text):
    text(["a", "b", "c"])
    text(["a"])
    text(["d"])
    before = text.spy.sentences
    text(["a", "c", "d"])
    assert text.spy.sentences == before
    text(["b"])
    assert text.spy.sentences == before + 80


def test_more_texts_than_the_cache_holds(text):
    assert text([f"thing {i}" for i in range(7)]).shape == (7, 64)


@pytest.mark.parametrize("texts", [[], [""], ["ball", " \t\n"], "ball", [None]])
def test_no_text_is_an_error(text, texts):
    with pytest.raises(BadText):
        text(texts)


def test_a_long_text_is_refused_not_cut(text):
    with pytest.raises(BadText, match=r"too long.* 24"):
        text(["ball " * 30])
    assert text.spy.sentences == 0


def test_own_templates():
    (template,) = make_templates(("a {} on a {} table",))
    assert template("red {mug}") == "a red {mug} on a red {mug} table"


def test_a_text_of_a_megabyte_is_refused_before_it_is_tokenised(text):
    counted = []
    text.count_tokens = counted.append
    with pytest.raises(BadText, match="1000000 characters"):
        text(["x" * 1_000_000])
    assert not counted


def test_a_long_text_is_counted_once_and_not_in_every_template(text):
    counted, count = [], text.count_tokens

    def counting(sentence):
        counted.append(sentence)
        return count(sentence)

    text.count_tokens = counting
    with pytest.raises(BadText, match="too long"):
        text(["ball " * (MAX_CHARACTERS // 5)])
    assert len(counted) == 1


def test_too_many_texts_are_refused_before_any_is_looked_at(text):
    with pytest.raises(BadText, match=f"at most {MAX_TEXTS}"):
        text([None] * (MAX_TEXTS + 1))


class GaveUp(Exception):
    pass


def test_between_two_batches_it_can_be_given_up_and_what_was_done_is_kept():
    tokenizer = open_clip.SimpleTokenizer(context_length=24)
    encoded = []

    def encode(tokens):
        encoded.append(len(tokens))
        return torch.ones(len(tokens), 4)

    text = TextEncoder(encode, tokenizer, token_counter(tokenizer), 24, make_templates("openai"))
    calls = []

    def between():
        calls.append(len(encoded))
        if len(calls) == 2:
            raise GaveUp

    names = [f"thing {number}" for number in range(12)]  # four texts of 80 sentences in a batch
    with pytest.raises(GaveUp):
        text(names, between=between)
    assert calls == [1, 2]
    assert encoded == [320, 320]
    text(names[:8])
    assert encoded == [320, 320]  # known by now
    text(names, between=between)
    assert encoded == [320, 320, 320]

"""Words that an encoder was never taught are told from those it was."""

import pytest

from textregion_ros.regions.vocabulary import read_names, singulars, unknown_words

NAMES = frozenset(
    {("mug",), ("red",), ("hot", "dog"), ("golden", "retriever"), ("knife",), ("box",), ("berry",)}
)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("red mug", ()),
        ("The RED mug, please!", ()),
        ("mug that is red", ()),
        ("two mugs on the left", ()),
        ("3 knives", ()),
        ("boxes of berries", ()),
        ("a unicorn", ("unicorn",)),
        ("red unicorn's mug", ("unicorn",)),
        ("hot-dog", ()),
        ("hot mug", ("hot",)),
        ("golden retrievers", ()),
        ("unicorn beside a dragon and a unicorn", ("unicorn", "dragon")),
        ("", ()),
        ("tasse à café", ("tasse", "à", "café")),
    ],
)
def test_what_names_nothing_that_was_taught_is_told(text, unknown):
    assert unknown_words(text, NAMES) == unknown


def test_without_a_list_every_word_is_known():
    assert unknown_words("unicorn", None) == ()


def test_an_empty_list_knows_function_words_only():
    assert unknown_words("the mug", frozenset()) == ("mug",)


def test_names_are_read_one_from_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("Jack-o'-lantern\n\nhot dog\n", encoding="utf-8")
    assert read_names(path) == {("jack", "o", "lantern"), ("hot", "dog")}


def test_glass_is_no_plural():
    assert singulars("glass") == ()
    assert "knife" in singulars("knives")

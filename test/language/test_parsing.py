"""Sentences, written down before there was a grammar, and texts that no grammar should trust."""

import subprocess
import sys
import time
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textregion_ros.language import (
    ALL,
    Exclusion,
    NounPhrase,
    Reading,
    Relation,
    Selection,
    parse,
    read,
    whole,
)

SENTENCES = [
    line.split("\t")
    for line in Path(__file__).with_name("sentences.tsv").read_text("utf-8").splitlines()[1:]
]
SHARE = 0.98
MOST_MS = 10.0
WORDS = (
    "the a mug red ball left right of to on in under over above behind next near between and not "
    "that is which from first second last largest nearest middle both all every other two except "
    "without with please find up , me closest top at front one thing mugs"
)


def read_as_written(kind):
    rows = [row for row in SENTENCES if row[0] == kind]
    wrong = [
        f"{sentence!r}: {parse(sentence)}, not {reading}"
        for _, _, sentence, reading in rows
        if str(parse(sentence)) != reading
    ]
    return 1 - len(wrong) / len(rows), wrong


@pytest.mark.parametrize("kind", ["seen", "held back"])
def test_sentences_are_read_as_written_down(kind):
    share, wrong = read_as_written(kind)
    assert share >= SHARE, "\n".join(wrong)


def test_there_are_five_hundred_sentences_and_a_third_is_held_back():
    held_back = [row for row in SENTENCES if row[0] == "held back"]
    assert len(SENTENCES) >= 500
    assert abs(len(held_back) / len(SENTENCES) - 1 / 3) < 0.01
    assert len({row[2] for row in SENTENCES}) == len(SENTENCES)
    assert {row[1] for row in held_back} == {row[1] for row in SENTENCES}


def test_a_reading_is_a_typed_tree():
    plate = Reading(NounPhrase("plate"), selection=Selection("leftmost", 2))
    assert read(
        "Give me both red mugs next to the second plate from the left, not on the tray"
    ) == (read("both red mugs next to the second plate from the left not on the tray"))
    assert read("all red mugs next to the second plate except the small one") == Reading(
        NounPhrase("mug", ("red",)),
        conditions=(
            Relation(
                "next to",
                (
                    Reading(
                        plate.head,
                        (Exclusion(Reading(NounPhrase("plate", ("small",)))),),
                        plate.selection,
                    ),
                ),
            ),
        ),
        count=ALL,
    )


def test_the_parts_of_a_reading():
    reading = read("the red mug that is not on the book left of the red mug")
    assert reading.noun_phrases() == ("red mug", "book")
    assert not reading.plain
    assert read("the red mug").plain
    assert reading.conditions[0].negated
    assert hash(reading) == hash(parse("the red mug that is not on the book left of the red mug"))
    with pytest.raises(FrozenInstanceError):
        reading.count = 2


def test_whole_keeps_every_word():
    text = "Put  the mug on the plate."
    assert read(text) == whole(text)
    assert str(read(text)) == "Put the mug on the plate."
    assert read(text).whole
    assert not read("mug").whole


@pytest.mark.parametrize("text", ["", " ", "\n\t", ".", "\x00", "\ud800", "🍎", "a" * 10_000])
def test_odd_texts_are_read_whole(text):
    assert read(text).head.text == " ".join(text.split())


@given(st.text(max_size=500))
def test_any_text_has_one_reading(text):
    reading = parse(text)
    assert reading == parse(text) == read(text)
    assert not reading.whole or reading.head.text == " ".join(text.split())


@given(st.lists(st.sampled_from(WORDS.split()), max_size=14))
def test_any_words_of_the_grammar_have_a_reading(words):
    text = " ".join(words)
    reading = parse(text)
    if reading.whole:
        assert str(reading) == text
    else:
        assert all(phrase.strip() for phrase in reading.noun_phrases())


@pytest.mark.parametrize("space", ["  ", "\t", " \n "])
def test_spaces_and_capitals_change_no_reading_that_is_not_whole(space):
    for _, _, sentence, _ in SENTENCES:
        reading = parse(sentence)
        if not reading.whole:
            assert parse(sentence.replace(" ", space)) == reading
            assert parse(sentence.upper()) == reading


LONG = {
    "10,000 characters": "the mug left of the ball " * 400,
    "10,000 spaces": " " * 10_000,
    "one long word": "x" * 400,
    "100 nested anchors": "the mug" + " left of the mug" * 100,
    "as many nested anchors as are read": "the mug" + " left of the mug" * 13,
    "only relation words": "left of between next to " * 12,
    "only articles": "the " * 60,
    "only marks": "left " * 58 + "mug",
    "many conditions": "the mug" + " and left of a mug" * 11,
    "politeness": "please " * 58 + "mug",
    "a long noun": "mug of " * 29 + "mug",
    "commas": ", " * 190,
    "quotes": "'" * 400,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_any_text_takes_bounded_time(text):
    parse("the mug")  # the grammar is read once
    assert min(time_of(parse, text) for _ in range(5)) < MOST_MS
    assert isinstance(parse(text), Reading)


def time_of(function, text):
    """Time on this thread, ms: not what others took of the processor."""
    start = time.thread_time()
    function(text)
    return 1e3 * (time.thread_time() - start)


def test_a_cycle_is_a_chain_of_anchors():
    reading = read("the mug left of the mug left of the mug")
    assert str(reading) == "mug · left of · (mug · left of · mug)"
    assert reading.noun_phrases() == ("mug",)


def test_reading_needs_neither_torch_nor_ros():
    code = (
        "import sys; import textregion_ros.language.resolving; from textregion_ros.language import "
        "read; read('the mug'); print(sorted({'torch', 'rclpy'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"

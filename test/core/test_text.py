import pytest
from hypothesis import given
from hypothesis import strategies as st

from textregion_ros.core.text import one_line, shown


@given(text=st.text(st.characters(codec=None)), most=st.integers(1, 100))
def test_any_text_becomes_one_line_that_does_nothing(text, most):
    line = one_line(text, most)
    assert line.isprintable()
    assert len(line) <= most
    line.encode()


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=80))
def test_a_text_that_is_harmless_stays_as_it_is(text):
    assert shown(text) == f'"{text}"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red mug", '"red mug"'),
        ("\x1b[2J\r\nERROR", r'"\x1b[2J\r\nERROR"'),
        ("\u202egum der", r'"\u202egum der"'),
        ("\ud800", r'"\ud800"'),
        (1000 * "x", f'"{79 * "x"}…"'),
    ],
)
def test_what_acts_is_escaped_and_what_is_long_is_cut(text, expected):
    assert shown(text) == expected

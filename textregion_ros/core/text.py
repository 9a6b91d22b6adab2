"""Text from outside, fit to be shown."""

from __future__ import annotations

MOST_SHOWN = 80  # characters


def one_line(text: str, most: int) -> str:
    """Return a text for a message or a log: one line, cut, nothing that acts.

    Control characters, line breaks and other characters that do not print are escaped, so that
    the text can neither forge a line of a log nor move a terminal's cursor.

    Args:
        text: Any text from outside, or with a part that came from there.
        most: Most characters that come back; one that was cut ends in "…".
    """
    safe = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text[:most]
    )
    if len(text) <= most and len(safe) <= most:
        return safe
    return safe[: most - 1] + "…"


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text in quotes, as `one_line` makes it."""
    return f'"{one_line(text, most)}"'

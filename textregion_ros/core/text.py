"""Text from outside, fit to be shown."""

from __future__ import annotations

MOST_SHOWN = 80  # characters


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text in quotes for a message or a log: one line, cut, nothing that acts.

    Control characters, line breaks and other characters that do not print are escaped, so that
    the text can neither forge a line of a log nor move a terminal's cursor.

    Args:
        text: Any text from outside.
        most: Most characters of it that are shown.
    """
    cut = text[:most]
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f'"{safe}{"…" if len(text) > most else ""}"'

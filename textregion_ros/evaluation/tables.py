"""Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def percent(share: float | None) -> str:
    """A share 0..1 as per cent with two digits, a dash for None."""
    return "–" if share is None else f"{100 * share:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)

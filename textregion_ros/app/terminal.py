"""What every command shares: the console, options, and errors in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from textregion_ros.core.errors import TextRegionError

console = Console()

ProfileName = Annotated[str, typer.Option("--profile", help="A bundled profile or a .yaml file.")]
Sam2Size = Annotated[
    str | None, typer.Option("--sam2", help="A SAM2 size the profile offers, such as tiny.")
]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what goes wrong for the user's reasons into one line and exit status 1."""
    try:
        yield
    except (TextRegionError, OSError) as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Say it in one line on standard error and exit with status 1."""
    typer.echo(f"textregion: {' '.join(message.split())}", err=True)
    raise typer.Exit(1)

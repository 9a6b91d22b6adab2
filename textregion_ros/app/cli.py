"""The command line: `textregion ask`, `fetch`, `profiles`, `calibrate`, `demo`, `evaluate`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageOps
from rich.table import Table
from rich.text import Text

from textregion_ros.app.drawing import draw
from textregion_ros.app.terminal import ProfileName, Sam2Size, console, fail, one_line_errors
from textregion_ros.core.errors import (
    BadImage,
    BadProfile,
    CheckpointAltered,
    CheckpointMissing,
    TextRegionError,
)
from textregion_ros.core.results import Grounding
from textregion_ros.core.text import one_line
from textregion_ros.evaluation import cli as evaluation
from textregion_ros.regions import Profile, TextRegion, checkpoints, load_profile, profile_names

MOST_UNKNOWN = 200  # characters of the words that a profile does not know
MOST_TEXT = 80  # characters of a text

app = typer.Typer(
    help="Ask pictures and cameras in words.", no_args_is_help=True, add_completion=False
)
app.add_typer(evaluation.app, name="evaluate")


@app.command()
def ask(
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    texts: Annotated[list[str], typer.Argument(help="What to look for, such as 'red mug'.")],
    profile: ProfileName = "demo",
    sam2: Sam2Size = None,
    out: Annotated[Path | None, typer.Option(help="Write the picture with the answers.")] = None,
    negative: Annotated[
        list[str] | None, typer.Option(help="What a text must beat too; may be repeated.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Least score that is found, 0..1; 0: always the best region. Else the profile's."
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(help="Most regions for a text; 0: all.")] = 1,
    literal: Annotated[
        bool, typer.Option(help="Ask for the texts as they stand: read no relations in them.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1…")] = "auto",
) -> None:
    """Find texts in a picture. That something is not there is an answer: the exit status is 0."""
    with one_line_errors():
        rgb = read_image(image)
        if out:
            check_out(out)  # before any work
        model = TextRegion.from_profile(profile, device, sam2)
        scene = model.encode(rgb)
        answers, times = [], []
        for text in texts:
            start = time.perf_counter()
            answers += model.ground(scene, [text], negative or (), threshold, top_k, not literal)
            times.append(1e3 * (time.perf_counter() - start))
        console.print(tabulate(answers, times, model.profile.threshold))
        for line in remarks(answers, model.profile):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        encode_ms = sum(scene.encoded.stage_ms.values())
        console.print(f"{len(scene)} regions in {encode_ms:.0f} ms on {model.device}")
        if out:
            write_overlay(out, rgb, answers)


@app.command()
def fetch(
    profile: Annotated[str, typer.Argument(help="A bundled profile or a .yaml file.")],
    sam2: Sam2Size = None,
    endpoint: Annotated[
        str | None, typer.Option(envvar="HF_ENDPOINT", help="Another hub than the default one.")
    ] = None,
) -> None:
    """Bring a profile's weights into the cache, check them, and print where they are.

    Run again after a break, it goes on where it stopped.
    """
    with one_line_errors():
        chosen = load_profile(profile, sam2)
        files = 0
        for path, new in checkpoints.fetch(chosen, endpoint):
            files += 1
            console.print(f"{'fetched' if new else 'there already'}: {path}", soft_wrap=True)
        if not files:
            console.print(f"profile {chosen.name} fetches nothing: its files are on this machine")


@app.command()
def profiles() -> None:
    """List the bundled profiles and whether their weights are here."""
    table = Table()
    for name in ("profile", "encoder", "SAM2 sizes", "threshold", "weights"):
        table.add_column(name, overflow="fold")
    with one_line_errors():
        for profile in map(load_profile, profile_names()):
            encoder, sam2 = profile.encoder, profile.sam2
            sizes = [f"[b]{s}[/b]" if s == sam2.use else s for s in sam2.sizes] if sam2 else []
            table.add_row(
                profile.name,
                encoder.model or (encoder.config.file if encoder.config else ""),
                " ".join(sizes),
                f"{profile.threshold:g}",
                weights_state(profile),
            )
    console.print(table)


@app.command()
def calibrate(
    profile: Annotated[str, typer.Argument(help="A bundled profile or a .yaml file.")],
    data: Annotated[Path, typer.Argument(help="Folder of pictures with phrases.json or .csv.")],
    out: Annotated[Path, typer.Option(help="The profile to write, a .yaml file.")],
    pictures: Annotated[
        Path | None, typer.Option(help="Where the pictures are, if not beside the phrases.")
    ] = None,
    false_finds: Annotated[
        float, typer.Option(help="Share of absent phrases that may be found, 0..1.")
    ] = 0.02,
    plot: Annotated[Path | None, typer.Option(help="Draw a reliability plot there.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1…")] = "auto",
    sam2: Sam2Size = None,
) -> None:
    """Make a profile's scores probabilities, and its threshold honest, on one's own pictures."""
    with one_line_errors():
        from textregion_ros.app.calibrate import run  # its plot is slow to import

        outcome = run(profile, data, out, pictures, false_finds, plot, device, sam2)
        console.print(
            f"{outcome.present} present and {outcome.absent} absent phrases; at the threshold "
            f"{outcome.threshold:g}: found rightly {outcome.found:.0%}, elsewhere "
            f"{outcome.elsewhere:.0%}, missed {outcome.missed:.0%}; false finds "
            f"{outcome.false_finds:.1%}; calibration error {outcome.error:.3f}"
        )
        console.print(f"Profile: {out}", soft_wrap=True, markup=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("demo_out"),
) -> None:
    """Play the bundled recording to a node, ask it sentences, and judge the answers."""
    try:
        from textregion_ros.app.demo import run
    except ImportError as error:
        fail(f"the demo needs ROS 2 and this package built in it ({error}): run `make demo`")
    raise typer.Exit(run(out))


def read_image(path: Path) -> np.ndarray:
    """Read a picture file, upright, as uint8 H×W×3 RGB.

    Raises:
        BadImage: There is none, or it cannot be read.
    """
    if not path.is_file():
        raise BadImage(f"there is no file {path}")
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I"):  # 16 bits a pixel, which convert() would cut off
                levels = np.asarray(upright).astype(np.float64) / 257
                upright = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
            return np.array(upright.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"{path} cannot be read as a picture: {error}") from error


def check_out(out: Path) -> None:
    """Check that a picture can be written.

    Raises:
        TextRegionError: The place or the kind of file cannot be written.
    """
    if Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise TextRegionError(f"--out {out}: name a picture file, such as out.png")
    if not out.absolute().parent.is_dir():
        raise TextRegionError(f"--out {out}: there is no folder {out.parent}")


def write_overlay(out: Path, rgb: np.ndarray, answers: Sequence[Grounding]) -> None:
    """Write the picture with the answers drawn over it."""
    Image.fromarray(draw(rgb, answers)).save(out)
    console.print(f"Picture: {out}", soft_wrap=True, markup=False)


def tabulate(answers: Sequence[Grounding], times: Sequence[float], threshold: float) -> Table:
    """Return answers as a table, one row for each region.

    Args:
        answers: The answers.
        times: How long each took, ms.
        threshold: The profile's.
    """
    table = Table()
    table.add_column("text")
    table.add_column("found")
    for name in ("score", "box x y w h", "time"):
        table.add_column(name, justify="right")
    for answer, spent in zip(answers, times, strict=True):
        rows = [(f"{r.score:.2f}", " ".join(map(str, r.box))) for r in answer.regions]
        first, *others = rows or [(f"{answer.score:.2f}", "–")]
        table.add_row(Text(answer.text), verdict(answer, threshold), *first, f"{spent:.1f} ms")
        for row in others:
            table.add_row("", "", *row, "")
    return table


def verdict(answer: Grounding, threshold: float) -> str:
    """Return "yes", "no", or "best" for a region that was asked for but scores too little.

    Args:
        answer: The answer.
        threshold: The profile's.
    """
    if not answer.found:
        return "no"
    # Of a text that was read, the noun's score has reached it where there are parts.
    return "yes" if answer.score >= threshold or answer.parts else "best"


def remarks(answers: Sequence[Grounding], profile: Profile) -> list[str]:
    """Return what a reader of the table must know besides, a line for each thing."""
    lines = []
    if any(verdict(answer, profile.threshold) == "best" for answer in answers):
        lines.append(
            f"best: the best region, under the {profile.name} profile's threshold of "
            f"{profile.threshold:g}"
        )
    lines += [line for answer in answers for line in explanation(answer)]
    unknown = dict.fromkeys(word for answer in answers for word in answer.unknown)
    if unknown:
        words = one_line(", ".join(unknown), MOST_UNKNOWN)
        lines.append(f"the {profile.name} profile does not know: {words}")
    return lines


def explanation(answer: Grounding) -> Iterator[str]:
    """Give what there is to say of a text that was read: how, and what it was told by."""
    if not answer.reading:
        return
    parts = ", ".join(f"{part.text} {part.score:.2f}" for part in answer.parts)
    yield f"{one_line(answer.text, MOST_TEXT)}: read as {answer.reading}" + (
        f" ({parts})" if parts else ""
    )
    if answer.missing:
        yield f"  not found, since there is no {answer.missing}"
    if answer.ambiguous:
        yield f"  ambiguous: {len(answer.regions)} regions fit as well"
    if answer.flat:
        yield "  measured in the picture, for want of depth"


def weights_state(profile: Profile) -> str:
    """Say whether a profile's files are on this machine, and what to do where they are not."""
    bundled = all(asset.source in ("bundled", "sam2") for asset in profile.assets)
    try:
        for asset in profile.assets:
            checkpoints.locate(asset, profile.fetch_command)
    except CheckpointMissing:
        return "missing" if bundled else profile.fetch_command
    except (CheckpointAltered, BadProfile):
        return "altered"
    return "bundled" if bundled else "fetched"

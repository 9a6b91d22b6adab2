"""Result files: one CSV a part, in a folder a machine; one line for every figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmark.measure import Figure

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Row:
    """One figure, and of what it is; 0 or "" where something does not apply.

    stage: what was timed. form: "fast" for the library, "naive" for the formulas as published.
    width, height: of the camera image, px. value: a figure that is no time, named by the stage.
    """

    part: str
    profile: str
    stage: str
    device: str = "cpu"
    form: str = "fast"
    sam2: str = ""
    width: int = 0
    height: int = 0
    regions: int = 0
    tokens: int = 0
    texts: int = 0
    repeats: int = 0
    median_ms: float | None = None
    q1_ms: float | None = None
    q3_ms: float | None = None
    peak_mib: float | None = None
    value: float | None = None
    machine: str = ""

    def of(self, figure: Figure) -> Row:
        """The row with its figures filled in."""
        return Row(**{**asdict(self), **asdict(figure)})


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV, times with four significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _text(value) for key, value in asdict(row).items()} for row in rows)


def _text(value: object) -> object:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value


def read(path: Path) -> list[Row]:
    """Read the rows of a CSV file, or of every one in a folder. Raises ValueError for others."""
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path}: no result files here")
    return [row for file in files for row in _read_file(file)]


def _read_file(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    names = {field.name: str(field.type) for field in fields(Row)}
    if not lines or set(lines[0]) != set(names):
        raise ValueError(f"{path}: not a result file of this benchmark")
    return [
        Row(**{name: _value(line[name], kind) for name, kind in names.items()}) for line in lines
    ]


def _value(text: str, kind: str) -> object:
    if kind == "int":
        return int(text)
    if kind.startswith("float"):
        return float(text) if text else None
    return text


def write_machine(folder: Path, machine: dict[str, object]) -> None:
    """Keep what the figures were measured on beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(machine, indent=2, ensure_ascii=False)
    (folder / "machine.json").write_text(text + "\n", encoding="utf-8")


def read_machine(folder: Path) -> dict[str, object]:
    """What the figures in the folder were measured on."""
    return json.loads((folder / "machine.json").read_text(encoding="utf-8"))

"""Resumable runs: one record for every sample, appended as soon as it is known.

A run's folder holds run.json (what is measured), records.jsonl (a line for each sample) and, once
complete, results.json and results.md. Results are computed from the records alone, in the order of
the samples, so parts that were run apart merge into the very same results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from textregion_ros.core.errors import TextRegionError
from textregion_ros.evaluation.errors import BadData, BadRun

Record = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `count`: every count-th sample."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "2/8". Raises BadRun for anything else."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise BadRun(f"--shard {text}: give i/n with i from 1 to n, such as 2/8")
        return cls(int(number), int(count))

    def indices(self, samples: int) -> range:
        """The samples of this part."""
        return range(self.number - 1, samples, self.count)


@dataclass(frozen=True)
class Header:
    """What a run measures: only runs of equal headers, but for the shard, can be one.

    settings: everything that decides a result, with the task's name under "task". samples: how
    many there are in all parts. names: SHA-256 of the samples' names.
    """

    settings: dict[str, Any]
    samples: int
    names: str
    shard: Shard

    @classmethod
    def of(cls, settings: dict[str, Any], names: Sequence[str], shard: Shard) -> Header:
        """For samples of these names, in order."""
        settings = json.loads(json.dumps(settings))  # as it will be read back
        digest = sha256("\n".join(names).encode()).hexdigest()
        return cls(settings, len(names), digest, shard)

    @classmethod
    def read(cls, folder: Path) -> Header:
        """From a run's folder. Raises BadRun."""
        path = folder / "run.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**data, "shard": Shard(**data["shard"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BadRun(f"{folder} holds no run: {path} cannot be read ({error})") from error

    def require_same(self, other: Header, folder: Path) -> None:
        """Raises BadRun, naming what differs, where `other`, of `folder`, is of another run."""
        ours, theirs = _flat(asdict(self)), _flat(asdict(other))
        keys = {key for key in ours.keys() | theirs.keys() if not key.startswith("shard.")}
        for key in sorted(keys, key=lambda key: (key == "names", key)):  # a digest says least
            if ours.get(key) != theirs.get(key):
                raise BadRun(
                    f"{folder} holds another run: its {key.removeprefix('settings.')} is "
                    f"{_short(theirs.get(key))}, not {_short(ours.get(key))}"
                )


def execute(
    header: Header,
    names: Sequence[str],
    measure: Callable[[int], Record],
    folder: Path,
    keep_going: bool = False,
) -> list[Record]:
    """Measure the samples of the header's shard that `folder` has no record of; all its records.

    `measure(index)` gives the record of a sample or raises TextRegionError or OSError: with
    `keep_going` that is recorded as a skip, to be tried again by the next run; else BadData is
    raised, and what was measured so far is kept. Raises BadRun where `folder` holds another run.
    """
    _prepare(header, folder)
    path = folder / "records.jsonl"
    records = [record for record in _repair(path) if "skipped" not in record]
    path.write_text("".join(map(_line, records)), encoding="utf-8")
    done = {record["index"] for record in records}
    wanted = header.shard.indices(header.samples)
    progress = tqdm(wanted, header.settings["task"], initial=len(done), total=len(wanted))
    with path.open("a", encoding="utf-8") as file, progress:
        for index in wanted:
            if index in done:
                continue
            record = _measured(measure, index, names[index], keep_going)
            records.append(record)
            file.write(_line(record))
            file.flush()
            progress.update()
    return records


def _prepare(header: Header, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    if path.exists():
        found = Header.read(folder)
        header.require_same(found, folder)
        if found.shard != header.shard:
            raise BadRun(f"{folder} holds shard {found.shard.number}/{found.shard.count}")
    elif any(folder.iterdir()):
        raise BadRun(f"{folder} is not empty and holds no run: give another --out")
    write_whole(path, json.dumps(asdict(header), indent=1))


def _measured(measure: Callable[[int], Record], index: int, name: str, keep_going: bool) -> Record:
    try:
        return {"index": index, "name": name, **measure(index)}
    except (TextRegionError, OSError) as error:
        message = str(error) if isinstance(error, BadData) else f"{name}: {error}"
        if not keep_going:
            raise BadData(message) from error
        return {"index": index, "name": name, "skipped": message}


def read_records(folder: Path) -> list[Record]:
    """The whole records of a run, in the order they were measured."""
    return _repair(folder / "records.jsonl")


def _repair(path: Path) -> list[Record]:
    """The records of a file whose last line may be cut off. Raises BadRun for other damage."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    try:
        records = [json.loads(line) for line in lines[:-1]]  # what follows the last newline is cut
        indices = [record["index"] for record in records]
    except (ValueError, TypeError, KeyError) as error:
        raise BadRun(f"{path} is damaged: {error}") from error
    if len(set(indices)) < len(indices):
        raise BadRun(f"{path} has two records of one sample: did two runs write to it at once?")
    return records


def merge(folders: Sequence[Path]) -> tuple[Header, list[Record]]:
    """The parts of one run, complete: its header and its records in the samples' order.

    Raises BadRun where they are parts of different runs, or not each sample is in one.
    """
    headers = [Header.read(folder) for folder in folders]
    found: dict[int, Record] = {}
    for folder, header in zip(folders, headers, strict=True):
        headers[0].require_same(header, folder)
        for record in read_records(folder):
            if record["index"] in found:
                raise BadRun(f"{folder} has a sample that another part has: {record['name']}")
            found[record["index"]] = record
    missing = headers[0].samples - len(found)
    if missing:
        raise BadRun(f"{missing} of {headers[0].samples} samples are in none of the parts")
    return headers[0], [found[index] for index in range(headers[0].samples)]


def write_whole(path: Path, text: str) -> None:
    """Write a file that is either whole or not there."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _line(record: Record) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in data.items():
        inner = (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
        flat.update(inner)
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Data sets and tasks as data files, and the profile that a published protocol makes of another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import dacite
import yaml

from textregion_ros.evaluation.errors import BadData
from textregion_ros.regions import Profile

PACKAGE = files("textregion_ros.evaluation")
T = TypeVar("T")


@dataclass(frozen=True)
class Layout:
    """Where a data set's files lie below its root, such as "images/{}.jpg".

    {} stands for the sample's name, which may begin with folders.

    samples: "images" or "labels", whichever's files name the samples, or a text file of names.
    """

    samples: str
    image: str
    label: str

    def __post_init__(self) -> None:
        for pattern in (self.image, self.label):
            folder, name, _ = pattern.partition("{}")
            if not name or pattern.count("{}") > 1 or not folder.endswith("/"):
                raise BadData(f"layout: {pattern!r} is not of the form folder/{{}}suffix")


@dataclass(frozen=True)
class Dataset:
    """A semantic data set and the constants it is evaluated with.

    classes: names, each one text or several phrasings. background: texts of the first class,
    background; empty where there is none. label_offset: the value in a label file that means the
    first class, background included. ignore: values that are not counted. rescale, global_views,
    points_per_side: as in a profile. threshold: see `TextRegion.label`.
    """

    title: str
    source: str
    layout: Layout
    classes: tuple[str | tuple[str, ...], ...]
    label_offset: int
    ignore: tuple[int, ...]
    rescale: tuple[int, int]
    points_per_side: int
    background: tuple[str, ...] = ()
    threshold: float = 0.0
    global_views: int = 1

    def __post_init__(self) -> None:
        if not self.classes or not all(self.classes):
            raise BadData("classes: there is none, or one without a name")
        if not 0.0 <= self.threshold <= 1.0:
            raise BadData(f"threshold: {self.threshold} is not within 0..1")

    @property
    def names(self) -> list[str]:
        """One name for each class that is counted, background first where there is one."""
        names = [name if isinstance(name, str) else name[0] for name in self.classes]
        return ["background", *names] if self.background else names


@dataclass(frozen=True)
class Protocol:
    """What a task's published evaluation changes in a profile: values of its parts, by field.

    clip: further values of `encoder`, for profiles of that family only.
    """

    source: str
    proposals: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    sam2: dict[str, Any] = field(default_factory=dict)
    clip: dict[str, Any] = field(default_factory=dict)

    def apply(self, profile: Profile) -> Profile:
        """The profile with the protocol's values. Raises BadProfile where they cannot be."""
        clip = self.clip if profile.encoder.family == "clip" else {}
        return replace(
            profile,
            proposals=replace(profile.proposals, **self.proposals),
            encoder=replace(profile.encoder, **self.encoder, **clip),
            sam2=replace(profile.sam2, **self.sam2) if profile.sam2 else None,
        )


def dataset_names() -> list[str]:
    """The bundled semantic data sets."""
    folder = PACKAGE / "datasets"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_dataset(name: str) -> Dataset:
    """A bundled data set by name, or one of your own by the path of its YAML file.

    Raises BadData where there is none of that name, or the file is malformed.
    """
    path = Path(name)
    if name in dataset_names():
        path = Path(str(PACKAGE / "datasets" / f"{name}.yaml"))
    elif path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise BadData(
            f"no data set {name!r}: give one of {', '.join(dataset_names())}, or a .yaml file"
        )
    return _read(path, Dataset)


def load_protocol(task: str) -> Protocol:
    """The protocol of "semantic", "referring" or "reasoning"."""
    return _read(Path(str(PACKAGE / "protocols" / f"{task}.yaml")), Protocol)


def _read(path: Path, kind: type[T]) -> T:
    hooks = {float: lambda value: float(value) if type(value) is int else value}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise BadData("it is not a mapping")
        config = dacite.Config(strict=True, type_hooks=hooks)
        return dacite.from_dict(kind, _tuples(data), config)
    except (BadData, dacite.DaciteError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: {error}") from error


def _tuples(data: Any) -> Any:
    if isinstance(data, list):
        return tuple(map(_tuples, data))
    if isinstance(data, dict):
        return {key: _tuples(value) for key, value in data.items()}
    return data

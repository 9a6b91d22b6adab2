"""Profiles: a named choice of models and constants, read from YAML and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import dacite
import yaml

from textregion_ros.core.errors import BadProfile, UnknownProfile
from textregion_ros.regions.encoders import FAMILIES
from textregion_ros.regions.proposers import SOURCES
from textregion_ros.regions.settings import Profile

PROFILES = files("textregion_ros.regions") / "profiles"
TABLES = files("textregion_ros.regions.proposers")
"""Where the tables of SAM 2 models lie that several profiles share."""


def profile_names() -> list[str]:
    """Return the names of the bundled profiles."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in PROFILES.iterdir()
        if entry.name.endswith(".yaml")
    )


def load_profile(name: str, sam2: str | None = None) -> Profile:
    """Read a profile.

    Args:
        name: A bundled profile's name, or the path of a YAML file.
        sam2: Size of the SAM 2 to use; None for the profile's choice.

    Raises:
        UnknownProfile: There is no such profile or size.
        BadProfile: The profile cannot be read, or has a wrong value.
    """
    profile = _parse(profile_path(name))
    return profile if sam2 is None else _with_sam2(profile, sam2)


def profile_path(name: str) -> Path:
    """Return the YAML file of a bundled profile by name, or of one by path.

    Raises:
        UnknownProfile: There is no such profile.
    """
    path = Path(name)
    if name in profile_names():
        return Path(str(PROFILES / f"{name}.yaml"))
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise UnknownProfile(
            f"no profile {name!r}: give one of {', '.join(profile_names())}, or a .yaml file"
        )
    return path


def _with_sam2(profile: Profile, size: str) -> Profile:
    choice = profile.sam2
    if choice is None or size not in choice.sizes:
        offered = "none at all" if choice is None else f"only {', '.join(choice.sizes)}"
        raise UnknownProfile(f"profile {profile.name} has no SAM 2 of size {size!r}, {offered}")
    return replace(profile, sam2=replace(choice, use=size))


def _parse(path: Path) -> Profile:
    config = dacite.Config(strict=True, type_hooks={float: _as_float})
    try:
        data = _read(path)
        data = _in_place({"name": path.stem, **data}, path.resolve().parent)
        profile = dacite.from_dict(Profile, data, config)
        _check_choice("proposals.source", profile.proposals.source, SOURCES)
        _check_choice("encoder.family", profile.encoder.family, FAMILIES)
    except (BadProfile, dacite.DaciteError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadProfile(f"profile {path}: {error}") from error
    return profile


def _read(path: Path) -> dict[str, object]:
    """Read a profile's YAML, a shared table of SAM 2 models put in where it is named."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise BadProfile("it is not a mapping")
    sam2 = data.get("sam2")
    if isinstance(sam2, dict) and isinstance(table := sam2.get("sizes"), str):
        data["sam2"] = {**sam2, "sizes": _table(table)}
    return data


def _table(name: str) -> object:
    known = {e.name.removesuffix(".yaml"): e for e in TABLES.iterdir() if e.name.endswith(".yaml")}
    if name not in known:
        raise BadProfile(f"sam2.sizes: no table {name!r}, only {', '.join(sorted(known))}")
    return yaml.safe_load(known[name].read_text(encoding="utf-8"))


def _check_choice(name: str, value: str, known: Mapping[str, object]) -> None:
    if value not in known:
        raise BadProfile(f"{name}: {value!r} is not one of {', '.join(known)}")


def _as_float(value: object) -> object:
    return float(value) if type(value) is int else value


def _in_place(data: dict[str, object], folder: Path) -> dict[str, object]:
    """Return the data with lists as tuples, and with local files as absolute paths."""
    placed = {key: _value_in_place(value, folder) for key, value in data.items()}
    if placed.get("source") == "local" and isinstance(placed.get("file"), str):
        placed["file"] = str(folder / Path(str(placed["file"])).expanduser())
    return placed


def _value_in_place(value: object, folder: Path) -> object:
    if isinstance(value, list):
        return tuple(_value_in_place(item, folder) for item in value)
    return _in_place(value, folder) if isinstance(value, dict) else value

"""Where a model's files come from: bundled, local, or the hub's cache; and that they are intact.

Loading never downloads. `fetch` does, once: into a temporary folder, checked against the hub's own
hash, moved into place whole, and recorded in a lock file which every later load is checked against.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from textregion_ros.regions.errors import CheckpointAltered, CheckpointMissing
from textregion_ros.regions.profile import Asset, Profile

LOCK_NAME = "textregion.lock.json"


def cache_dir() -> Path:
    """Folder of fetched files: $TEXTREGION_CACHE, or textregion under the user's cache folder."""
    named = os.environ.get("TEXTREGION_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textregion"


def path_of(asset: Asset) -> Path:
    """Where the asset's file lies, or would lie."""
    if asset.source == "hub":
        return _repo_dir(asset) / asset.file
    if asset.source == "local":
        return Path(asset.file)
    if asset.source == "bundled":
        return Path(str(files("textregion_ros.models.demo").joinpath(asset.file)))
    # Importing sam2 would initialise Hydra's global state; its place is known without that.
    return Path(find_spec("sam2").submodule_search_locations[0]) / asset.file


def locate(asset: Asset, profile_name: str) -> Path:
    """The asset's file, checked.

    Raises CheckpointMissing where it is not there, CheckpointAltered where its SHA-256 is not the
    profile's or, for a hub file, not the one recorded when it was fetched.
    """
    path = path_of(asset)
    if not path.is_file():
        cure = "restore it or reinstall the package"
        if asset.source == "hub":
            cure = f"run `textregion fetch {profile_name}` on a machine with a network"
        raise CheckpointMissing(f"{path} is missing: {cure}")
    expected = {asset.sha256} if asset.sha256 else set()
    if asset.source == "hub":
        entry = _read_lock(_repo_dir(asset)).get(asset.file)
        if entry is None:
            raise CheckpointMissing(
                f"{path} was not put there by `textregion fetch {profile_name}`: run it"
            )
        expected.add(entry["sha256"])
    if expected and expected != {sha256(path)}:
        raise CheckpointAltered(f"{path} is not the file it should be: its SHA-256 differs")
    return path


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_weights(path: Path) -> dict[str, Tensor]:
    """State dict of a .safetensors or a .pt file (no code is run), floats as float32.

    Raises CheckpointAltered where the file cannot be read as such.
    """
    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, BadZipFile, RuntimeError, EOFError) as error:
        raise CheckpointAltered(f"{path} cannot be read as weights: {error}") from error
    for key in ("model", "state_dict"):
        weights = weights[key] if isinstance(weights.get(key), dict) else weights
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}


def fetch(profile: Profile, endpoint: str | None = None) -> Iterator[tuple[Path, bool]]:
    """Bring the profile's hub files into the cache; yields each path and whether it was new.

    `endpoint`: another hub than the default. Raises CheckpointAltered where what arrived is not
    what the hub or the profile says; the cache is then as it was.
    """
    for asset in profile.assets:
        if asset.source != "hub":
            continue
        try:
            yield locate(asset, profile.name), False
        except (CheckpointMissing, CheckpointAltered):
            yield _fetch_one(asset, endpoint), True


def _fetch_one(asset: Asset, endpoint: str | None) -> Path:
    folder, target = _repo_dir(asset), path_of(asset)
    target.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(asset.repo, asset.file, revision=asset.revision, endpoint=endpoint)
    stated = get_hf_file_metadata(url, endpoint=endpoint)
    staging = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    try:
        revision = stated.commit_hash or asset.revision
        arrived = Path(
            hf_hub_download(
                asset.repo, asset.file, revision=revision, local_dir=staging, endpoint=endpoint
            )
        )
        digest = sha256(arrived)
        if stated.etag not in (digest, _git_blob_sha1(arrived)):
            raise CheckpointAltered(f"{url}: what arrived is not what the hub announced")
        if asset.sha256 not in (None, digest):
            raise CheckpointAltered(f"{url}: its SHA-256 is not the one in the profile")
        arrived.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    entry = {"sha256": digest, "etag": stated.etag, "revision": revision}
    _write_lock(folder, {**_read_lock(folder), asset.file: entry})
    return target


def _repo_dir(asset: Asset) -> Path:
    return cache_dir() / str(asset.repo).replace("/", "--")


def _git_blob_sha1(path: Path) -> str:
    """The hub's ETag of a file that is kept in git itself."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_lock(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / LOCK_NAME
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except json.JSONDecodeError as error:
        raise CheckpointAltered(f"{path} cannot be read: delete it and fetch again") from error


def _write_lock(folder: Path, entries: dict[str, dict[str, str]]) -> None:
    temporary = folder / f".{LOCK_NAME}"
    temporary.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
    temporary.replace(folder / LOCK_NAME)

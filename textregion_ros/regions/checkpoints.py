"""The files of a model: where they are, and whether they are intact.

Loading never downloads. `fetch` does, once: into a partial file that a later run goes on with. What
arrived is checked against the hub's own hash, moved into place whole, and its SHA-256 and commit
are recorded in a lock file. Every later load is checked against that record.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import torch
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from textregion_ros.core.cache import cache_dir
from textregion_ros.core.errors import CheckpointAltered, CheckpointMissing, FetchFailed
from textregion_ros.regions.settings import Asset, Profile

LOCK_NAME = "textregion.lock.json"
COMMIT = re.compile("[0-9a-f]{40}")


def path_of(asset: Asset) -> Path:
    """Return where the asset's file lies, or would lie."""
    if asset.source == "hub":
        return _repo_dir(asset) / asset.file
    if asset.source == "local":
        return Path(asset.file)
    if asset.source == "bundled":
        return Path(str(files("textregion_ros.models.demo").joinpath(asset.file)))
    # Importing sam2 would initialise Hydra's global state; its place is known without that.
    found = find_spec("sam2")
    if found is None or not found.submodule_search_locations:
        raise CheckpointMissing("the Python package sam2 is not installed")
    return Path(found.submodule_search_locations[0]) / asset.file


def locate(asset: Asset, fetch_command: str) -> Path:
    """Return the path of the asset's file, checked.

    Args:
        asset: The file.
        fetch_command: What brings it from the hub, for the error: `Profile.fetch_command`.

    Raises:
        CheckpointMissing: It is not there, or is of another commit than the one pinned.
        CheckpointAltered: Its SHA-256 is not the profile's or, for a hub file, not the one
            recorded when it was fetched.
    """
    path = path_of(asset)
    if not path.is_file():
        cure = "restore it or reinstall the package"
        if asset.source == "hub":
            cure = f"run `{fetch_command}` on a machine with a network"
        raise CheckpointMissing(f"{path} is missing: {cure}")
    expected = {asset.sha256} if asset.sha256 else set()
    if asset.source == "hub":
        entry = _read_lock(_repo_dir(asset)).get(asset.file)
        if entry is None:
            raise CheckpointMissing(f"{path} was not put there by `{fetch_command}`: run it")
        if COMMIT.fullmatch(asset.revision) and entry.get("revision") != asset.revision:
            raise CheckpointMissing(
                f"{path} is of another commit than {asset.revision}: run `{fetch_command}`"
            )
        expected.add(entry["sha256"])
    if expected and expected != {sha256(path)}:
        raise CheckpointAltered(f"{path} is not the file it should be: its SHA-256 differs")
    return path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a .safetensors or a .pt file; no code in it is run.

    Returns:
        Name -> tensor, floats as float32.

    Raises:
        CheckpointAltered: The file cannot be read as such, or holds values that are no numbers.
    """
    try:
        if path.suffix == ".safetensors":
            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, BadZipFile, RuntimeError, EOFError) as error:
        raise CheckpointAltered(f"{path} cannot be read as weights: {error}") from error
    for key in ("model", "state_dict"):
        inner = weights.get(key)
        weights = inner if isinstance(inner, dict) else weights
    check_numbers(weights, path)
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}


def check_numbers(weights: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are numbers: with others every answer would be empty.

    Raises:
        CheckpointAltered: A value is NaN or infinite.
    """
    for name, values in weights.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise CheckpointAltered(f"{path} is damaged: {name} has values that are no numbers")


def fetch(profile: Profile, endpoint: str | None = None) -> Iterator[tuple[Path, bool]]:
    """Bring the profile's hub files into the cache.

    Args:
        profile: Whose files.
        endpoint: Another hub than $HF_ENDPOINT or the default one.

    Yields:
        Each path, and whether it was fetched now.

    Raises:
        FetchFailed: The hub cannot be reached or does not give a file. What had arrived is kept,
            and the next fetch goes on from there.
        CheckpointAltered: What arrived is not what the hub or the profile says. The cache is then
            as it was.
    """
    endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
    for asset in profile.assets:
        if asset.source != "hub":
            continue
        try:
            yield locate(asset, profile.fetch_command), False
        except (CheckpointMissing, CheckpointAltered):
            with _only_fetch(), _hub_errors(asset, profile.fetch_command, endpoint):
                path = _fetch_one(asset, endpoint)
            yield path, True


@contextmanager
def _only_fetch() -> Iterator[None]:
    """Keep other fetches out: two at once would write into one partial file."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(folder / ".fetch.lock", timeout=0.1))
        except TimeoutError as error:
            raise FetchFailed(f"another fetch is filling {folder}: wait for its end") from error
        yield


@contextmanager
def _hub_errors(asset: Asset, fetch_command: str, endpoint: str) -> Iterator[None]:
    """Turn what the hub's client raises into FetchFailed with what to do about it."""
    wanted = f"{asset.repo}/{asset.file}"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise FetchFailed(f"HF_HUB_OFFLINE is set: unset it to fetch {wanted}") from error
    except (EntryNotFoundError, RevisionNotFoundError) as error:
        raise FetchFailed(f"{endpoint} has no {wanted} at {asset.revision}") from error
    except RepositoryNotFoundError as error:
        raise FetchFailed(
            f"{endpoint} gives no {asset.repo}: it does not exist, or it needs its terms accepted "
            "and a token, see `hf auth login`"
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise FetchFailed(f"{endpoint} answered {status} for {wanted}: try later") from error
    except HFValidationError as error:
        raise FetchFailed(f"{wanted} is no file of a hub: {error}") from error
    except HTTPError as error:
        raise FetchFailed(
            f"{endpoint} cannot be reached for {wanted} ({error}): check the network and its "
            "proxy, or name a mirror in HF_ENDPOINT, and run it again: it goes on where it "
            f"stopped. Or run `{fetch_command}` on another machine and copy its "
            f"cache to {cache_dir()}"
        ) from error


def _fetch_one(asset: Asset, endpoint: str) -> Path:
    target, repo = path_of(asset), str(asset.repo)
    url = hf_hub_url(repo, asset.file, revision=asset.revision, endpoint=endpoint)
    stated = get_hf_file_metadata(url, endpoint=endpoint)
    if not (stated.commit_hash and stated.etag):
        raise FetchFailed(f"{url} does not answer as a hub does: is a login page in between?")
    target.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(repo, asset.file, revision=stated.commit_hash, endpoint=endpoint)
    partial = _download(url, stated.etag, stated.size, target)
    digest = sha256(partial)
    if stated.etag not in (digest, _git_blob_sha1(partial)):
        partial.unlink()
        raise CheckpointAltered(f"{url}: what arrived is not what the hub announced")
    if asset.sha256 not in (None, digest):
        partial.unlink()
        raise CheckpointAltered(f"{url}: its SHA-256 is not the one in the profile")
    partial.replace(target)
    entry = {"sha256": digest, "etag": stated.etag, "revision": stated.commit_hash}
    folder = _repo_dir(asset)
    _write_lock(folder, {**_read_lock(folder), asset.file: entry})
    return target


def _download(url: str, etag: str, size: int | None, target: Path) -> Path:
    """Bring the whole file beside its place, going on with what an earlier fetch left there.

    The hub client's own download starts over in every run, which hurts with gigabytes.
    """
    content = hashlib.sha256(etag.encode()).hexdigest()[:16]
    partial = target.with_name(f".{target.name}.{content}.partial")
    for stale in set(target.parent.glob(f".{target.name}.*.partial")) - {partial}:
        stale.unlink()
    with partial.open("ab") as stream:
        done = stream.tell()
        if size is None or done > size:
            done = stream.truncate(0)
        if done != size:
            # As it lies there: of a compressed answer no part could be asked for.
            headers = build_hf_headers() | {"Accept-Encoding": "identity"}
            http_get(url, stream, resume_size=done, headers=headers, displayed_filename=target.name)
    return partial


def _repo_dir(asset: Asset) -> Path:
    return cache_dir() / str(asset.repo).replace("/", "--")


def _git_blob_sha1(path: Path) -> str:
    """Return the hub's ETag of a file that is kept in git itself."""
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

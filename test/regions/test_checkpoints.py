import hashlib
import json
import pickle
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from huggingface_hub.utils import WeakFileLock
from safetensors.torch import save_file

from test.support.hub import COMMIT, hub
from textregion_ros.regions import (
    BadProfile,
    CheckpointAltered,
    CheckpointMissing,
    FetchFailed,
    load_profile,
)
from textregion_ros.regions.checkpoints import (
    LOCK_NAME,
    fetch,
    load_weights,
    locate,
    path_of,
    sha256,
)
from textregion_ros.regions.settings import Asset

HUB = Asset(source="hub", file="weights.pt", repo="someone/model")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    return tmp_path / "cache"


def git_sha1(data):
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@pytest.fixture
def hasty(monkeypatch):
    """The hub's client waits seconds between its attempts, and writes by ten megabytes."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("huggingface_hub.file_download.time", Mock(sleep=lambda _: None))


def left_behind(cache):
    """Every file in the cache but the one that keeps two fetches apart."""
    return sorted(p.name for p in cache.rglob("*") if p.is_file() and p.name != ".fetch.lock")


def profile_with(asset):
    """The clip profile, whose every hub file is `asset`."""
    profile = load_profile("clip")
    models = {"large": replace(profile.sam2.model, checkpoint=asset)}
    return replace(
        profile,
        sam2=replace(profile.sam2, sizes=models),
        encoder=replace(profile.encoder, checkpoint=asset),
    )


def test_fetch_once_then_load_without_a_network(cache):
    data = b"w" * 100_000
    with hub({"weights.pt": data}) as (url, shelf):
        new = list(fetch(profile_with(HUB), endpoint=url))
        assert [fresh for _, fresh in new] == [True, False]
        list(fetch(profile_with(HUB), endpoint=url))
        assert shelf.sent == [(f"/someone/model/resolve/{COMMIT}/weights.pt", None)]
    path = locate(HUB, "clip")
    assert path.read_bytes() == data
    lock = json.loads((path.parent / LOCK_NAME).read_text())
    assert lock["weights.pt"]["sha256"] == sha256(path)
    assert lock["weights.pt"]["revision"] == COMMIT
    assert left_behind(cache) == [LOCK_NAME, "weights.pt"]


def test_a_broken_connection_is_taken_up_again(hasty):
    data = bytes(range(256)) * 4000
    with hub({"weights.pt": data}) as (url, shelf):
        shelf.limit = 700_000
        real = shelf.answer

        def mended(request, body):
            if shelf.sent:
                shelf.limit = len(data)
            real(request, body)

        shelf.answer = mended
        list(fetch(profile_with(HUB), endpoint=url))
    assert [part for _, part in shelf.sent] == [None, "bytes=700000-"]
    assert locate(HUB, "clip").read_bytes() == data


def test_a_fetch_that_was_cut_off_goes_on_where_it_stopped(cache, hasty):
    data = bytes(range(256)) * 4000
    with hub({"weights.pt": data}, limit=300_000) as (url, shelf):
        with pytest.raises(FetchFailed, match="goes on where it stopped"):
            list(fetch(profile_with(HUB), endpoint=url))
        with pytest.raises(CheckpointMissing):
            locate(HUB, "clip")
        assert left_behind(cache) != []
        shelf.limit = float("inf")
        shelf.sent.clear()
        list(fetch(profile_with(HUB), endpoint=url))
    assert [part for _, part in shelf.sent] == ["bytes=300000-"]
    assert locate(HUB, "clip").read_bytes() == data
    assert left_behind(cache) == [LOCK_NAME, "weights.pt"]


def test_what_is_left_of_another_revision_is_not_gone_on_with(cache, hasty):
    with hub({"weights.pt": b"old" * 1000}, limit=2000) as (url, shelf):
        with pytest.raises(FetchFailed):
            list(fetch(profile_with(HUB), endpoint=url))
        shelf.files, shelf.limit = {"weights.pt": b"new" * 1000}, float("inf")
        shelf.sent.clear()
        list(fetch(profile_with(HUB), endpoint=url))
    assert [part for _, part in shelf.sent] == [None]
    assert locate(HUB, "clip").read_bytes() == b"new" * 1000
    assert left_behind(cache) == [LOCK_NAME, "weights.pt"]


def test_a_damaged_rest_is_refused_and_the_next_fetch_is_whole(cache, hasty):
    data = b"w" * 5000
    with hub({"weights.pt": data}, limit=2000) as (url, shelf):
        with pytest.raises(FetchFailed):
            list(fetch(profile_with(HUB), endpoint=url))
        (partial,) = path_of(HUB).parent.glob(".*.partial")
        partial.write_bytes(b"x" * 2000)
        shelf.limit = float("inf")
        with pytest.raises(CheckpointAltered, match="announced"):
            list(fetch(profile_with(HUB), endpoint=url))
        assert left_behind(cache) == []
        list(fetch(profile_with(HUB), endpoint=url))
    assert locate(HUB, "clip").read_bytes() == data


@pytest.mark.parametrize(
    ("refuse", "hint"),
    [
        ((404, "EntryNotFound"), "has no someone/model/weights.pt at main"),
        ((404, "RevisionNotFound"), "has no someone/model/weights.pt at main"),
        ((401, "RepoNotFound"), "hf auth login"),
        ((403, "GatedRepo"), "hf auth login"),
        ((418, ""), "answered 418"),
    ],
)
def test_a_hub_that_does_not_give_a_file(cache, refuse, hint):
    with (
        hub({"weights.pt": b""}, refuse=refuse) as (url, _),
        pytest.raises(FetchFailed, match=hint),
    ):
        list(fetch(profile_with(HUB), endpoint=url))
    assert left_behind(cache) == []


def test_a_login_page_is_not_taken_for_a_hub(cache):
    with (
        hub({"weights.pt": b"<html>"}, headers=False) as (url, _),
        pytest.raises(FetchFailed, match="login page"),
    ):
        list(fetch(profile_with(HUB), endpoint=url))
    assert left_behind(cache) == []


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://nowhere.invalid", "nonsense"])
def test_a_hub_that_cannot_be_reached(cache, endpoint):
    with pytest.raises(FetchFailed, match="HF_ENDPOINT") as caught:
        list(fetch(profile_with(HUB), endpoint=endpoint))
    assert "textregion fetch clip" in str(caught.value)
    assert left_behind(cache) == []


def test_fetching_while_offline_is_wanted(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FetchFailed, match="HF_HUB_OFFLINE"):
        list(fetch(profile_with(HUB), endpoint="http://127.0.0.1:9"))


def test_two_fetches_at_once_are_kept_apart(cache):
    cache.mkdir()
    with WeakFileLock(cache / ".fetch.lock"), pytest.raises(FetchFailed, match="another fetch"):
        list(fetch(profile_with(HUB), endpoint="http://127.0.0.1:9"))


def test_files_kept_in_git_are_checked_by_their_blob_hash():
    with hub({"weights.pt": b"{}"}, etag=git_sha1) as (url, _):
        list(fetch(profile_with(HUB), endpoint=url))
    assert locate(HUB, "clip").read_bytes() == b"{}"


def test_what_the_hub_did_not_announce_is_not_kept(cache):
    with (
        hub({"weights.pt": b"evil"}, etag=lambda _: "0" * 64) as (url, _),
        pytest.raises(CheckpointAltered, match="announced"),
    ):
        list(fetch(profile_with(HUB), endpoint=url))
    assert left_behind(cache) == []
    with pytest.raises(CheckpointMissing):
        locate(HUB, "clip")


def test_what_the_profile_does_not_pin_is_not_kept():
    pinned = replace(HUB, sha256="1" * 64)
    with (
        hub({"weights.pt": b"other"}) as (url, _),
        pytest.raises(CheckpointAltered, match="profile"),
    ):
        list(fetch(profile_with(pinned), endpoint=url))
    assert not path_of(HUB).exists()


def test_a_file_of_another_commit_than_the_pinned_one_is_fetched_again():
    pinned = replace(HUB, revision=COMMIT)
    with hub({"weights.pt": b"good"}) as (url, shelf):
        list(fetch(profile_with(pinned), endpoint=url))
        assert locate(pinned, "").read_bytes() == b"good"
        lock = path_of(HUB).parent / LOCK_NAME
        lock.write_text(lock.read_text().replace(COMMIT, "f" * 40))
        with pytest.raises(CheckpointMissing, match="another commit than 0123"):
            locate(pinned, "textregion fetch clip")
        assert locate(HUB, "").is_file()  # a branch is no pin
        shelf.sent.clear()
        list(fetch(profile_with(pinned), endpoint=url))
        assert len(shelf.sent) == 1
    assert locate(pinned, "").is_file()


def test_an_altered_file_is_refused_and_fetched_again():
    with hub({"weights.pt": b"good"}) as (url, _):
        list(fetch(profile_with(HUB), endpoint=url))
        path_of(HUB).write_bytes(b"gone bad")
        with pytest.raises(CheckpointAltered, match="SHA-256"):
            locate(HUB, "clip")
        list(fetch(profile_with(HUB), endpoint=url))
    assert locate(HUB, "clip").read_bytes() == b"good"


def test_a_missing_file_names_the_command():
    with pytest.raises(CheckpointMissing, match="textregion fetch siglip2 --sam2 tiny"):
        locate(HUB, load_profile("siglip2", sam2="tiny").fetch_command)


def test_a_file_put_there_by_hand_is_not_trusted():
    path = path_of(HUB)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whatever")
    with pytest.raises(CheckpointMissing, match="textregion fetch clip"):
        locate(HUB, "textregion fetch clip")


OUTSIDE = [
    {"source": "hub", "repo": "someone/model", "file": "../../x"},
    {"source": "hub", "repo": "someone/model", "file": "a/../../../x"},
    {"source": "hub", "repo": "someone/model", "file": "..\\..\\x"},
    {"source": "hub", "repo": "someone/model", "file": "."},
    {"source": "hub", "repo": "someone/model", "file": ""},
    {"source": "hub", "repo": "..", "file": "x"},
    {"source": "hub", "repo": "../model", "file": "x"},
    {"source": "hub", "repo": "a/b/c", "file": "x"},
    {"source": "bundled", "file": "../../../x"},
    {"source": "sam2", "file": "../x"},
    {"source": "sam2", "file": "/etc/passwd"},
]


@pytest.mark.parametrize("asset", OUTSIDE, ids=str)
def test_a_file_outside_of_its_source_is_refused(asset):
    with pytest.raises(BadProfile):
        Asset(**asset)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"good": torch.ones(2), "bad": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(CheckpointAltered, match=r"w\.safetensors is damaged: bad"):
        load_weights(path)


def test_a_pinned_local_file(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"abc")
    good = Asset(source="local", file=str(path), sha256=hashlib.sha256(b"abc").hexdigest())
    assert locate(good, "mine") == path
    with pytest.raises(CheckpointAltered):
        locate(replace(good, sha256="0" * 64), "mine")
    path.unlink()
    with pytest.raises(CheckpointMissing, match=r"weights\.pt"):
        locate(good, "mine")


def test_bundled_and_sam2_files_are_found():
    assert locate(Asset(source="bundled", file="sam2.yaml"), "demo").is_file()
    tiny = Asset(source="sam2", file="configs/sam2.1/sam2.1_hiera_t.yaml")
    assert locate(tiny, "clip").is_file()


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w}])
def test_weights_of_any_wrapping_come_as_float32(tmp_path, wrap):
    weights = {"a": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    torch.save(wrap(weights), tmp_path / "w.pt")
    loaded = load_weights(tmp_path / "w.pt")
    assert loaded["a"].dtype == torch.float32
    assert loaded["n"].dtype == torch.int64
    save_file(weights, tmp_path / "w.safetensors")
    torch.testing.assert_close(load_weights(tmp_path / "w.safetensors"), loaded)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code from a checkpoint was run",))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("data", [b"", b"not weights", pickle.dumps(Bomb())])
def test_what_is_not_weights_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointAltered, match="cannot be read"):
        load_weights(tmp_path / name)

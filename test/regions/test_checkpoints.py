"""Fetching is tried against a hub of our own: a small HTTP server with a hub's headers."""

import hashlib
import json
import pickle
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file

from textregion_ros.regions import CheckpointAltered, CheckpointMissing, load_profile
from textregion_ros.regions.checkpoints import (
    LOCK_NAME,
    cache_dir,
    fetch,
    load_weights,
    locate,
    path_of,
    sha256,
)
from textregion_ros.regions.profile import Asset

HUB = Asset(source="hub", file="weights.pt", repo="someone/model")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    return tmp_path / "cache"


def git_sha1(data):
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@contextmanager
def hub(files, etag=lambda data: hashlib.sha256(data).hexdigest()):
    """Serves {path: bytes} of one revision and counts what was sent."""
    sent = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self, body=False):
            data = next((d for name, d in files.items() if self.path.endswith(name)), None)
            self.send_response(200 if data is not None else 404)
            if data is not None:
                self.send_header("ETag", f'"{etag(data)}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
            self.end_headers()
            if body and data is not None:
                sent.append(self.path)
                self.wfile.write(data)

        def do_GET(self):
            self.do_HEAD(body=True)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
    with hub({"weights.pt": data}) as (url, sent):
        new = list(fetch(profile_with(HUB), endpoint=url))
        assert [fresh for _, fresh in new] == [True, False]
        assert len(sent) == 1
        list(fetch(profile_with(HUB), endpoint=url))
        assert len(sent) == 1
    path = locate(HUB, "clip")
    assert path.read_bytes() == data
    lock = json.loads((path.parent / LOCK_NAME).read_text())
    assert lock["weights.pt"]["sha256"] == sha256(path)
    assert lock["weights.pt"]["revision"] == COMMIT
    assert sorted(entry.name for entry in path.parent.iterdir()) == [LOCK_NAME, "weights.pt"]


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
    assert not list(path_of(HUB).parent.iterdir())
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


def test_an_altered_file_is_refused_and_fetched_again():
    with hub({"weights.pt": b"good"}) as (url, _):
        list(fetch(profile_with(HUB), endpoint=url))
        path_of(HUB).write_bytes(b"gone bad")
        with pytest.raises(CheckpointAltered, match="SHA-256"):
            locate(HUB, "clip")
        list(fetch(profile_with(HUB), endpoint=url))
    assert locate(HUB, "clip").read_bytes() == b"good"


def test_a_missing_file_names_the_command():
    with pytest.raises(CheckpointMissing, match="textregion fetch siglip2"):
        locate(HUB, "siglip2")


def test_a_file_put_there_by_hand_is_not_trusted():
    path = path_of(HUB)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whatever")
    with pytest.raises(CheckpointMissing, match="textregion fetch clip"):
        locate(HUB, "clip")


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


def test_the_cache_folder(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("TEXTREGION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "textregion"


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

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from test.support.hub import hub
from textregion_ros.app.cli import app


@pytest.fixture
def hub_profile(profile_file, tmp_path):
    """The small profile, but with its weights at a hub; its path, and what the hub must have."""
    data = yaml.safe_load(profile_file.read_text())
    data["encoder"]["config"]["file"] = str(profile_file.parent / "clip.json")
    small = data["sam2"]["sizes"]["small"]
    small["config"]["file"] = str(profile_file.parent / "sam2.yaml")
    small["checkpoint"] = {"source": "hub", "repo": "someone/sam2", "file": "sam2.pt"}
    clip = {"source": "hub", "repo": "someone/clip", "file": "clip.safetensors"}
    data["encoder"]["checkpoint"] = clip
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(data))
    names = ("clip.safetensors", "sam2.pt")
    return path, {name: (profile_file.parent / name).read_bytes() for name in names}


def test_the_command_fetches_and_asking_uses_no_network(hub_profile, tmp_path, monkeypatch):
    path, files = hub_profile
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    picture = tmp_path / "picture.png"
    Image.new("RGB", (64, 48), (200, 30, 30)).save(picture)
    with hub(files) as (url, _):
        monkeypatch.setenv("HF_ENDPOINT", f"{url}/")
        done = CliRunner().invoke(app, ["fetch", str(path)])
        assert done.stdout.count("fetched: ") == 2, done.stderr
        assert CliRunner().invoke(app, ["fetch", str(path)]).stdout.count("there already: ") == 2
    used = []
    for name in ("socket.socket.connect", "socket.socket.connect_ex", "socket.getaddrinfo"):
        monkeypatch.setattr(name, lambda *arguments, name=name: used.append(name))
    asked = CliRunner().invoke(app, ["ask", str(picture), "mug", "--profile", str(path)])
    assert asked.exit_code == 0, asked.stderr
    assert "regions in" in asked.stdout
    assert used == []

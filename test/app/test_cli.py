import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from test.support.answers import grounding_of, region_of
from textregion_ros.app import cli
from textregion_ros.core.errors import BadImage
from textregion_ros.core.results import Grounding, Part
from textregion_ros.regions import load_profile, profile_names


@pytest.fixture
def picture(tmp_path):
    """A picture file: a red square on grey."""
    pixels = np.full((120, 160, 3), 128, np.uint8)
    pixels[40:80, 60:100] = (200, 30, 30)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


def run(*arguments):
    """Run the command; whatever it is given, it must not end in a traceback."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def refused(*arguments):
    """Run a command that must be refused in one line, and return the line."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("textregion: ")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_not_found_is_an_answer(picture, tmp_path):
    out = tmp_path / "out.png"
    result = run("ask", picture, "red cube", "green[/] hammer", "--threshold", "1", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "red cube" in result.stdout
    assert "green[/] hammer" in result.stdout
    assert "yes" not in result.stdout
    drawn, before = np.array(Image.open(out)), np.array(Image.open(picture))
    assert (drawn != before).any()  # the two texts, not found, are written on it
    assert np.array_equal(drawn[:60], before[:60])


def test_the_best_region_is_not_said_to_be_found_where_it_scores_too_little(picture):
    result = run("ask", picture, "purple banana", "--threshold", "0")
    assert result.exit_code == 0, result.stderr
    assert "yes" not in result.stdout
    assert "best: the best region, under the demo profile's threshold of" in result.stdout
    assert "best:" not in run("ask", picture, "purple banana").stdout


def grounding(found, score, unknown=()):
    return Grounding("a unicorn", found, score, unknown=unknown)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (grounding(True, 0.12), "best"),
        (grounding(True, 0.5), "yes"),
        (grounding(True, 0.9), "yes"),
        (grounding(False, 0.12), "no"),
        (grounding(False, 0.9), "no"),  # under a threshold of one's own
    ],
)
def test_a_verdict_is_by_the_profile_s_threshold(answer, verdict):
    assert cli.verdict(answer, 0.5) == verdict


def test_words_that_the_profile_does_not_know_are_said():
    profile = load_profile("demo")
    answers = [grounding(False, 0, ("unicorn",)), grounding(False, 0, ("unicorn", "grin\x1b[2J"))]
    (line,) = cli.remarks(answers, profile)
    assert line == "the demo profile does not know: unicorn, grin\\x1b[2J"
    assert cli.remarks([grounding(False, 0.1)], profile) == []


def test_a_bundled_profile_by_its_file_and_negatives(picture):
    profile = Path(cli.__file__).parents[1] / "regions" / "profiles" / "demo.yaml"
    options = ["--profile", profile, "--negative", "table", "--negative", "wall", "--top-k", "0"]
    assert run("ask", picture, "red cube", *options, "--threshold", "0").exit_code == 0


@pytest.mark.parametrize("text", ["", "   ", "mug " * 200])
def test_a_text_that_cannot_be_asked(picture, text):
    assert "text" in refused("ask", picture, text)


@pytest.mark.parametrize("option", [("--threshold", "1.5"), ("--top-k", "-1")])
def test_options_out_of_range(picture, option):
    assert option[1] in refused("ask", picture, "red mug", *option)


@pytest.mark.parametrize("profile", ["nonesuch", "nonesuch.yaml", ""])
@pytest.mark.parametrize("command", [("fetch",), ("ask", "PICTURE", "red mug", "--profile")])
def test_an_unknown_profile(picture, command, profile):
    arguments = [picture if argument == "PICTURE" else argument for argument in command]
    said = refused(*arguments, profile)
    assert all(name in said for name in profile_names())


def test_an_unknown_sam2_size(picture):
    assert "huge" in refused("ask", picture, "red mug", "--sam2", "huge")


def test_an_unknown_device(picture):
    assert "abacus" in refused("ask", picture, "red mug", "--device", "abacus")


def test_weights_that_were_never_fetched(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path / "cache"))
    assert "textregion fetch clip" in refused("ask", picture, "red mug", "--profile", "clip")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_a_file_that_is_no_picture(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    assert "broken.png" in refused("ask", path, "red mug")


def test_a_picture_that_was_cut_off(picture):
    picture.write_bytes(picture.read_bytes()[:-40])
    assert "picture.png" in refused("ask", picture, "red mug")


def test_a_file_or_folder_instead_of_a_picture(tmp_path):
    assert "no file" in refused("ask", tmp_path / "missing.png", "red mug")
    assert "no file" in refused("ask", tmp_path, "red mug")


@pytest.mark.parametrize("name", ["out.txt", "out", "nowhere/out.png"])
def test_a_place_that_cannot_be_written(picture, tmp_path, name):
    assert "--out" in refused("ask", picture, "red mug", "--out", tmp_path / name)


@pytest.mark.parametrize("arguments", [["ask"], ["ask", "picture.png"], ["dance"], ["fetch"]])
def test_wrong_usage(arguments):
    assert run(*arguments).exit_code == 2


def test_profiles_lists_every_profile():
    result = run("profiles")
    assert result.exit_code == 0
    assert all(re.search(rf"\b{name}\b", result.stdout) for name in profile_names())


def test_the_demo_profile_fetches_nothing():
    result = run("fetch", "demo")
    assert result.exit_code == 0
    assert "nothing" in result.stdout


def test_a_hub_that_cannot_be_reached_is_one_line_that_helps(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTREGION_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    said = refused("fetch", "clip")
    assert "http://127.0.0.1:9 cannot be reached" in said
    assert all(hint in said for hint in ("proxy", "HF_ENDPOINT", str(tmp_path)))


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
        ("L", 99, (99, 99, 99)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 257 * 99, (99, 99, 99)),
    ],
)
def test_kinds_of_pictures(tmp_path, mode, value, expected):
    path = tmp_path / "picture.png"
    Image.new(mode, (7, 5), value).save(path)
    rgb = cli.read_image(path)
    assert (rgb.shape, rgb.dtype) == ((5, 7, 3), np.uint8)
    assert (rgb == expected).all()


def test_a_picture_of_a_turned_camera_is_read_upright(tmp_path):
    path = tmp_path / "turned.jpg"
    picture = Image.new("RGB", (30, 20))
    exif = picture.getexif()
    exif[0x0112] = 6  # taken with the camera turned by a quarter
    picture.save(path, exif=exif)
    assert cli.read_image(path).shape == (30, 20, 3)


def test_a_picture_too_large_to_be_one(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("RGB", (64, 64)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadImage, match=r"bomb\.png"):
        cli.read_image(path)


def test_how_a_text_was_read_is_said():
    parts = (Part("mug", 0.9), Part("left of", 1.0, flat=True), Part("red ball", 0.8))
    mug = region_of((1, 2, 3, 4))
    read = replace(
        grounding_of("the mug left of the red ball", mug, mug),
        reading="mug · left of · red ball",
        parts=parts,
        ambiguous=True,
    )
    lines = list(cli.explanation(read))
    assert lines[0].startswith("the mug left of the red ball: read as mug · left of · red ball")
    assert lines[1:] == [
        "  ambiguous: 2 regions fit as well",
        "  measured in the picture, for want of depth",
    ]
    absent = replace(grounding_of("the mug on the tray"), reading="mug · on · tray", missing="tray")
    assert list(cli.explanation(absent))[1:] == ["  not found, since there is no tray"]
    assert list(cli.explanation(grounding_of("red mug", mug))) == []

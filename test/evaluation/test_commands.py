"""The commands as a user gives them, with small untrained models."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from test.support.layouts import write_detections, write_reason_seg, write_reclip, write_semantic
from textregion_ros.app.cli import app
from textregion_ros.evaluation.protocol import load_dataset


def run(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def refused(*arguments):
    """What a command says that must be refused in one line."""
    result = run(*arguments)
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("textregion: ")
    return line


def summary(folder):
    return json.loads((folder / "results.json").read_text())["summary"]


@pytest.fixture(scope="session")
def quick_profile(profile_file):
    """The small profile with one prompt for a text, not 80."""
    data = yaml.safe_load(profile_file.read_text())
    path = profile_file.with_name("quick.yaml")
    path.write_text(yaml.safe_dump({**data, "templates": ["a photo of {}."]}))
    return path


SMALL = """
title: Three things
source: these tests
layout:
  samples: ImageSets/Segmentation/val.txt
  image: "JPEGImages/{}.jpg"
  label: "SegmentationClass/{}.png"
label_offset: 0
ignore: [255]
rescale: [192, 96]
points_per_side: 4
threshold: 0.3
background: [wall, floor]
classes: [[mug, cup], bowl, plate]
"""


@pytest.fixture
def small(tmp_path):
    """A data set small enough to be run several times: its YAML file, and its root."""
    path, root = tmp_path / "small.yaml", tmp_path / "small"
    path.write_text(SMALL)
    write_semantic(load_dataset(str(path)), root, count=3)
    return path, root


def semantic(small, quick_profile, *more):
    path, root = small
    return ("semantic", "--dataset", path, "--root", root, "--profile", quick_profile, *more)


def test_semantic_in_shards(small, tmp_path, quick_profile):
    result = run(*semantic(small, quick_profile, "--out", tmp_path / "whole"))
    assert result.exit_code == 0, result.output
    assert "mIoU" in result.stdout
    found = summary(tmp_path / "whole")
    assert found["pixels"] == 3 * 44 * 96  # four rows of each are not counted
    assert len(found["classes"]) == 4
    assert 0 <= found["miou"] <= 1
    parts = [tmp_path / f"part{number}" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        result = run(*semantic(small, quick_profile, "--out", part, "--shard", f"{number}/2"))
        assert "merge" in result.stdout
        assert not (part / "results.json").exists()
    assert run("merge", *parts, "--out", tmp_path / "merged").exit_code == 0
    for name in ("results.json", "results.md"):
        merged, whole = (tmp_path / folder / name for folder in ("merged", "whole"))
        assert merged.read_bytes() == whole.read_bytes()
    small[0].write_text(SMALL.replace("0.3", "0.4"))
    said = refused(*semantic(small, quick_profile, "--out", tmp_path / "whole"))
    assert "its threshold is 0.3, not 0.4" in said


def test_damage_is_one_line_or_a_counted_skip(small, tmp_path, quick_profile):
    (small[1] / "JPEGImages" / "2007_000001.jpg").write_bytes(b"")
    out = tmp_path / "out"
    assert "2007_000001.jpg" in refused(*semantic(small, quick_profile, "--out", out))
    result = run(*semantic(small, quick_profile, "--out", out, "--keep-going"))
    assert result.exit_code == 0
    assert "skipped" in result.stdout
    results = json.loads((out / "results.json").read_text())
    assert (results["samples"], list(results["skipped"])) == (2, ["2007_000001"])


def test_referring(tmp_path, quick_profile):
    write_reclip(tmp_path)
    write_detections(tmp_path)
    common = ("referring", "--dataset", "refcoco", "--split", "testA", "--root", tmp_path)
    result = run(*common, "--profile", quick_profile, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = summary(tmp_path / "out")
    assert found["expressions"] == 4
    assert 0 <= found["accuracy"] <= 1
    assert found["snapped_accuracy"] is not None
    records = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    assert len(records) == 2
    assert all(len(answer["box"]) == 4 for answer in json.loads(records[0])["answers"])


def test_reasoning(tmp_path, quick_profile):
    write_reason_seg(tmp_path)
    common = ("reasoning", "--root", tmp_path, "--profile", quick_profile)
    result = run(*common, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = summary(tmp_path / "out")
    assert {name: group["questions"] for name, group in found.items()} == {
        "short": 1,
        "long": 2,
        "overall": 3,
    }
    assert "gIoU" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("semantic", "--dataset", "voc22"), "voc21"),
        (("semantic", "--dataset", "voc21", "--root", "nowhere"), "nowhere"),
        (("semantic", "--dataset", "voc21", "--shard", "3/2"), "3/2"),
        (("referring", "--dataset", "refcoco", "--split", "val"), "refcoco_val.jsonl"),
        (("reasoning",), "no folder test"),
        (("merge", "nowhere"), "nowhere"),
    ],
)
def test_refusals_in_one_line(tmp_path, arguments, said):
    root = () if "--root" in arguments or "merge" in arguments else ("--root", tmp_path)
    profile = () if "merge" in arguments else ("--profile", "demo")
    assert said in refused(*arguments, *root, *profile, "--out", tmp_path / "out")


def test_an_unknown_referring_set_is_wrong_usage(tmp_path):
    options = ("--dataset", "refclef", "--split", "val", "--root", tmp_path, "--out", tmp_path)
    assert run("referring", *options).exit_code == 2

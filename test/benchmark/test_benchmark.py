import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmark import __main__ as benchmark
from benchmark import compare, masks, naive, page, stages, sweeps, tokens
from benchmark.machine import default_name, describe_machine
from benchmark.measure import measure
from benchmark.table import Row, read, write, write_machine
from benchmark.workload import scene_candidates, sentences
from textregion_ros.regions.encoders import AttentionPoolTower, ClipTower
from textregion_ros.regions.tokens import region_tokens


@pytest.fixture(scope="module")
def rows(model):
    return stages.measure_stages(model, [(160, 120)], repeats=2)


def figures(rows):
    return {row.stage: row for row in rows}


def test_the_stages_add_up_to_the_encoding(rows):
    found = figures(rows)
    parts = [row.median_ms for name, row in found.items() if name in page.STAGES[:8]]
    assert len(parts) == 8
    assert found["encode"].median_ms == pytest.approx(sum(parts), rel=0.5)


def test_every_figure_is_a_positive_median_within_its_spread(rows):
    for row in rows:
        assert 0 < row.q1_ms <= row.median_ms <= row.q3_ms
        assert row.peak_mib is None or row.peak_mib >= 0
    assert {"text", "score"} <= figures(rows).keys()


def test_peak_memory_is_what_a_call_holds_at_most():
    def hold():
        first = np.ones(4_000_000)  # 30.5 MiB
        second = first + 1  # as much again
        del first
        return float(second[0])

    peak = measure(hold, 2).peak_mib
    assert peak is None or peak == pytest.approx(61.0, abs=8.0)


@pytest.mark.parametrize("family", ["clip", "siglip2"])
def test_the_naive_tokens_are_the_library_s(family, model):
    tower = model.encoder.tower if family == "clip" else attention_pool()
    assert isinstance(tower, ClipTower) == (family == "clip")
    width = 64
    torch.manual_seed(3)
    values, soft = torch.randn(40, width), torch.rand(6, 40) * (torch.rand(6, 40) > 0.6)
    inputs = (tower, values, soft, 0.0, family == "clip")
    with torch.inference_mode():
        (ours, kept), (theirs, same) = region_tokens(*inputs), naive.region_tokens(*inputs)
    assert kept.tolist() == same.tolist() != []
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def attention_pool():
    from types import SimpleNamespace

    from timm.models.vision_transformer import VisionTransformer

    trunk = VisionTransformer(64, 16, embed_dim=64, depth=1, num_heads=4, class_token=False,
                              global_pool="map", num_classes=0)  # fmt: skip
    return AttentionPoolTower(SimpleNamespace(trunk=trunk)).eval()


def test_the_naive_masks_are_the_library_s(monkeypatch):
    monkeypatch.setattr(masks, "WIDTH", 160)
    monkeypatch.setattr(masks, "HEIGHT", 120)
    monkeypatch.setattr(masks, "rescaled_size", lambda *_sizes: (120, 160))
    monkeypatch.setattr(masks, "scene_candidates", lambda _points, _side: scene_candidates(6, 64))
    found = figures(masks.compare_with_naive(1, "cpu"))
    assert found["fuse difference"].value == 0
    assert found["sample difference"].value < 2e-3
    assert found["fuse only"].regions < found["fuse only"].tokens


def test_scores_are_measured_over_regions_and_sentences(model, monkeypatch):
    monkeypatch.setattr(sweeps, "REGIONS", (3, 5, 7))
    monkeypatch.setattr(sweeps, "TEXTS", (1, 2))
    monkeypatch.setattr(sweeps, "SIZES", ((32, 24),))
    found = list(sweeps.measure_sweeps(model, 1))
    scores = [(row.regions, row.texts) for row in found if row.stage == "score"]
    assert scores == [(r, t) for r in (3, 5, 7) for t in (1, 2)]
    assert {row.stage for row in found} > {"shapes in 3D", "masks at full resolution"}


def test_sentences_differ():
    assert len(set(sentences(1000))) == 1000


def test_the_work_of_a_size_is_the_same_each_time():
    one, other = tokens.work(5, 20, "cpu"), tokens.work(5, 20, "cpu")
    torch.testing.assert_close(one, other)


def test_result_files_are_read_back(tmp_path, rows):
    write(tmp_path / "stages.csv", rows)
    again = read(tmp_path)
    assert [(row.stage, row.regions) for row in again] == [(r.stage, r.regions) for r in rows]
    assert again[0].median_ms == pytest.approx(rows[0].median_ms, rel=1e-3)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"other\.csv"):
        read(tmp_path)


def test_the_comparison_prints_ratios_of_the_same_work(tmp_path):
    row = Row("stages", "demo", "encode", width=640, height=480, median_ms=100.0, peak_mib=10.0)
    write(tmp_path / "a.csv", [row, replace(row, stage="text")])
    write(tmp_path / "b.csv", [replace(row, median_ms=250.0, device="cuda", regions=7)])
    app = compare.typer.Typer()
    app.command()(compare.main)
    result = CliRunner().invoke(app, [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert result.exit_code == 0
    assert "2.50" in result.output
    assert "1 figures of the same work; 1 in one of the two only" in result.output
    (line,) = compare.pairs([row], [replace(row, median_ms=5.0)], devices=True)
    assert line[1].median_ms == 5.0
    assert not compare.pairs([row], [replace(row, device="cuda")], devices=True)


def test_a_machine_s_folder_holds_its_parts_and_says_what_it_is(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    monkeypatch.setitem(benchmark.PARTS, "stages", lambda _options: rows)
    app = benchmark.typer.Typer()
    app.command()(benchmark.main)
    result = CliRunner().invoke(app, ["--part", "stages", "--name", "some-machine"])
    assert result.exit_code == 0, result.output
    assert {row.machine for row in read(tmp_path / "some-machine")} == {"some-machine"}
    assert json.loads((tmp_path / "some-machine" / "machine.json").read_text())["cpu"]
    for wrong in (["--part", "nothing"], ["--sizes", "640"], ["--device", "abacus"]):
        assert CliRunner().invoke(app, wrong).exit_code != 0


def test_the_page_s_tables_are_made_from_the_files(rows, tmp_path):
    write(tmp_path / "stages.csv", rows)
    write_machine(tmp_path, describe_machine("cpu"))
    text = page.fill(page.PAGE.read_text(encoding="utf-8"), read(tmp_path), tmp_path)
    assert f"| {page.spread_text(read(tmp_path)[0])} |" in text
    assert page.NOT_MEASURED in text
    page.draw(read(tmp_path), tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000


def test_a_machine_s_name_is_a_plain_file_name():
    machine = {"cpu": "Some(R) CPU @ 2.0GHz", "cores": 2, "gpu": None}
    assert default_name(machine) == "some-r-cpu-2-0ghz-2-cores"

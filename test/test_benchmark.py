import json

import pytest

from benchmark import __main__ as benchmark


@pytest.fixture(scope="module")
def results():
    return benchmark.measure("demo", "cpu", repeats=2)


def test_the_stages_add_up_to_the_encoding(results):
    times = results["encode_ms"]
    stages = [row["median"] for name, row in times.items() if name != "total"]
    assert len(stages) > 5
    assert 0.5 * times["total"]["median"] < sum(stages) < 1.5 * times["total"]["median"]


def test_every_figure_is_a_positive_median_within_its_spread(results):
    for group in ("encode_ms", "query_ms"):
        for row in results[group].values():
            assert 0 < row["q1"] <= row["median"] <= row["q3"]
    assert results["query_ms"]["cached"]["median"] < results["encode_ms"]["total"]["median"]


def test_the_results_are_a_file_that_names_the_machine(results, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    monkeypatch.setattr(benchmark, "measure", lambda *_arguments: results)
    monkeypatch.setattr("sys.argv", ["benchmark", "--name", "some-machine"])
    benchmark.main()
    written = json.loads((tmp_path / "demo-some-machine.json").read_text())
    assert written == json.loads(json.dumps(results))
    assert written["machine"]["cpu"]
    assert written["peak_memory_mib"]["resident"] > 100


def test_a_machine_s_name_is_a_plain_file_name():
    machine = {"cpu": "Some(R) CPU @ 2.0GHz", "cores": 2, "gpu": None}
    assert benchmark.default_name(machine) == "some-r-cpu-2-0ghz-2-cores"

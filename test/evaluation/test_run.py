import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from test.support.examples import examples
from textregion_ros.evaluation.errors import BadData, BadRun
from textregion_ros.evaluation.report import write_results
from textregion_ros.evaluation.run import Header, Shard, execute, merge, read_records
from textregion_ros.regions import BadText

SETTINGS = {"task": "reasoning", "dataset": "d", "interpreted": False, "model": {"profile": "p"}}


def names_of(count):
    return [f"sample {index}" for index in range(count)]


def measure(index):
    """Records whose mean depends on the order of summing: thirds, sevenths…"""
    return {"long": index % 3 == 0, "intersection": index, "union": 2 * index + 3}


def execute_shard(folder, count, shard="1/1", work=measure, settings=SETTINGS, **options):
    names = names_of(count)
    header = Header.of(settings, names, Shard.parse(shard))
    return header, execute(header, names, work, folder, **options)


def result_bytes(folder):
    return [(folder / name).read_bytes() for name in ("results.json", "results.md")]


@examples(12)
@given(count=st.integers(1, 23), shards=st.integers(1, 6), data=st.data())
def test_merged_shards_are_the_whole_run_to_the_last_bit(tmp_path_factory, count, shards, data):
    folder = tmp_path_factory.mktemp("runs")
    whole = folder / "whole"
    write_results(*execute_shard(whole, count), whole)
    parts = [folder / f"part{number}" for number in range(1, shards + 1)]
    for number, part in enumerate(parts, 1):
        execute_shard(part, count, f"{number}/{shards}")
    merged = folder / "merged"
    merged.mkdir()
    write_results(*merge(data.draw(st.permutations(parts))), merged)
    assert result_bytes(merged) == result_bytes(whole)
    summary = json.loads(result_bytes(whole)[0])["summary"]
    ious = [index / (2 * index + 3 + 1e-5) for index in range(count)]
    assert summary["overall"]["giou"] == pytest.approx(sum(ious) / count)


def test_a_run_goes_on_where_it_stopped(tmp_path):
    measured = []

    def breaks(index):
        if index == 3 and 3 not in measured:
            measured.append(3)
            raise KeyboardInterrupt
        measured.append(index)
        return measure(index)

    with pytest.raises(KeyboardInterrupt):
        execute_shard(tmp_path / "run", 6, work=breaks)
    header, records = execute_shard(tmp_path / "run", 6, work=breaks)
    assert measured == [0, 1, 2, 3, 3, 4, 5]
    write_results(header, records, tmp_path / "run")
    write_results(*execute_shard(tmp_path / "whole", 6), tmp_path / "whole")
    assert result_bytes(tmp_path / "run") == result_bytes(tmp_path / "whole")
    execute_shard(tmp_path / "run", 6, work=breaks)
    assert len(measured) == 7  # nothing is left to do


def test_a_line_that_was_cut_off_is_measured_again(tmp_path):
    execute_shard(tmp_path, 4)
    path = tmp_path / "records.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    assert len(read_records(tmp_path)) == 3
    _, records = execute_shard(tmp_path, 4)
    assert len(records) == 4
    assert path.read_bytes() == content


def test_records_that_are_damaged_are_not_guessed(tmp_path):
    execute_shard(tmp_path, 4)
    path = tmp_path / "records.jsonl"
    content = path.read_text()
    for damaged in (content.replace('"index":1,', '"index":', 1), content + content, "[]\n"):
        path.write_text(damaged)
        with pytest.raises(BadRun, match=r"records\.jsonl"):
            execute_shard(tmp_path, 4)


def test_errors_stop_a_run_and_keep_what_was_measured(tmp_path):
    def work(index):
        if index == 2:
            raise BadText("too long")
        return measure(index)

    with pytest.raises(BadData, match="sample 2: too long"):
        execute_shard(tmp_path, 4, work=work)
    assert len(read_records(tmp_path)) == 2


def test_skips_are_counted_and_tried_again(tmp_path):
    healed = []

    def work(index):
        if index in (1, 2) and index not in healed:
            raise BadData(f"file {index}.png is broken") if index == 1 else OSError("no disk")
        return measure(index)

    header, records = execute_shard(tmp_path, 4, work=work, keep_going=True)
    text = write_results(header, records, tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["samples"] == 2
    assert results["skipped"] == {
        "sample 1": "file 1.png is broken",
        "sample 2": "sample 2: no disk",
    }
    assert "2 samples; 2 skipped" in text
    healed.extend([1, 2])
    _, records = execute_shard(tmp_path, 4, work=work)
    assert sorted(record["index"] for record in records) == [0, 1, 2, 3]
    assert not any("skipped" in record for record in records)


def test_a_folder_of_another_run_is_left_alone(tmp_path):
    execute_shard(tmp_path, 4)
    for changed, said in [
        ({**SETTINGS, "dataset": "e"}, r'dataset is "d", not "e"'),
        ({**SETTINGS, "model": {"profile": "q"}}, r'model\.profile is "p", not "q"'),
        ({**SETTINGS, "model": {}}, r'model\.profile is "p", not null'),
    ]:
        with pytest.raises(BadRun, match=said):
            execute_shard(tmp_path, 4, settings=changed)
    with pytest.raises(BadRun, match="samples is 4, not 5"):
        execute_shard(tmp_path, 5)
    with pytest.raises(BadRun, match="holds shard 1/1"):
        execute_shard(tmp_path, 4, "1/2")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(BadRun, match=r"run\.json"):
        execute_shard(tmp_path, 4)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(BadRun, match="not empty"):
        execute_shard(tmp_path, 4)


def test_parts_that_are_no_whole(tmp_path):
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    execute_shard(one, 5, "1/2")
    execute_shard(two, 5, "2/2")
    execute_shard(other, 5, "2/2", settings={**SETTINGS, "dataset": "e"})
    with pytest.raises(BadRun, match="2 of 5 samples are in none"):
        merge([one])
    with pytest.raises(BadRun, match="another part has"):
        merge([one, two, one])
    with pytest.raises(BadRun, match="holds another run: its dataset"):
        merge([one, other])
    with pytest.raises(BadRun, match="nowhere holds no run"):
        merge([one, tmp_path / "nowhere"])


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "1/0", "a/b", "-1/2", "1/2/3", ""])
def test_shards_that_are_none(text):
    with pytest.raises(BadRun, match="such as 2/8"):
        Shard.parse(text)

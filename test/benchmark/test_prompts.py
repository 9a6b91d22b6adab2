import csv
from types import SimpleNamespace

import pytest

from benchmark import prompts
from training.evaluate import Answer, Evaluation


def answer(iou, category="mug", colour="red"):
    return Answer(0, colour, category, 1, 1.0, iou, iou, 0.9, (0, 0, 1, 1))


@pytest.fixture
def table():
    result = Evaluation(
        answers=[answer(0.9), answer(0.2), answer(0.6, "banana", "purple"), answer(0.7)],
        present=[0.9, 0.8],
        absent=[0.1, 0.85],
        encode_s=[0.1, 0.3, 0.2],
    )
    return [
        prompts.tabulate(name, result, rows, 256)
        for name, rows in [("grid", [256]), ("x", [8, 56])]
    ]


def test_a_row_is_what_was_counted(table):
    row = table[1]
    assert (row.right, row.right_held_out, row.auroc) == (75.0, 100.0, 75.0)
    assert (row.rows_mean, row.rows_most, row.rows_share) == (32.0, 56, 12.5)
    assert (row.first_answer_median, row.scenes) == (200.0, 3)
    assert table[0].rows_share == 100.0


def test_the_table_is_written_for_people_and_programs(table, tmp_path, monkeypatch, capsys):
    (tmp_path / "scenes.json").write_text("{}")
    monkeypatch.setattr(prompts, "measure", lambda *_arguments: table)
    arguments = ["--scenes", str(tmp_path), "--out", str(tmp_path / "table")]
    monkeypatch.setattr("sys.argv", ["prompts", *arguments])
    prompts.main()
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["prompts"] for row in rows] == ["grid", "x"]
    assert rows[1]["rows_share"] == "12.5"
    assert (tmp_path / "table.md").read_text() == capsys.readouterr().out
    assert "| x | 3 | 75.0 | 100.0 |" in (tmp_path / "table.md").read_text()


def test_guided_looks_for_each_sentence_by_itself():
    asked = []

    def look_for(scene, texts):
        asked.append((scene, texts))
        return SimpleNamespace(encoded=SimpleNamespace(prompts=len(asked)))

    model = SimpleNamespace(
        encode_for=lambda rgb, texts: "kept",
        look_for=look_for,
        ground=lambda scene, texts, **options: [(scene.encoded.prompts, *texts, options)],
    )
    guided = prompts.Guided(model)
    answers = guided.ground(guided.encode(None), ["a", "b"], top_k=1)
    assert answers == [(1, "a", {"top_k": 1}), (2, "b", {"top_k": 1})]
    assert asked == [("kept", ["a"]), ("kept", ["b"])]
    assert guided.rows == [1, 2]

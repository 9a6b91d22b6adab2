import pytest

from benchmark import language
from benchmark.table import read


@pytest.fixture(scope="module")
def rows():
    return list(language.rows(repeats=20))


def test_every_sentence_is_read_and_resolved_in_time(rows):
    """Three times what is wanted: the machine may be slow, or busy with something else."""
    times = {row.stage: row.q1_ms for row in rows}
    for kind in language.SENTENCES:
        assert 0 < times[f"read: {kind}"] < 3 * 0.3
        assert 0 < times[f"resolve: {kind}"] < 3 * 1.0


def test_what_is_resolved_is_found_among_many(rows):
    assert {row.regions for row in rows if row.stage.startswith("resolve")} == {100}
    scores = language.make_scores()
    assert (scores("mug") >= language.THRESHOLD).sum() == language.FOUND
    assert scores("mug") is scores("mug")


def test_the_figures_are_written(rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(language, "RESULTS", tmp_path)
    monkeypatch.setattr(language, "rows", lambda repeats: rows)
    language.main(repeats=1, name="here")
    written = read(tmp_path / "here" / "language.csv")
    assert [row.stage for row in written] == [row.stage for row in rows]
    assert {row.machine for row in written} == {"here"}
    assert "resolve: between" in capsys.readouterr().out

import json

import numpy as np
import pytest

from test.support.layouts import QUESTIONS, box_mask, polygon, write_reason_seg
from test.support.oracle import SIZE, Oracle
from textregion_ros.evaluation import reasoning
from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.pictures import read_rgb
from textregion_ros.regions import load_profile


@pytest.fixture
def folder(tmp_path):
    return write_reason_seg(tmp_path)


@pytest.fixture
def model(clip_profile):
    return Oracle(reasoning.adapt(clip_profile))


def opened(model, root, answers=None):
    return reasoning.Reasoning(model, "t", *reasoning.list_questions(root, "test"), answers)


def teach(model, folder, texts):
    """a: the right half of the cup and ten columns more; b: all of it; c: nothing."""
    seen = {"a": box_mask(20, 10, 20, 10), "b": box_mask(50, 20, 10, 10)}
    for name, text in texts.items():
        regions = [(seen[name], text)] if name in seen else []
        regions.append((box_mask(0, 40, 96, 8), "background, any other thing"))
        model.teach(read_rgb(folder / f"{name}.jpg"), regions)


def test_end_to_end_with_what_is_not_counted(model, folder):
    teach(model, folder, {name: text for name, (text, _, _) in QUESTIONS.items()})
    task = opened(model, folder.parent)
    assert task.samples == ["a", "b", "c"]
    records = [task.measure(index) for index in range(3)]
    # a: the cup's columns 10…29 less 10…14, which are not counted; seen are 20…39, and a border
    # of a pixel where the soft mask fades.
    assert records[0]["long"] is False
    assert abs(records[0]["intersection"] - 100) <= 10
    assert abs(records[0]["union"] - 250) <= 60
    assert records[2] == {"long": True, "intersection": 0, "union": 0}
    summary = reasoning.summarise(task.settings, records)
    ious = [record["intersection"] / (record["union"] + 1e-5) for record in records[:2]]
    assert ious[1] > 0.6
    assert summary["short"]["giou"] == pytest.approx(ious[0])
    assert summary["long"]["giou"] == pytest.approx((ious[1] + 1) / 2)
    assert summary["overall"]["giou"] == pytest.approx((sum(ious) + 1) / 3)
    shared, union = (sum(r[key] for r in records) for key in ("intersection", "union"))
    assert summary["overall"]["ciou"] == pytest.approx(shared / union)
    assert summary["overall"]["questions"] == 3
    assert reasoning.markdown(task.settings, summary).count("\n") == 5


def test_measures_worked_out_by_hand():
    records = [
        {"long": False, "intersection": 1, "union": 4},
        {"long": False, "intersection": 3, "union": 4},
        {"long": True, "intersection": 0, "union": 0},
    ]
    summary = reasoning.summarise({}, records)
    assert summary["short"]["giou"] == pytest.approx(0.5, abs=1e-5)
    assert summary["short"]["ciou"] == pytest.approx(0.5)
    assert summary["long"]["giou"] == 1.0
    assert summary["overall"]["giou"] == pytest.approx(2 / 3, abs=1e-5)
    assert reasoning.summarise({}, [])["long"] == {"questions": 0, "giou": None, "ciou": None}


def test_answers_of_a_language_model_are_what_is_looked_for(model, folder, tmp_path):
    answers = tmp_path / "answers"
    answers.mkdir()
    for name, answer in {"a": "Red Mug", "b": "The Bowl", "c": "A bird"}.items():
        (answers / f"{name}.json").write_text(json.dumps({"answers": [answer]}))
    teach(model, folder, {"a": "red mug, the cup", "b": "the bowl", "c": "a bird"})
    task = opened(model, tmp_path, answers)
    assert task.settings["interpreted"]
    for index, negation in enumerate(["red mug, the cup", "the bowl", "a bird"]):
        task.measure(index)
        assert f"background, anything but {negation}" in model.encoder.text.known
    assert task.measure(1)["intersection"] > 90
    (answers / "b.json").write_text("{}")
    with pytest.raises(BadData, match=r"b\.json"):
        task.measure(1)
    (answers / "b.json").unlink()
    with pytest.raises(BadData, match=r"b\.json"):
        task.measure(1)


def test_the_smaller_shape_is_drawn_over_the_larger():
    inner, outer = polygon(4, 4, 4, 4, "ignore"), polygon(0, 0, 12, 12)
    for shapes in ([inner, outer], [outer, inner]):
        target = reasoning.draw_target(shapes, SIZE)
        assert (target[4:8, 4:8] == 255).all()
        assert (target == 1).sum() == 144 - 16
    hole = [polygon(0, 0, 12, 12, "Ignore this"), polygon(4, 4, 4, 4)]
    assert (reasoning.draw_target(hole, SIZE) == 1).sum() == 16
    assert not reasoning.draw_target([polygon(0, 0, 12, 12, "flag")], SIZE).any()
    assert not reasoning.draw_target([], SIZE).any()


def test_files_in_an_older_encoding(model, folder):
    path = folder / "a.json"
    data = json.loads(path.read_text())
    data["text"] = ["the café’s cup"]
    path.write_bytes(json.dumps(data, ensure_ascii=False).encode("cp1252"))
    teach(model, folder, {"a": "the café’s cup"})
    task = opened(model, folder.parent)
    assert abs(task.measure(0)["intersection"] - 100) <= 10


def test_the_published_variant():
    profile = reasoning.adapt(load_profile("clip"))
    assert profile.encoder.rescale == (2016, 672)
    assert profile.encoder.normalise_values
    assert not profile.encoder.last_block_mlp
    assert profile.proposals.min_mask_size == 0
    assert profile.sam2.cuda_precision == "float32"


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "{}",
        '{"text": [], "is_sentence": true, "shapes": []}',
        '{"text": "cup", "shapes": []}',
        '{"text": ["cup"], "is_sentence": true, "shapes": [{"label": "target", "points": []}]}',
        '{"text": ["cup"], "is_sentence": true, "shapes": [{"points": [[0, 0], [1, 1]]}]}',
    ],
)
def test_damage_is_named(model, folder, damaged):
    (folder / "b.json").write_text(damaged)
    task = opened(model, folder.parent.parent)
    with pytest.raises(BadData, match=r"b\.json"):
        task.measure(1)


def test_what_is_not_there(model, folder, tmp_path):
    with pytest.raises(BadData, match="no folder val"):
        reasoning.list_questions(tmp_path, "val")
    with pytest.raises(BadData, match="nowhere"):
        opened(model, tmp_path, tmp_path / "nowhere").measure(0)
    (folder / "b.json").unlink()
    task = opened(model, tmp_path)
    with pytest.raises(BadData, match=r"b\.json"):
        task.measure(1)
    for path in folder.glob("*.jpg"):
        path.unlink()
    with pytest.raises(BadData, match=r"no \.jpg"):
        opened(model, tmp_path)


def test_an_unsorted_array_of_points_is_not_drawn_beyond_the_picture():
    far = {"label": "target", "points": [[-50.0, -50.0], [500.0, -50.0], [500.0, 500.0]]}
    assert reasoning.draw_target([far], SIZE).shape == SIZE
    assert np.unique(reasoning.draw_target([far], SIZE)).tolist() == [0, 1]

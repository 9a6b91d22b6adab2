import json
import pickle

import numpy as np
import pytest

from test.support.layouts import (
    BOXES,
    box_mask,
    coco_name,
    write_detections,
    write_reclip,
    write_refer,
)
from test.support.oracle import Oracle
from textregion_ros.evaluation import referring
from textregion_ros.evaluation.errors import BadData
from textregion_ros.evaluation.expressions import load_pictures
from textregion_ros.evaluation.pictures import read_rgb
from textregion_ros.regions import load_profile


@pytest.fixture
def model(clip_profile):
    return Oracle(referring.adapt(clip_profile))


def teach(model, pictures):
    """Image 100: the left object as it is, the right one twelve columns too far left. 101: none."""
    first, second = (read_rgb(picture.path) for picture in pictures)
    speck = box_mask(90, 40, 2, 2)
    left, wrong = box_mask(10, 8, 20, 16), box_mask(48, 20, 24, 12)
    regions = [(left | speck, "left thing"), (left | speck, "the left one"), (wrong, "right thing")]
    model.teach(first, regions)
    model.teach(second, [])


def measured(model, root, images=None, **options):
    pictures, detected = load_pictures(root, "refcoco", "testA", images, **options)
    teach(model, pictures)
    task = referring.Referring(model, "refcoco testA", pictures, detected)
    records = [task.measure(index) for index in range(len(pictures))]
    return task, records, referring.summarise(task.settings, records)


@pytest.mark.parametrize("write", [write_reclip, write_refer])
def test_both_layouts_end_to_end(model, tmp_path, write):
    write(tmp_path)
    write_detections(tmp_path)
    task, records, summary = measured(model, tmp_path)
    assert task.samples == [coco_name(100), coco_name(101)]
    assert model.encoded == 2  # a picture once, whatever is asked about it
    answers = {answer["text"]: answer for answer in records[0]["answers"]}
    assert list(answers) == ["left thing", "the left one", "right thing"]
    # The mask reaches one sample beyond its border where it is resized: 9…30 of 0…95 columns; the
    # last column and row do not count; the speck far off is not part of it.
    x, y, w, h = answers["left thing"]["box"]
    assert abs(x - 10) <= 1
    assert abs(y - 8) <= 1
    assert abs(w - 19) <= 2
    assert abs(h - 15) <= 2
    assert answers["left thing"]["snapped"] == [11, 9, 20, 16]
    assert answers["right thing"]["snapped"] == [60, 21, 24, 12]
    assert not answers["right thing"]["right"]  # 12 of 36 columns are shared
    assert answers["right thing"]["snapped_right"]
    assert records[1]["answers"][0]["box"] is None
    assert summary == {
        "expressions": 4,
        "right": 2,
        "accuracy": 0.5,
        "snapped_right": 3,
        "snapped_accuracy": 0.75,
    }
    assert "| refcoco testA | 4 | 50.00 | 75.00 |" in referring.markdown(task.settings, summary)


def test_without_detections_nothing_is_snapped(model, tmp_path):
    write_refer(tmp_path)
    task, records, summary = measured(model, tmp_path)
    assert "snapped" not in records[0]["answers"][0]
    assert (summary["accuracy"], summary["snapped_accuracy"]) == (0.5, None)
    assert "–" in referring.markdown(task.settings, summary)


def test_detections_as_a_list_and_pictures_elsewhere(model, tmp_path):
    write_reclip(tmp_path)
    (tmp_path / "train2014").rename(tmp_path / "pictures")
    with pytest.raises(BadData, match="--images"):
        load_pictures(tmp_path, "refcoco", "testA")
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([{"image_id": 100, "box": BOXES[2]}]))
    _, records, summary = measured(model, tmp_path, tmp_path / "pictures", detections=path)
    assert records[0]["answers"][2]["snapped"] == BOXES[2]
    assert records[0]["answers"][0]["snapped"] == records[0]["answers"][0]["box"]  # none overlaps
    assert summary["snapped_right"] == 3


def test_the_published_variant():
    for name in ("clip", "siglip2", "pe"):
        profile = referring.adapt(load_profile(name))
        assert profile.encoder.rescale == (2016, 2016)
        assert profile.proposals.mask_size == "rescaled"
        assert profile.encoder.normalise_values == (name == "clip")
        assert profile.encoder.last_block_mlp == (name == "clip")


def test_half_is_not_enough():
    assert not referring.is_right([0, 0, 4, 4], [[0, 0, 4, 8]])
    assert referring.is_right([0, 0, 4, 4.1], [[0, 0, 4, 8]])
    assert referring.is_right([0, 0, 4, 4], [[50, 50, 2, 2], [0, 0, 4, 5]])
    assert not referring.is_right(None, [[0, 0, 4, 8]])


def test_the_first_of_equal_detections_and_none_far_off():
    assert referring.snap([2, 2, 4, 4], [[0, 2, 4, 4], [4, 2, 4, 4]]) == [0, 2, 4, 4]
    assert referring.snap([2, 2, 4, 4], [[50, 2, 4, 4]]) == [2, 2, 4, 4]
    assert referring.snap(None, [[50, 2, 4, 4]]) is None


def test_the_largest_piece_touches_by_corners_too():
    mask = np.zeros((6, 8), bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = True
    mask[5, 5:7] = True
    piece = referring.largest_piece(mask)
    assert piece.sum() == 3
    assert referring.box_of(piece) == [0, 0, 2, 2]
    assert referring.box_of(np.zeros((3, 3), bool)) is None
    assert not referring.largest_piece(np.zeros((3, 3), bool)).any()


def test_the_published_mask_reaches_beyond_the_logits_border():
    logits = np.full((4, 4), -32.0, np.float16)
    logits[1, 1] = 0.5
    # Resized to twice the size, sample 1 is blended into pixels 1 … 4.
    mask = referring.published_mask(logits, (8, 8), (8, 8))
    assert np.argwhere(mask.any(0)).ravel().tolist() == [1, 2, 3, 4]


def test_damage_is_named(tmp_path):
    path = write_reclip(tmp_path)
    lines = path.read_text().splitlines()
    for damaged, said in [
        (lines[1][:40], "testa.jsonl line 2"),
        (lines[1].replace('"anns"', '"boxes"'), "line 2: there is no 'anns'"),
        (lines[1].replace('"ann_id": 2', '"ann_id": 7'), "line 2: none of its anns"),
        (lines[1].replace("[60.0,", "["), "line 2"),
        ("[]", "line 2"),
    ]:
        path.write_text("\n".join([lines[0], damaged, lines[2]]))
        with pytest.raises(BadData, match=said):
            load_pictures(tmp_path, "refcoco", "testA")


def test_refer_files_that_are_missing_or_damaged(tmp_path):
    folder = write_refer(tmp_path)
    with pytest.raises(BadData, match=r"no split testC, only testA, train"):
        load_pictures(tmp_path, "refcoco", "testC")
    with pytest.raises(BadData, match=r"refs\(google\)\.p"):
        load_pictures(tmp_path, "refcoco", "testA", split_by="google")
    with pytest.raises(BadData, match=r"neither refcoco\+_val\.jsonl"):
        load_pictures(tmp_path, "refcoco+", "val")
    refs = folder / "refs(unc).p"
    content = refs.read_bytes()
    refs.write_bytes(content[:-20])
    with pytest.raises(BadData, match=r"refs\(unc\)\.p"):
        load_pictures(tmp_path, "refcoco", "testA")
    refs.write_bytes(content)
    (folder / "instances.json").write_text("{")
    with pytest.raises(BadData, match=r"instances\.json is not JSON"):
        load_pictures(tmp_path, "refcoco", "testA")


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    folder = write_refer(tmp_path)
    (folder / "refs(unc).p").write_bytes(pickle.dumps(np.arange(3)))
    with pytest.raises(BadData, match="plain data"):
        load_pictures(tmp_path, "refcoco", "testA")


def test_a_picture_of_another_size_is_named(model, tmp_path):
    folder = write_refer(tmp_path)
    path = folder / "instances.json"
    path.write_text(path.read_text().replace('"width": 96', '"width": 97'))
    pictures, detected = load_pictures(tmp_path, "refcoco", "testA")
    with pytest.raises(BadData, match=r"000000000100\.jpg is 96×48 px, .* of 97×48 px"):
        referring.Referring(model, "", pictures, detected).measure(0)

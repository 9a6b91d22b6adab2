"""Questions about one's own pictures: read from JSON and CSV, asked, and answers compared."""

import json

import numpy as np
import pytest
from PIL import Image

from textregion_ros.evaluation.questions import observe, read_questions
from textregion_ros.regions import TextRegionError

PHRASES = {
    "pictures": [
        {
            "picture": "a.png",
            "phrases": [
                {"text": "red mug", "boxes": [[10, 20, 30, 40]]},
                {"text": "unicorn", "boxes": [], "kind": "far"},
            ],
        }
    ]
}
CSV = """picture,text,x,y,w,h,mask
a.png,red mug,10,20,30,40,
a.png,red mug,1,2,3,4,
a.png,spoon,,,,,spoon.png
a.png,unicorn,,,,,
"""


@pytest.fixture
def folder(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    mask = np.zeros((96, 128), np.uint8)
    mask[10:50, 10:60] = 255
    Image.fromarray(mask).save(tmp_path / "spoon.png")
    return tmp_path


def test_phrases_are_read_from_json(folder):
    (folder / "phrases.json").write_text(json.dumps(PHRASES))
    (picture,) = read_questions(folder)
    mug, unicorn = picture.questions
    assert picture.path == folder / "a.png"
    assert (mug.text, mug.boxes, mug.present) == ("red mug", ((10, 20, 30, 40),), True)
    assert (unicorn.present, unicorn.kind) == (False, "far")


def test_phrases_are_read_from_csv_several_boxes_to_a_phrase(folder):
    (folder / "phrases.csv").write_text(CSV)
    (picture,) = read_questions(folder)
    mug, spoon, unicorn = picture.questions
    assert len(mug.boxes) == 2
    assert spoon.masks == (folder / "spoon.png",)
    assert not unicorn.present


def test_pictures_may_lie_elsewhere(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("phrases") / "mine.json"
    other.write_text(json.dumps(PHRASES))
    (picture,) = read_questions(other, folder)
    assert picture.path.is_file()


@pytest.mark.parametrize("text", ["", "[1]", '{"pictures": []}', '{"pictures": [{}]}'])
def test_what_cannot_be_read_is_told_with_the_file(folder, text):
    (folder / "phrases.json").write_text(text)
    with pytest.raises(TextRegionError, match=r"phrases\.json"):
        read_questions(folder)


def test_a_folder_without_phrases_is_told(tmp_path):
    with pytest.raises(TextRegionError, match=r"phrases\.json or phrases\.csv"):
        read_questions(tmp_path)


def test_the_best_region_is_right_where_it_fits_box_or_mask(model, folder):
    (folder / "phrases.csv").write_text(CSV)
    (picture,) = read_questions(folder)
    scene = model.encode(np.asarray(Image.open(folder / "a.png")))
    logits = model.logits(scene, ["red mug"])[0]
    x, y, w, h = (int(value) for value in scene.box(logits.argmax()))
    (folder / "phrases.csv").write_text(f"picture,text,x,y,w,h\na.png,red mug,{x},{y},{w},{h}\n")
    (seen,) = observe(model, read_questions(folder))
    assert seen.right
    assert seen.fits
    assert seen.box == (x, y, w, h)
    assert seen.logit == pytest.approx(logits.max(), abs=1e-4)
    absent = [one for one in observe(model, [picture]) if not one.question.present]
    assert [one.right for one in absent] == [False]

"""A floor under the quality of the demo profile, on 24 scenes that no model was trained on."""

from pathlib import Path

import pytest

from training.evaluate import evaluate, read_scenes

# Measured on these scenes: 0.870, 0.902 and 0.955. Floors, so that a change is noticed; the aims
# and the figures on 200 scenes are in training/REPORT.md.
ACCURACY, RECALL, AUROC = 0.83, 0.87, 0.91
SCENES = Path(__file__).parent / "data" / "scenes"


@pytest.fixture(scope="module")
def result(demo_model):
    return evaluate(demo_model, read_scenes(SCENES))


def test_the_scenes_are_what_the_figures_were_measured_on(result):
    assert len(list(SCENES.glob("*_colour.jpg"))) == 24
    assert len(result.answers) > 80
    assert any(answer.held_out for answer in result.answers)


def test_objects_are_found_by_name(result):
    assert result.accuracy() >= ACCURACY


def test_proposals_fit_the_objects(result):
    assert result.recall() >= RECALL


def test_scores_tell_present_from_absent(result):
    assert result.auroc() >= AUROC

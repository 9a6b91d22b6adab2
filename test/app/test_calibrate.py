"""`textregion calibrate`: constants, threshold, the written profile and the plot."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from textregion_ros.app.calibrate import (
    calibrated_yaml,
    fit_observations,
    judge,
    plot_reliability,
    run,
)
from textregion_ros.evaluation.questions import Observation, Question
from textregion_ros.regions import TextRegionError, load_profile

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def observations():
    """Two hundred present things, mostly right and sure; as many absent, unsure."""
    rng = np.random.default_rng(4)
    seen = []
    for present in (True, False):
        for _ in range(200):
            right = present and rng.random() < 0.9
            logit, lead = rng.normal(6 if right else 2, 1.5), rng.exponential(3 if right else 1)
            question = Question("mug", ((0, 0, 4, 4),) if present else ())
            seen.append(Observation(Path("a.png"), question, logit, lead, 0.5, right, present))
    return seen


def test_false_finds_stay_below_the_rate(observations):
    outcome = fit_observations(observations, 0.02)
    assert outcome.false_finds <= 0.02
    assert outcome.found > 0.6
    assert outcome.error < 0.08
    assert outcome.found + outcome.elsewhere + outcome.missed == pytest.approx(1.0)


def test_a_looser_rate_finds_more(observations):
    strict, loose = (fit_observations(observations, rate) for rate in (0.01, 0.1))
    assert loose.threshold < strict.threshold
    assert loose.found >= strict.found


def test_too_few_phrases_are_told(observations):
    with pytest.raises(TextRegionError, match="10 present and 10 absent"):
        fit_observations(observations[:5], 0.02)


def test_the_profile_written_is_read_with_calibration_and_threshold(
    observations, profile_file, tmp_path
):
    outcome = fit_observations(observations, 0.02)
    path = tmp_path / "mine.yaml"
    path.write_text(calibrated_yaml(str(profile_file), outcome))
    profile = load_profile(str(path))
    assert profile.calibration == outcome.calibration
    assert profile.threshold == outcome.threshold
    before = load_profile(str(profile_file))
    assert (profile.assets, profile.name) == (before.assets, before.name)


def test_scores_are_those_of_the_written_constants(observations):
    outcome, scores = judge(observations, fit_observations(observations, 0.02).calibration, 0.5)
    assert scores.shape == (len(observations),)
    assert outcome.threshold == 0.5


def test_the_plot_is_a_picture(observations, tmp_path):
    calibration = fit_observations(observations, 0.02).calibration
    plot_reliability(observations, calibration, tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_out_must_be_a_profile_file(tmp_path):
    with pytest.raises(TextRegionError, match="yaml"):
        run("demo", tmp_path, tmp_path / "out.txt")


def test_the_yaml_holds_plain_values(observations, profile_file):
    data = yaml.safe_load(calibrated_yaml(str(profile_file), fit_observations(observations, 0.02)))
    assert set(data["calibration"]) == {"logit", "margin", "offset"}
    assert isinstance(data["threshold"], float)

"""Scores that are probabilities: order kept, constants found again, thresholds that hold."""

import numpy as np
import pytest

from textregion_ros.regions.calibration import (
    Calibration,
    balance,
    expected_calibration_error,
    fit,
    leads,
    reliability,
    sigmoid,
    threshold_at,
)

APART = np.eye(3)


def test_the_lead_is_over_the_best_other_region():
    np.testing.assert_allclose(leads(np.array([3.0, 1.0, -2.0]), APART), [2.0, -2.0, -5.0])


def test_a_near_duplicate_is_no_rival():
    overlaps = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(leads(np.array([3.0, 2.5, 1.0]), overlaps), [2.0, 1.5, -2.0])


def test_a_lone_region_has_no_lead():
    assert leads(np.array([3.0]), np.eye(1)).tolist() == [0.0]
    assert leads(np.zeros(0), np.zeros((0, 0))).shape == (0,)


def test_scores_keep_the_order_of_the_logits():
    logits = np.random.default_rng(0).normal(size=20)
    scores = Calibration(0.7, 0.3, -0.5).scores(logits, np.eye(20))
    assert scores.dtype == np.float32
    assert (np.argsort(scores) == np.argsort(logits)).all()


def test_the_constants_of_known_odds_are_found_again():
    rng = np.random.default_rng(1)
    logits, lead = rng.normal(0, 2, 20000), rng.exponential(1, 20000)
    right = rng.random(20000) < sigmoid(0.8 * logits + 0.5 * lead - 1.0)
    found = fit(logits, lead, right, np.ones(20000))
    assert (found.logit, found.margin, found.offset) == pytest.approx((0.8, 0.5, -1.0), abs=0.1)
    scores = found.probability(logits, lead)
    assert expected_calibration_error(scores, right) < 0.02


def test_a_lead_that_speaks_against_is_left_out():
    rng = np.random.default_rng(2)
    logits, lead = rng.normal(0, 2, 5000), rng.exponential(1, 5000)
    right = rng.random(5000) < sigmoid(logits - 2.0 * lead)
    assert fit(logits, lead, right, np.ones(5000)).margin == 0.0


def test_half_of_the_weight_lies_on_absent_things():
    present = np.array([True] * 3 + [False] * 9)
    weights = balance(present)
    assert weights[present].sum() == pytest.approx(weights[~present].sum())
    assert weights.mean() == pytest.approx(1.0)


def test_the_threshold_holds_its_rate():
    scores = np.linspace(0, 1, 1001)
    threshold = threshold_at(scores, 0.02)
    assert threshold == pytest.approx(0.99)
    assert (scores >= threshold).mean() <= 0.02
    assert threshold_at(np.ones(10), 0.02) == 1.0


def test_reliability_weighs_each_bin():
    scores, right = np.array([0.1, 0.12, 0.9]), np.array([False, False, True])
    rows = reliability(scores, right, np.ones(3))
    assert [share for _, _, share in rows] == pytest.approx([2 / 3, 1 / 3])
    assert expected_calibration_error(scores, right) == pytest.approx((0.1 + 0.12 + 0.1) / 3)

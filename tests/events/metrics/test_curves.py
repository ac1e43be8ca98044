"""ROC curves against scikit-learn, thinned and with negative weights."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from labwright.events.metrics.auc import auc
from labwright.events.metrics.curves import fpr_at, roc, thinned, tpr_at
from tests.events.metrics.test_auc import sample


@pytest.mark.parametrize("ties", [True, False])
def test_every_point_is_that_of_scikit_learn(ties: bool) -> None:
    score, positive, weight = sample(500, ties=ties)
    curve = roc(score, positive, weight)
    assert curve is not None
    fpr, tpr, _ = roc_curve(positive, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    assert (curve.bent, curve.moved) == (0, 0.0)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(score, positive, weight), abs=1e-12)


def test_a_thinned_curve_draws_the_same_line() -> None:
    score, positive, weight = sample(60_000, ties=False)
    whole = roc(score, positive, weight)
    assert whole is not None
    few = thinned(whole)
    assert len(few.fpr) < 620
    assert (few.fpr[0], few.tpr[0], few.fpr[-1], few.tpr[-1]) == (0, 0, pytest.approx(1), pytest.approx(1))
    assert np.abs(tpr_at(few, whole.fpr) - tpr_at(whole, whole.fpr)).max() < 2 / 400
    assert np.abs(fpr_at(few, whole.tpr) - fpr_at(whole, whole.tpr)).max() < 2 / 400
    # Every point of it is one of the curve, the first few among them.
    assert set(zip(few.fpr.tolist(), few.tpr.tolist(), strict=True)) <= set(zip(whole.fpr.tolist(), whole.tpr.tolist(), strict=True))
    assert np.count_nonzero(few.fpr < 0.01) > 60


def test_where_negative_weights_turn_the_curve_back_it_is_held_and_told() -> None:
    score, positive, weight = sample(400, negative=0.2)
    curve = roc(score, positive, weight)
    assert curve is not None
    for rate in (curve.fpr, curve.tpr):
        assert np.all(np.diff(rate) >= 0)
        assert (rate.min(), rate.max()) == (0, 1)
    assert curve.bent > 0
    assert 0 < curve.moved < 0.2


def test_a_side_without_weight_has_no_curve() -> None:
    score, positive, weight = sample(50)
    assert roc(score, np.ones(50, bool)) is None
    assert roc(score, positive, np.where(positive, 0.0, weight)) is None
    assert roc(score, positive, np.where(positive, weight, -weight)) is None
    assert roc(score[:0], positive[:0]) is None


def test_rates_between_points_follow_the_line() -> None:
    curve = roc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    assert curve is not None
    assert curve.fpr.tolist() == [0, 0, 0.5, 1]
    assert tpr_at(curve, np.array([0.0, 0.25, 0.75])).tolist() == [0.5, 0.75, 1.0]
    assert fpr_at(curve, np.array([0.5, 0.75, 1.0])).tolist() == [0.0, 0.25, 0.5]

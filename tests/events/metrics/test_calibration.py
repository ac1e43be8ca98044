"""Reliability, calibration error and confusion, against scikit-learn and against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from labwright.events.metrics.calibration import confusion, reliability
from tests.events.judging import random

HOW = {"bins": 10, "resamples": 200, "seed": 3}


def test_bins_are_those_of_scikit_learn() -> None:
    p, label = random(5000)
    member = label == 2
    found = reliability(p[:, 2], member, np.ones(5000), **HOW)
    share, said = calibration_curve(member, p[:, 2], n_bins=10)
    known = found.events > 0
    np.testing.assert_allclose(found.found[known], share, atol=1e-12)
    np.testing.assert_allclose(found.said[known], said, atol=1e-12)
    assert found.ece == pytest.approx((np.abs(share - said) * found.events[known]).sum() / 5000)


def test_probabilities_that_are_true_err_by_chance_alone() -> None:
    p, label = random(20_000)
    found = reliability(p[:, 1], label == 1, np.ones(20_000), **HOW)
    assert found.ece < 2 * found.ece_chance
    assert found.ece_chance < 0.01
    assert np.mean((found.low <= found.said) & (found.said <= found.high)) > 0.75


def test_probabilities_that_say_too_much_are_found_out() -> None:
    p, label = random(20_000)
    said = p[:, 1] ** 0.5
    found = reliability(said, label == 1, np.ones(20_000), **HOW)
    assert found.ece == pytest.approx(np.mean(said - p[:, 1]), abs=0.02)
    assert found.ece_low < found.ece < found.ece_high
    assert found.ece_low > 10 * found.ece_chance


def test_weights_make_the_mixture_that_is_judged() -> None:
    p, label = random(30_000)
    member = label == 0
    weight = np.where(member, 3.0, 1.0)
    shifted = 3 * p[:, 0] / (3 * p[:, 0] + 1 - p[:, 0])
    right, wrong = (reliability(said, member, weight, **HOW) for said in (shifted, p[:, 0]))
    assert right.ece < 2 * right.ece_chance
    assert wrong.ece > 0.1


def test_a_whole_weight_is_that_many_events_and_a_negative_one_takes_away() -> None:
    p, label = random(500)
    member = label == 1
    twice = reliability(p[:, 1], member, np.full(500, 2.0), **HOW)
    doubled = reliability(np.repeat(p[:, 1], 2), np.repeat(member, 2), np.ones(1000), **HOW)
    assert twice.ece == pytest.approx(doubled.ece)
    cancelled = (np.append(p[:, 1], [0.31, 0.31]), np.append(member, [True, True]), np.append(np.ones(500), [5.0, -5.0]))
    assert reliability(*cancelled, **HOW).ece == pytest.approx(reliability(p[:, 1], member, np.ones(500), **HOW).ece)


def test_the_interval_is_that_of_resampling_events() -> None:
    p, label = random(3000)
    member = label == 1
    found = reliability(p[:, 1], member, np.ones(3000), **HOW)
    drawn = np.random.default_rng(1)
    again = []
    for _ in range(200):
        rows = drawn.integers(0, 3000, 3000)
        again.append(reliability(p[rows, 1], member[rows], np.ones(3000), bins=10, resamples=2, seed=1).ece)
    low, high = np.quantile(again, (0.025, 0.975))
    assert (found.ece_low, found.ece_high) == (pytest.approx(low, rel=0.25), pytest.approx(high, rel=0.25))


def test_nothing_to_judge_gives_no_numbers() -> None:
    empty = reliability(np.zeros(0), np.zeros(0, bool), np.zeros(0), **HOW)
    assert np.isnan([empty.ece, empty.ece_low, empty.ece_high, empty.ece_chance]).all()
    none = reliability(np.full(3, 0.5), np.array([True, False, True]), np.zeros(3), **HOW)
    assert np.isnan(none.ece)
    assert np.isnan(none.found).all()


def test_the_confusion_is_that_of_scikit_learn() -> None:
    p, label = random(2000)
    weight = np.random.default_rng(1).exponential(size=2000)
    sums, counts = confusion(p, label, weight)
    np.testing.assert_allclose(sums, confusion_matrix(label, p.argmax(axis=1), sample_weight=weight), rtol=1e-12)
    assert np.array_equal(counts, confusion_matrix(label, p.argmax(axis=1)))

"""χ² between two weighted samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray

from labwright.events.metrics.agreement import LEAST_EVENTS, Side, agreements, joined
from labwright.events.metrics.histograms import Histogram, Regular, histogram

AXIS = Regular(10, -2, 2)


def side(values: NDArray[np.float64], weight: NDArray[np.float64]) -> Side:
    return Side(histogram([values], [AXIS], weight), AXIS.place(torch.from_numpy(values)).numpy(), weight)


def samples(seed: int, shift: float = 0.0) -> tuple[Side, Side]:
    """600 data of weight 1, and a model of 1800 events whose weights have both signs."""
    random = np.random.default_rng(seed)
    data, model = random.normal(shift, 1, random.poisson(600)), random.normal(0, 1, random.poisson(1800))
    weight = random.choice([0.5, -0.5], len(model), p=[5 / 6, 1 / 6])
    return side(data, np.ones(len(data))), side(model, weight)


def test_chi_squared_is_that_of_its_formula() -> None:
    data, model = samples(0)
    (found,) = agreements([(data, model)])
    groups = joined(data.filled, model.filled)
    expected = 0.0
    for group in range(groups[-1] + 1):
        mine = groups == group
        difference = (data.filled.sums - model.filled.sums)[mine].sum()
        expected += difference**2 / (data.filled.squares + model.filled.squares)[mine].sum()
    assert found.chi2 == pytest.approx(expected)
    assert found.ndf == groups[-1] + 1
    assert found.p == pytest.approx(scipy.stats.chi2.sf(expected, found.ndf))
    assert np.isnan(found.p_bootstrap)


def test_it_is_near_what_scipy_finds_for_counts() -> None:
    random = np.random.default_rng(5)
    counts = random.normal(0, 1, 50_000), random.normal(0, 1, 50_000)
    (found,) = agreements([(side(counts[0], np.ones(50_000)), side(counts[1], np.ones(50_000)))])
    table = [np.bincount(AXIS.place(torch.from_numpy(values)).numpy(), minlength=12) for values in counts]
    # Both samples are equally large, so that the homogeneity test of scipy is the same statistic.
    assert found.chi2 == pytest.approx(scipy.stats.chi2_contingency(table).statistic, rel=1e-9)


def test_equal_samples_have_p_values_that_are_spread_evenly() -> None:
    found = [agreements([samples(seed)], resamples=40, seed=seed)[0] for seed in range(150)]
    assert scipy.stats.kstest([one.p for one in found], "uniform").pvalue > 1e-3
    assert np.mean([one.p_bootstrap for one in found]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([one.p_bootstrap < 0.1 for one in found]) < 0.25


def test_unequal_samples_are_found() -> None:
    (same,), (other,) = (agreements([samples(1, shift)], resamples=50) for shift in (0.0, 0.5))
    assert other.p < 1e-6 < same.p
    assert other.p_bootstrap == pytest.approx(1 / 51)


def test_bins_are_joined_until_there_are_enough_events() -> None:
    sums = np.array([0, 1, 2, 30, 4, 5, 6, 1, 0, 0, 0, 2.0])
    model = Histogram((AXIS,), sums, sums)
    groups = joined(Histogram((AXIS,), sums, sums), model)
    assert groups.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert np.bincount(groups, sums).min() >= LEAST_EVENTS
    # Data of weight 2 need twice as much of the model.
    heavy = joined(Histogram((AXIS,), 2 * sums, 4 * sums), model)
    assert np.bincount(heavy, sums).min() >= 2 * LEAST_EVENTS


def test_nothing_against_nothing_is_no_error() -> None:
    none = side(np.zeros(0), np.zeros(0))
    (found,) = agreements([(none, none)], resamples=2)
    assert (found.chi2, found.ndf, found.p) == (0, 1, 1)
    assert agreements([]) == []

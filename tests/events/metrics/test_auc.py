"""Areas and intervals against brute force and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from labwright.events.metrics.auc import LEVEL_95, auc, bootstrap, copies, delong

Sample = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]


def sample(events: int = 400, seed: int = 1, *, ties: bool = True, negative: float = 0.0) -> Sample:
    random = np.random.default_rng(seed)
    positive = random.random(events) < 0.4
    score = random.normal(positive * 0.8)
    weight = random.exponential(1.0, events) + 0.05
    weight[random.random(events) < negative] *= -0.5
    return (np.round(score, 1) if ties else score), positive, weight


def pairs(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """ψ of each positive (rows) and each negative (columns)."""
    one, other = score[positive][:, None], score[~positive][None]
    return (one > other) + 0.5 * (one == other)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    events = draw(st.integers(2, 30))
    score = draw(st.lists(st.integers(0, 6), min_size=events, max_size=events))
    positive = [True, False, *draw(st.lists(st.booleans(), min_size=events - 2, max_size=events - 2))]
    weight = draw(st.lists(st.floats(0.01, 10), min_size=events, max_size=events))
    return np.array(score, float), np.array(positive), np.array(weight)


@given(samples())
def test_the_area_is_that_of_all_pairs(given: Sample) -> None:
    score, positive, weight = given
    psi = pairs(score, positive)
    own, other = weight[positive], weight[~positive]
    assert auc(score, positive, weight) == pytest.approx(own @ psi @ other / own.sum() / other.sum(), abs=1e-12)
    assert auc(score, positive) == pytest.approx(psi.mean(), abs=1e-12)


@given(samples())
def test_it_is_the_area_of_scikit_learn(given: Sample) -> None:
    score, positive, weight = given
    assert auc(score, positive, weight) == pytest.approx(roc_auc_score(positive, score, sample_weight=weight), abs=1e-9)


@given(samples())
def test_sides_and_scales_change_what_they_should(given: Sample) -> None:
    score, positive, weight = given
    here = auc(score, positive, weight)
    assert auc(-score, positive, weight) == pytest.approx(1 - here, abs=1e-12)
    assert auc(score, ~positive, weight) == pytest.approx(1 - here, abs=1e-12)
    assert auc(np.exp(score), positive, weight * np.where(positive, 7.0, 0.3)) == pytest.approx(here, abs=1e-12)


@given(samples(), st.integers(1, 4))
def test_a_whole_weight_is_that_many_events(given: Sample, times: int) -> None:
    score, positive, _ = given
    weight = np.where(np.arange(len(score)) % 2, float(times), 1.0)
    repeated = np.repeat(np.arange(len(score)), weight.astype(int))
    assert auc(score, positive, weight) == pytest.approx(auc(score[repeated], positive[repeated]), abs=1e-12)


def test_negative_weights_enter_with_their_sign() -> None:
    score, positive, weight = sample(negative=0.1)
    psi = pairs(score, positive)
    own, other = weight[positive], weight[~positive]
    found = delong(score, positive, weight)
    assert found.value == pytest.approx(own @ psi @ other / own.sum() / other.sum(), abs=1e-12)
    assert found.negative == np.count_nonzero(weight < 0) > 20
    # An event and its negative twin are no event.
    both = np.concatenate((score, [5.0, 5.0])), np.append(positive, [False, False]), np.concatenate((weight, [3.0, -3.0]))
    assert auc(*both) == pytest.approx(found.value, abs=1e-12)


def brute(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Variance by the formulas of DeLong et al. 1988, from the matrix of all pairs."""
    psi = pairs(score, positive)
    return float(np.var(psi.mean(1), ddof=1) / len(psi) + np.var(psi.mean(0), ddof=1) / psi.shape[1])


@pytest.mark.parametrize("ties", [True, False])
def test_the_variance_is_that_of_the_paper(ties: bool) -> None:
    score, positive, _ = sample(ties=ties)
    found = delong(score, positive)
    assert found.std**2 == pytest.approx(brute(score, positive), rel=1e-9)
    assert (found.positives, found.negatives) == (np.count_nonzero(positive), np.count_nonzero(~positive))


def test_the_variance_of_weighted_events_is_that_of_leaving_each_out() -> None:
    score, positive, weight = sample(800)
    left_out = np.array([auc(*(np.delete(one, place) for one in (score, positive, weight))) for place in range(len(score))])
    jackknife = sum(
        (len(left_out[side]) - 1) / len(left_out[side]) * ((left_out[side] - left_out[side].mean()) ** 2).sum()
        for side in (positive, ~positive)
    )
    assert delong(score, positive, weight).std == pytest.approx(math.sqrt(jackknife), rel=0.01)


def test_the_interval_holds_the_truth_in_95_of_100_samples() -> None:
    # Area of two normal distributions a distance d apart: Φ(d / √2). Positives of weight 2 are half as many as there should be.
    truth = 0.5 * (1 + math.erf(0.8 / 2))
    random = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        positive = np.arange(300) < 120
        score = random.normal(positive * 0.8)
        weight = random.choice([0.3, 1.0, 2.5], 300)
        found = delong(score, positive, weight)
        held += found.low < truth < found.high
    assert 0.91 < held / 400 < 0.985


def test_both_intervals_agree() -> None:
    score, positive, weight = sample(4000, ties=False)
    one, other = delong(score, positive, weight), bootstrap(score, positive, weight, resamples=400, seed=5)
    assert one.value == other.value
    assert other.std == pytest.approx(one.std, rel=0.15)
    assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=0.5 * one.std)
    assert one.value - LEVEL_95 * one.std == pytest.approx(one.low, abs=0.2 * one.std)


def test_the_bootstrap_is_a_function_of_the_seed() -> None:
    score, positive, weight = sample()
    one, again, other = (bootstrap(score, positive, weight, resamples=20, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one.low != other.low


def test_copies_are_poisson_numbers() -> None:
    drawn = copies(1, 0, 100_001)
    assert len(drawn) == 100_001
    shares = np.bincount(drawn)[:4] / len(drawn)
    assert shares == pytest.approx([math.exp(-1) / math.factorial(number) for number in range(4)], abs=0.006)
    assert abs(np.corrcoef(drawn, copies(1, 1, 100_001))[0, 1]) < 0.02


def test_what_has_no_area_has_none() -> None:
    score, positive, weight = sample(20)
    for one in (
        delong(score, np.zeros(20, bool)),
        delong(score, positive, np.where(positive, 0.0, weight)),
        delong(score, positive, np.where(positive, -weight, weight)),
        bootstrap(score, np.ones(20, bool), resamples=5),
        delong(score[:0], positive[:0]),
    ):
        assert all(map(math.isnan, (one.value, one.low, one.high)))
    # One event on a side has no spread.
    single = delong(np.array([3.0, 1.0, 4.0]), np.array([True, False, False]))
    assert single.value == 0.5
    assert math.isnan(single.low)
    with pytest.raises(ValueError, match="without a score"):
        auc(np.array([1.0, math.nan]), np.array([True, False]))


@settings(max_examples=25)
@given(samples())
def test_intervals_hold_their_area_and_stay_inside(given: Sample) -> None:
    found = delong(*given)
    if 0 < found.value < 1 and not math.isnan(found.std):
        assert 0 <= found.low <= found.value <= found.high <= 1

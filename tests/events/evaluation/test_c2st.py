"""Whether a classifier can tell two samples apart, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labwright.events.evaluation.c2st import Difference, told_apart


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def told(seed: int, *, shift: float = 0.0, count: int = 2500, corrected: bool = False, negative: bool = False) -> Difference:
    """Two normal samples of four features, the second shifted in one of them, or weighted so that it is as if it were not.

    With ``negative``, events are added to the second sample and taken away again by others of negative weight.
    """
    random = np.random.default_rng(seed)
    features = random.normal(0, 1, (2 * count, 4))
    first = np.arange(2 * count) < count
    features[~first, 0] += shift
    ratio = np.exp(-shift * features[:, 0] + shift**2 / 2)
    weight = np.where(~first & corrected, ratio, 1.0)
    if negative:
        extra = random.normal(3, 1, (count // 2, 4))
        features, first = np.concatenate([features, extra]), np.concatenate([first, np.zeros(len(extra), bool)])
        weight = np.concatenate([weight, np.resize([0.5, -0.5], len(extra))])
    return told_apart(features, first, weight, seed=seed, resamples=10 if seed == 0 else 0)


@pytest.mark.slow
def test_equal_samples_give_one_half_within_sigma() -> None:
    found = [told(seed, count=400) for seed in range(24)]
    pulls = np.array([one.pull for one in found])
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls))
    assert 0.6 < pulls.std(ddof=1) < 1.5


def test_a_shift_is_found_and_its_weights_take_it_away() -> None:
    shifted, corrected = told(0, shift=0.4), told(0, shift=0.4, corrected=True)
    # The best area for two normals that are a shift apart is Φ(shift/√2).
    assert shifted.auc == pytest.approx(0.611, abs=0.02)
    assert shifted.pull > 5
    assert abs(corrected.pull) < 3


def test_what_negative_weights_take_away_is_not_found() -> None:
    assert abs(told(3, negative=True).pull) < 3
    assert told(3, shift=0.4, negative=True).pull > 5


def test_both_sigmas_agree_and_the_same_seed_gives_the_same() -> None:
    one, again = told(0), told(0)
    assert one.sigma == pytest.approx(1 / np.sqrt(6 * 2500), rel=0.1)
    assert one.sigma_bootstrap == pytest.approx(one.sigma, rel=0.5)
    assert one[:3] == again[:3]
    np.testing.assert_array_equal(one.scores, again.scores)

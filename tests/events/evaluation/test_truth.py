"""Grading a ratio against the known one."""

from __future__ import annotations

import numpy as np
import pytest

from labwright.events.evaluation.truth import BINS, graded


def test_the_known_ratio_itself_has_no_error() -> None:
    known = np.random.default_rng(0).uniform(0.5, 2, 1000)
    grade = graded(known, known, np.ones(1000))
    assert (grade.bias, grade.rms) == (0, 0)
    assert grade.correlation == pytest.approx(1)
    assert grade.constant > 0.3
    assert sum(one.events for one in grade.bins) == 1000
    assert [one.events for one in grade.bins] == [100] * BINS


def test_bias_and_spread_are_found_by_weight() -> None:
    random = np.random.default_rng(1)
    known = random.uniform(0.5, 2, 20_000)
    found = known * 1.1 * random.normal(1, 0.2, 20_000)
    found[10_000:] = 100.0
    weight = np.where(np.arange(20_000) < 10_000, 2.0, 0.0)
    grade = graded(found, known, weight)
    assert grade.bias == pytest.approx(0.1, abs=0.01)
    assert grade.rms == pytest.approx(np.hypot(0.1, 0.22), abs=0.01)
    for one in grade.bins:
        assert one.found / one.known == pytest.approx(1.1, abs=0.05)
        assert one.spread == pytest.approx(0.22, abs=0.03)

"""Weighted histograms, against those of ``hist``."""

from __future__ import annotations

import hist
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from labwright.events.metrics.histograms import Axis, Regular, Variable, histogram

FLOATS = st.floats(-40, 140, allow_nan=False) | st.sampled_from(
    [0.0, 0.1, 10.0, 35.0, 70.0, 99.99999999999999, 100.0, np.nan, np.inf, -np.inf]
)


def reference(columns: list[np.ndarray], axes: list[Axis], weight: np.ndarray | None) -> hist.Hist:
    theirs = [
        hist.axis.Regular(axis.bins, axis.low, axis.high) if isinstance(axis, Regular) else hist.axis.Variable(axis.points) for axis in axes
    ]
    filled = hist.Hist(*theirs, storage=hist.storage.Weight())
    filled.fill(*columns, weight=1.0 if weight is None else weight)
    return filled


def agree(columns: list[np.ndarray], axes: list[Axis], weight: np.ndarray | None = None, **options: int) -> None:
    ours, theirs = histogram(columns, axes, weight, **options), reference(columns, axes, weight)
    view = theirs.view(flow=True)
    np.testing.assert_allclose(ours.sums, view["value"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.squares, view["variance"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.values, theirs.values(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.variances, theirs.variances(), rtol=1e-12, atol=1e-12)


@st.composite
def an_axis(draw: st.DrawFn) -> Axis:
    if draw(st.booleans()):
        low = draw(st.floats(-20, 50))
        return Regular(draw(st.integers(1, 30)), low, low + draw(st.floats(0.1, 100)))
    return Variable(tuple(sorted(draw(st.lists(st.floats(-20, 120), min_size=2, max_size=12, unique=True)))))


@given(st.data())
def test_one_axis_agrees_with_hist_wherever_values_lie(data: st.DataObject) -> None:
    axis = data.draw(an_axis())
    near = np.concatenate([np.nextafter(axis.edges, -np.inf), axis.edges, np.nextafter(axis.edges, np.inf)])
    values = np.concatenate([data.draw(arrays.arrays(np.float64, st.integers(0, 60), elements=FLOATS)), near])
    weight = data.draw(arrays.arrays(np.float64, len(values), elements=st.floats(-5, 5)))
    agree([values], [axis], weight)


@given(st.data())
def test_several_axes_agree_with_hist(data: st.DataObject) -> None:
    axes = data.draw(st.lists(an_axis(), min_size=2, max_size=3))
    count = data.draw(st.integers(0, 50))
    columns = [data.draw(arrays.arrays(np.float64, count, elements=FLOATS)) for _ in axes]
    agree(columns, axes, data.draw(arrays.arrays(np.float64, count, elements=st.floats(-5, 5))))


def test_without_weights_events_are_counted() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1, 10_000)
    agree([values], [Regular(40, -3, 3)])
    assert histogram([values], [Regular(40, -3, 3)]).sums.sum() == 10_000


def test_chunks_do_not_change_the_sums() -> None:
    random = np.random.default_rng(1)
    columns, weight = [random.normal(0, 1, 5000), random.exponential(1, 5000)], random.normal(1, 1, 5000)
    axes: list[Axis] = [Regular(12, -2, 2), Variable((0.0, 0.3, 1.0, 4.0))]
    agree(columns, axes, weight, chunk=777)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_columns_of_any_kind_are_taken_as_they_are(dtype: torch.dtype) -> None:
    values = torch.arange(50).to(dtype)
    ours = histogram([values], [Regular(5, 0, 50)], torch.ones(50, dtype=torch.float32))
    assert ours.values.tolist() == [10.0] * 5


def test_small_weights_are_not_lost_beside_large_ones() -> None:
    weight = torch.cat([torch.tensor([2.0**25]), torch.ones(1000)])
    found = histogram([torch.zeros(1001)], [Regular(1, -1, 1)], weight)
    assert found.values[0] == 2.0**25 + 1000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_finds_the_same() -> None:
    random = np.random.default_rng(2)
    columns, weight = [random.normal(0, 1, 50_000), random.exponential(1, 50_000)], random.normal(1, 1, 50_000)
    axes: list[Axis] = [Regular(50, -2, 2), Variable((0.0, 0.3, 1.0, 4.0))]
    here, there = histogram(columns, axes, weight), histogram([torch.as_tensor(one).cuda() for one in columns], axes, weight)
    np.testing.assert_allclose(there.sums, here.sums, rtol=1e-10)
    np.testing.assert_allclose(there.squares, here.squares, rtol=1e-10)

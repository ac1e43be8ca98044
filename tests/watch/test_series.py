"""A series keeps what the journal's own reader would give, in little memory."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import journal
from labwright.watch.series import MOST_POINTS, Series

values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
points = st.lists(st.tuples(st.integers(0, 20), values), max_size=30)


@given(st.lists(points, max_size=4))
def test_the_newest_attempt_counts_as_in_the_journal(attempts: list[list[tuple[int, float | None]]]) -> None:
    series, records = Series(), list[dict[str, Any]]()
    for number, attempt in enumerate(attempts):
        for step, value in attempt:
            series.add(step, value, number)
            records.append({"kind": "metric", "phase": "train", "step": step, "part": "", "values": {"loss": value}})
    expected = journal.series(records).get(("", "train", "loss"), {})
    assert dict(series.items()) == expected
    assert list(dict(series.items())) == list(expected)
    for step, value in expected.items():
        assert series.at(step) == value


def test_an_older_attempt_read_late_does_not_count() -> None:
    series = Series()
    series.add(3, 0.5, 2)
    series.add(3, 0.9, 1)
    assert series.at(3) == 0.5


def test_a_step_that_is_not_there_has_no_value() -> None:
    series = Series()
    series.add(3, 0.5, 0)
    assert series.at(2) is series.at(4) is None


def test_thinned_points_end_with_the_last() -> None:
    series = Series()
    for step in range(1234):
        series.add(step, float(step), 0)
    shown = series.thinned(100)
    assert len(shown) <= 100
    assert shown[-1] == (1233.0, 1233.0)
    assert [x for x, _ in shown] == sorted(x for x, _ in shown)
    assert Series().thinned() == []


def test_a_series_without_end_stays_small() -> None:
    series = Series()
    for step in range(3 * MOST_POINTS):
        series.add(step, 1.0, 0)
    steps = [step for step, _ in series.items()]
    assert len(steps) <= MOST_POINTS
    assert (steps[0], steps[-1]) == (0, 3 * MOST_POINTS - 1)

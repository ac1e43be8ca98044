"""The story of a run is what its records tell; a record that tells nothing, or something else, changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import energy, journal
from labwright.watch.story import KINDS, MOST_SERIES, Story

START = {"t": 1.0, "kind": "start", "attempt": 1, "share": "0/1", "rank": 0, "pid": 7, "host": "here", "argv": []}
leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5)
anything = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))
FIELDS = ("step", "values", "part", "phase", "title", "done", "total", "id", "attempt", "code", "severity", "joules", "method", "gpus")
records = st.fixed_dictionaries({"kind": st.sampled_from([*sorted(KINDS), "later"]), "t": st.floats(0, 1e9)}).flatmap(
    lambda head: st.dictionaries(st.sampled_from(FIELDS), anything).map(lambda fields: {**fields, **head})
)


def told(*records: dict[str, Any], stem: str = "0001") -> Story:
    story = Story()
    for record in records:
        story.take(stem, record)
    return story


@given(st.lists(records | anything.map(lambda value: {"kind": value, "t": value}), max_size=20))
def test_no_record_is_too_strange_to_be_passed_over(strange: list[dict[str, Any]]) -> None:
    story = told(*strange, START)
    assert story.starts["0001"]["pid"] == 7


def test_every_kind_has_its_fold() -> None:
    assert all(hasattr(Story, f"_{kind}") for kind in KINDS)


finite = st.floats(-1e3, 1e3)
metrics = st.builds(
    lambda step, phase, values: {"t": 1.0, "kind": "metric", "phase": phase, "step": step, "epoch": 0, "part": "a", "values": values},
    st.integers(0, 9),
    st.sampled_from(["train", "validate"]),
    st.dictionaries(st.sampled_from(["loss", "dice"]), st.none() | finite),
)


@given(st.lists(st.lists(metrics, max_size=8), max_size=3))
def test_curves_are_those_of_the_journal(attempts: list[list[dict[str, Any]]]) -> None:
    story = Story()
    for number, attempt in enumerate(attempts):
        for record in attempt:
            story.take(f"{number + 1:04d}", record)
    expected = journal.series([record for attempt in attempts for record in attempt])
    assert {key: dict(series.items()) for key, series in story.curves.items()} == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.floats(0, 1e6), st.floats(0, 1), st.floats(0.1, 100)), max_size=12))
def test_joules_are_those_of_the_energy_account(measured: list[tuple[str, float | None, float, float]]) -> None:
    rows = [
        {"t": 1.0, "kind": "energy", "stage": "train", "method": method, "scope": "s", "joules": joules, "coverage": share, "seconds": s}
        for method, joules, share, s in measured
    ]
    assert [row["method"] for row in told(*rows).energy] == [row["method"] for row in energy.rows(rows)]
    for ours, theirs in zip(told(*rows).energy, energy.rows(rows), strict=True):
        assert ours["joules"] == pytest.approx(theirs["joules"])
        assert ours["coverage"] == pytest.approx(theirs["coverage"])
        assert ours["seconds"] == pytest.approx(theirs["seconds"])


def test_parts_are_begun_done_or_failed() -> None:
    story = told(
        {"t": 1, "kind": "begin", "part": "a"},
        {"t": 2, "kind": "part", "id": "a", "figures": {}, "seconds": 1},
        {"t": 2, "kind": "begin", "part": "b"},
        {"t": 3, "kind": "failed", "part": "b", "reason": "b: broken"},
        {"t": 3, "kind": "begin", "part": "c"},
    )
    assert story.parts == {"a": "done", "b": "failed", "c": "begun"}
    assert story.failures == {"b": "b: broken"}


def test_what_a_new_attempt_begins_has_a_new_pace() -> None:
    story = Story()
    for stem, t, done in (("0001", 1.0, 10), ("0001", 2.0, 20), ("0002", 50.0, 15), ("0002", 51.0, 25)):
        story.take(stem, {"t": t, "kind": "progress", "title": "train", "done": done, "total": 100, "loss": 0.5})
    pace = story.paces["train"]
    assert list(pace.seen) == [(50.0, 15.0), (51.0, 25.0)]
    assert (pace.file, pace.done, pace.total, pace.fields) == ("0002", 25.0, 100.0, {"loss": 0.5})


def test_a_journal_of_endless_names_does_not_fill_the_memory() -> None:
    metric = {"t": 1, "kind": "metric", "phase": "train", "step": 1, "epoch": 0, "part": ""}
    story = told(*({**metric, "values": {f"name {number}": 1.0}} for number in range(3 * MOST_SERIES)))
    assert len(story.curves) == MOST_SERIES
    story = told(*({"t": 1, "kind": "progress", "title": f"part {number}", "done": 1, "total": 2} for number in range(1000)))
    assert len(story.paces) < 100
    text = "x" * 100_000
    story = told({"t": 1, "kind": "finding", "code": "A", "severity": "error", "place": text, "text": text})
    assert len(story.found[0]["text"]) < 1000

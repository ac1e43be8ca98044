"""Paths of raw data are read as the working machine sees them, and only those."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs.errors import CommandError
from labwright.study.elsewhere import moved, roots
from labwright.study.plan import options_of
from tests.parts.toy_recipe import Desk, output_of

TREES = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(TREES)
def test_without_places_nothing_moves(tree: object) -> None:
    assert moved(tree, {}) == tree


def test_the_longest_place_counts_and_a_like_beginning_does_not() -> None:
    places = roots({"LABWRIGHT_PATHS": "/data=/staging:/data/cells/=/fast"})
    tree = {"a": "/data/x", "b": ["/data/cells/01", "/database", "data/x"], "c": "/data"}
    assert moved(tree, places) == {"a": "/staging/x", "b": ["/fast/01", "/database", "data/x"], "c": "/staging"}


def test_a_relative_place_lies_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert roots({"LABWRIGHT_PATHS": "/data=in"}) == {"/data": str(tmp_path / "in")}


@pytest.mark.parametrize("text", ["data=/x", "/data", "/data="])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="LABWRIGHT_PATHS"):
        roots({"LABWRIGHT_PATHS": text})


def test_a_run_works_on_data_that_lie_elsewhere_with_the_same_result(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.conduct(step="count")
    here = output_of(desk.plan()["count"].run)
    there = tmp_path / "there"
    run = desk.created("count", f"run.folder={tmp_path / 'other'}")
    desk.texts.rename(there)
    monkeypatch.setenv("LABWRIGHT_PATHS", f"{desk.texts}={there}")
    assert options_of(run, desk.study().recipe.step("count")).source == there
    done = desk.labwright("step", str(run.folder))
    assert done.returncode == 0, done.stderr
    assert output_of(run) == here

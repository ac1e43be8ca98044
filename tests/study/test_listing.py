"""A study is planned where its raw files cannot be seen, to the same runs, once they were listed where they can."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.runs.errors import DataError, MissingError
from labwright.study import listing
from tests.parts.toy_recipe import Desk


def folders(desk: Desk) -> dict[str, Path]:
    return {name: one.folder for name, one in desk.plan().items()}


def test_a_listed_study_is_planned_to_the_same_runs_without_its_files(desk: Desk, tmp_path: Path) -> None:
    before = folders(desk)
    listing.write(listing.sources(desk.study()), desk.folder / listing.FILE)
    desk.texts.rename(tmp_path / "away")
    assert folders(desk) == before


def test_without_a_list_the_missing_files_are_said(desk: Desk, tmp_path: Path) -> None:
    desk.texts.rename(tmp_path / "away")
    with pytest.raises(MissingError, match="there is no such folder"):
        desk.plan()


def test_files_that_are_here_go_before_the_list(desk: Desk) -> None:
    listing.write(listing.sources(desk.study()), desk.folder / listing.FILE)
    before = folders(desk)
    (desk.texts / "d.txt").write_text("more")
    assert folders(desk)["count"] != before["count"]


def test_a_damaged_list_is_refused(desk: Desk, tmp_path: Path) -> None:
    (desk.folder / listing.FILE).write_text('{"count": [{"name": "a.txt"}]}')
    desk.texts.rename(tmp_path / "away")
    with pytest.raises(DataError, match="not a list of raw files"):
        desk.plan()


def test_a_complete_run_stays_done_where_its_files_cannot_be_seen(desk: Desk, tmp_path: Path) -> None:
    listing.write(listing.sources(desk.study()), desk.folder / listing.FILE)
    desk.conduct(step="count")
    desk.texts.rename(tmp_path / "away")
    assert desk.plan()["count"].state == "done"

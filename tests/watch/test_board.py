"""The board finds runs, follows them together, and asks schedulers on the side."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest

from labwright.runs.errors import FaultError
from labwright.testing.commands import until
from labwright.watch import board as module
from labwright.watch.board import LEAST_PAUSE_S, SHARE_OF_TIME, Board, pause_after
from labwright.watch.tree import html
from tests.watch import made
from tests.watch.test_draw import Page


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look looks."""
    for name in ("FIND_EVERY_S", "LEAST_PAUSE_S"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(module, "SHARE_OF_TIME", 1e9)


def names(board: Board) -> list[str]:
    return [follow.run.name for follow in board.runs.values()]


def test_runs_are_found_also_those_that_come_later(tmp_path: Path, eager: None) -> None:
    board = Board([tmp_path / "runs", tmp_path / "lone"])
    board.look()
    assert names(board) == []
    made.run_folder(tmp_path / "runs" / "a")
    made.run_folder(tmp_path / "runs" / ".tmp-b")
    made.run_folder(tmp_path / "lone")
    (tmp_path / "runs" / "no-run").mkdir()
    board.look()
    assert names(board) == ["a", "lone"]
    (tmp_path / "runs" / "a" / "step.json").unlink()
    board.look()
    assert names(board) == ["lone"]


def test_a_broken_run_is_passed_over_until_it_is_whole(tmp_path: Path, eager: None) -> None:
    made.run_folder(tmp_path / "a")
    (tmp_path / "a" / "step.json").write_text("{")
    board = Board([tmp_path])
    board.look()
    assert names(board) == []
    made.run_folder(tmp_path / "a")
    board.look()
    assert names(board) == ["a"]


def test_only_the_runs_of_the_study_are_kept(tmp_path: Path, eager: None) -> None:
    for name in ("train-1", "pack-1"):
        made.run_folder(tmp_path / name, step=name.partition("-")[0])
    board = Board([tmp_path], keep=lambda run: run.step == "train")
    board.look()
    assert names(board) == ["train-1"]


def test_what_is_at_work_comes_first(tmp_path: Path) -> None:
    now = time.time()
    made.run_folder(tmp_path / "old", {"0001": [made.start(now - 900), made.end(now - 800)]})
    made.run_folder(tmp_path / "new", {"0001": [made.start(now - 90), made.end(now - 80)]})
    made.run_folder(tmp_path / "work", {"0001": [made.start(now - 9)]})
    board = Board([tmp_path])
    board.look()
    assert list(board.names().values()) == ["work", "new", "old"]


def test_ids_say_nothing_of_places(tmp_path: Path) -> None:
    made.run_folder(tmp_path / "train-secret")
    one, other = Board([tmp_path]), Board([tmp_path])
    one.look()
    other.look()
    assert set(one.runs).isdisjoint(other.runs)
    assert "secret" not in next(iter(one.runs))
    with pytest.raises(KeyError):
        one.panels("../secret")


def test_panels_are_made_anew_only_where_something_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_S", 1e9)
    run = made.run_folder(tmp_path / "train-1", {"0001": [made.start(time.time())]})
    board = Board([tmp_path])
    board.look()
    (id_,) = board.runs
    first = board.panels(id_)
    assert first is not None
    assert board.panels(id_, first[0]) is None
    made.append(run.folder, made.metric(time.time(), 1, loss=0.5))
    second = board.panels(id_, first[0])
    assert second is not None
    assert second[1]["curves"]


def test_the_overview_names_each_run_with_its_share(tmp_path: Path) -> None:
    now = time.time()
    paced = [made.progress(now - 4 + t, 10 + t, 100) for t in range(4)]
    made.run_folder(tmp_path / "runs" / "train-1", {"0001": [made.start(now - 9), *paced]}, name=made.HOSTILE, sweep="seed=1")
    board = Board([tmp_path / "runs"])
    board.look()
    page = Page(html(*board.overview()))
    (id_,) = board.runs
    link = next(attributes for tag, attributes in page.elements if tag == "a")
    assert (link["href"], link["data-id"]) == (f"#run={id_}", id_)
    assert made.HOSTILE in page.text
    assert "seed=1" in page.text
    assert "left" in page.text
    assert any(tag == "progress" and attributes["value"] == "0.13" for tag, attributes in page.elements)


def test_schedulers_are_asked_on_the_side(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "train-1")
    asked: list[float] = []

    def jobs() -> dict[str, dict[str, Any]]:
        asked.append(time.monotonic())
        time.sleep(0.2)
        return {str(run.folder): {"id": "7", "state": "held", "reason": "no space"}}

    board = Board([tmp_path], jobs=jobs)
    began = time.monotonic()
    board.look()
    assert time.monotonic() - began < 0.2, "nobody waits for a scheduler"
    (id_,) = board.runs
    until(lambda: "held" in html(*board.overview()), 5)
    made_panels = board.panels(id_)
    assert made_panels is not None
    assert "The scheduler says of job 7: held: no space." in Page(html(*made_panels[1]["alive"])).text
    board.look()
    assert len(asked) == 1


def test_a_scheduler_without_answer_changes_nothing(tmp_path: Path) -> None:
    made.run_folder(tmp_path / "train-1")
    asked: list[int] = []

    def jobs() -> dict[str, dict[str, Any]]:
        asked.append(1)
        raise FaultError("squeue gave no answer")

    board = Board([tmp_path], jobs=jobs)
    board.look()
    until(lambda: bool(asked), 5)
    assert "ready" in html(*board.overview())


def test_a_disk_that_went_away_takes_only_its_own_runs(tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, here = made.run_folder(tmp_path / "gone" / "a"), made.run_folder(tmp_path / "here" / "b")
    board = Board([tmp_path / "gone", tmp_path / "here"])
    board.look()
    glob = Path.glob

    def stale(path: Path, pattern: str) -> Any:
        if "gone" in path.parts:
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", stale)
    for run in (gone, here):
        made.append(run.folder, made.start(time.time()))
    for follow in board.runs.values():
        follow._due = 0.0
    board.look()
    states = {follow.run.name: follow.state() for follow in board.runs.values()}
    assert states == {"a": "ready", "b": "running"}
    lost = next(id_ for id_, name in board.names().items() if name == "a")
    assert board.panels(lost) is not None, "what was known of it is still shown"


def test_the_longer_a_look_takes_the_longer_is_the_pause() -> None:
    assert pause_after(0.0) == LEAST_PAUSE_S
    assert pause_after(0.1) == pytest.approx(0.1 / SHARE_OF_TIME)

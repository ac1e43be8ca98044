"""A submission says what was queued, survives being moved, and never stands in the way of another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labwright.launch import submission
from labwright.launch.job import Job, Task
from labwright.launch.site import Queue
from labwright.launch.submission import Submission
from labwright.parts.shares import Share
from labwright.runs.errors import MissingError
from labwright.study.resources import Resources


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def begun(runs: Path) -> Submission:
    tasks = (Task(runs / "train-1", Share(1, 4)), Task(runs / "train-2", finish=True), Task(runs / "train-3"))
    job = Job("train", "train", tasks, Resources(), Queue())
    return submission.begin(runs, site="toy", kind="slurm", study="study.yaml", jobs=[job], findings=[{"code": "LCH001"}])


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    made = begun(tmp_path / "runs")
    assert submission.read(made.folder) == made
    assert submission.submissions(tmp_path / "runs") == [made]


def test_an_id_is_recorded_when_the_scheduler_gave_it(tmp_path: Path) -> None:
    made = begun(tmp_path / "runs")
    made.queued("train", "4711")
    (job,) = submission.read(made.folder).jobs
    assert job.id == "4711"


def test_submissions_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    assert len({begun(tmp_path / "runs").folder for _ in range(20)}) == 20


def test_moved_runs_are_found_with_their_submissions(tmp_path: Path) -> None:
    begun(tmp_path / "runs")
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    (found,) = submission.submissions(tmp_path / "elsewhere")
    assert found.jobs[0].tasks[0].run == tmp_path / "elsewhere" / "train-1"


def test_all_submissions_of_a_user_are_found_and_those_that_are_gone_forgotten(tmp_path: Path, state_home: Path) -> None:
    first, second = begun(tmp_path / "a"), begun(tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    third = begun(tmp_path / "away" / "lab" / "runs")
    shutil.move(tmp_path / "away" / "lab", tmp_path / "unmounted")
    assert [one.folder for one in submission.everywhere()] == [second.folder]
    assert first.folder != second.folder
    # What somebody removed is forgotten; what is only out of reach is not.
    shutil.move(tmp_path / "unmounted", tmp_path / "away" / "lab")
    assert [one.folder for one in submission.everywhere()] == [second.folder, third.folder]
    assert str(first.folder) not in (state_home / "labwright" / "submissions").read_text()


def test_a_home_that_cannot_be_written_costs_only_the_overview(tmp_path: Path, state_home: Path) -> None:
    state_home.write_text("in the way")
    made = begun(tmp_path / "runs")
    assert submission.everywhere() == []
    assert submission.submissions(tmp_path / "runs") == [made]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"jobs": 3}'])
def test_a_damaged_submission_is_passed_over_and_said_when_named(tmp_path: Path, text: str) -> None:
    made = begun(tmp_path / "runs")
    (made.folder / submission.FILE).write_text(text)
    assert submission.submissions(tmp_path / "runs") == []
    with pytest.raises(MissingError, match="not the folder of a submission"):
        submission.read(made.folder)

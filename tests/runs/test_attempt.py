"""An attempt leaves a journal and a log that tell who worked with what, what was printed, and how it ended."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labwright.runs import journal
from labwright.runs.attempt import attempt
from labwright.runs.errors import Exit, FaultError
from labwright.runs.journal import read_file
from labwright.runs.run import Run
from labwright.testing.hostile import small_disk
from tests.parts.toy_recipe import Desk


def log_of(run: Run, name: str = "0001") -> str:
    return (run.folder / "journal" / f"{name}.log").read_text()


def test_each_attempt_has_a_number_a_journal_and_a_log(desk: Desk) -> None:
    run = desk.created("count")
    for code in (Exit.AGAIN, Exit.DONE):
        with attempt(run, quiet=True) as current:
            current.end(code, "so it was")
    with attempt(run, share="1/2", rank=3, quiet=True):
        pass
    names = {path.name for path in (run.folder / "journal").iterdir()}
    assert names == {f"{stem}.{kind}" for stem in ("0001", "0002", "0003-1of2-3") for kind in ("jsonl", "log")}
    ends = run.records("end")
    assert [(end["code"], end["reason"]) for end in ends[:2]] == [(75, "so it was"), (0, "so it was")]
    assert ends[2]["code"] == Exit.FAULT, "who leaves without a word has failed"


def test_the_journal_begins_with_who_and_ends_with_how(desk: Desk) -> None:
    run = desk.created("count")
    with attempt(run, quiet=True) as current:
        current.journal.record("note", text="at work")
    kinds = [record["kind"] for record in run.records()]
    assert kinds[:2] == ["start", "usage"], "from its first moment the run can be seen to live"
    assert kinds[-1] == "end"
    assert {"energy", "note"} <= set(kinds)
    start = run.records("start")[0]
    assert start["pid"] == os.getpid()
    assert {"attempt", "share", "rank", "host", "argv"} <= start.keys()


def test_the_log_opens_with_command_host_versions_and_options(desk: Desk) -> None:
    run = desk.created("count", "count.letters=2")
    with attempt(run, quiet=True) as current:
        current.end(Exit.DATA, "the data are bad")
    lines = log_of(run).splitlines()
    assert lines[0] == f"# attempt 1 of {run.name}"
    assert lines[1] == f"# command: {shlex.join(sys.argv)}"
    assert lines[2].startswith(f"# host: {run.description['machine']['host']}")
    assert "pydantic=" in lines[3]
    assert '"letters": 2' in lines[4]
    assert lines[5] == "# seed: 3"
    assert lines[-1] == "# ended with exit code 65: the data are bad"


def test_two_attempts_at_once_get_two_numbers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = desk.created("count")
    create = journal.Journal.__init__

    def late(self: journal.Journal, path: Path) -> None:
        if path.name == "0001.jsonl" and not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.touch()  # another process was faster
        create(self, path)

    monkeypatch.setattr(journal.Journal, "__init__", late)
    with attempt(run, quiet=True) as current:
        assert current.journal.path.name == "0002.jsonl"


def test_a_disk_that_fills_up_does_not_hide_what_went_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = desk.created("count")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work() -> None:
        with attempt(run, quiet=True):
            monkeypatch.setattr(journal.Journal, "record", full)
            raise FaultError("my own sentence")

    with pytest.raises(FaultError, match="my own sentence"):
        work()


def test_an_attempt_that_cannot_begin_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = desk.created("count")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal.Journal, "record", full)
    with pytest.raises(FaultError, match="disk is full"), attempt(run, quiet=True):
        pass


def test_runs_on_a_full_disk_end_with_a_sentence_and_go_on_elsewhere(desk: Desk, tmp_path: Path) -> None:
    words = small_disk(tmp_path / "small", kib=12)
    if words is None:
        pytest.skip("this machine lets nobody mount in a namespace of one's own")
    (desk.texts / "long.txt").write_text("x" * 100_000)
    command = [*words, sys.executable, "-m", "labwright", "run", str(desk.path), "--runs", str(tmp_path / "small")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == Exit.FAULT
    assert "the disk is full" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert desk.conduct()["sum"].figures["total"] == 6


def test_records_of_a_killed_attempt_are_all_there_but_the_end(desk: Desk) -> None:
    assert desk.labwright("run", "study.yaml", "--step", "count", fault="part:after-record").returncode == -9
    (journal_file,) = (desk.folder / "runs").glob("count-*/journal/*.jsonl")
    kinds = [record["kind"] for record in read_file(journal_file)]
    assert kinds[-1] == "part"
    assert "end" not in kinds

"""``logs``: what runs printed, and on as it comes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from labwright.runs.journal import Journal


def test_the_log_of_a_run_is_printed(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--quiet")
    said = labwright("logs", "study.yaml", "pack")
    assert said.code == 0
    assert said.out.startswith("==> 0001.log <==\n")
    assert "read 3 numbers" in said.out
    run = next(Path("runs").glob("pack-*"))
    assert labwright("logs", run).out == said.out
    assert labwright("logs", run, "-n", "1").out.count("\n") == 2
    # Without a name, the run last active.
    assert "evaluate-" in labwright("logs", ".").out


def test_what_cannot_be_shown_is_said(labwright, study: Path) -> None:
    labwright("pack", "study.yaml", "--quiet")
    said = labwright("logs", ".", "train")
    assert said.code == 66
    assert "There are: pack-" in said.err
    assert labwright("logs", ".", "-n", "few").code == 64


def test_following_ends_with_the_run(labwright, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labwright("run", "study.yaml", "--set", "train.trouble=stop", "--quiet")
    (run,) = Path("runs").glob("train-*")
    journal = Journal(run / "journal" / "0002.jsonl")
    journal.record("start", attempt=2)
    log = run / "journal" / "0002.log"
    log.write_text("first\n")
    monkeypatch.setattr("labwright.cli.commands.logs.POLL_S", 0.01)

    def work() -> None:
        with log.open("a") as stream:
            stream.write("second\n")
        journal.record("end", code=75, reason="")
        journal.close()

    worker = threading.Timer(0.3, work)
    worker.start()
    said = labwright("logs", ".", "train", "-f", "-n", "1")
    worker.join()
    assert said.code == 0
    assert said.out == f"==> 0002.log <=={os.linesep}first\nsecond\n"

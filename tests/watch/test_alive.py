"""One word says how a run is getting on; the journal counts before the scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.watch.alive import alive, state_of
from tests.watch import made

NOW = 1000.0
QUEUED = {"id": "12", "state": "queued", "reason": "Priority"}


@pytest.mark.parametrize(
    ("records", "job", "state"),
    [
        ([], None, "ready"),
        ([], QUEUED, "queued"),
        ([], {**QUEUED, "state": "held"}, "held"),
        ([], {**QUEUED, "state": "unknown"}, "ready"),
        ([made.start(NOW - 5)], QUEUED, "running"),
        ([made.start(NOW - 500)], None, "silent"),
        ([made.start(NOW - 500)], QUEUED, "resuming"),
        ([made.start(NOW - 500)], {**QUEUED, "state": "done"}, "silent"),
        ([made.start(NOW - 9), made.end(NOW - 5, 75, "SIGTERM came")], None, "stopped"),
        ([made.start(NOW - 9), made.end(NOW - 5, 75, "SIGTERM came")], QUEUED, "resuming"),
        ([made.start(NOW - 9), made.end(NOW - 5, 75, "SIGTERM came")], {**QUEUED, "state": "held"}, "held"),
        ([made.start(NOW - 9), made.end(NOW - 5, 65, "bad data")], None, "failed"),
        ([made.start(NOW - 9, attempt=2)], None, "resuming"),
        ([made.start(NOW - 9, attempt=2), made.metric(NOW - 5, 7, loss=1.0)], None, "running"),
    ],
)
def test_the_state_in_one_word(tmp_path: Path, records: list, job: dict | None, state: str) -> None:  # type: ignore[type-arg]
    follow = made.followed(made.run_folder(tmp_path / "run", {"0001": records}), NOW)
    assert state_of(follow, job, NOW) == state
    assert alive(follow, job, NOW)["state"] == state


def test_the_reason_is_said_in_plain_words(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(NOW - 9), made.end(NOW - 5, 70, "the disk is full")]})
    words = alive(made.followed(run, NOW), {**QUEUED, "state": "failed", "reason": "NODE_FAIL"}, NOW)["words"]
    assert words == ["the disk is full (exit code 70)", "The scheduler says of job 12: failed: NODE_FAIL."]


def test_a_silent_run_says_what_that_means(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(NOW - 500)]})
    section = alive(made.followed(run, NOW), None, NOW)
    assert (section["seen"], section["seen_at"]) == ("last sign of life", NOW - 500)
    assert "killed" in " ".join(section["words"])


def test_attempts_processes_and_findings_are_counted(tmp_path: Path) -> None:
    finding = {"t": NOW, "kind": "finding", "code": "A", "severity": "warning", "place": "p", "text": "t"}
    shares = {f"000{number + 1}-{number}of2-0": [made.start(NOW - 5, attempt=number + 1), finding] for number in range(2)}
    facts = alive(made.followed(made.run_folder(tmp_path / "run", shares), NOW), None, NOW)["facts"]
    assert facts == ["attempt 2 of 2", "2 processes", "2 warnings found"]

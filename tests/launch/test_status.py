"""The journal is the truth, and what the scheduler says is a hint."""

from __future__ import annotations

import pytest

from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, HELD, QUEUED, RUNNING, UNKNOWN
from labwright.launch.status import RESUMING, merged

SAID = (QUEUED, HELD, RUNNING, ENDING, DONE, FAILED, CANCELLED, UNKNOWN)


@pytest.mark.parametrize("scheduler", SAID)
@pytest.mark.parametrize("journal", ["running", "done", "damaged", "stale"])
def test_what_files_tell_is_not_doubted(journal: str, scheduler: str) -> None:
    assert merged(journal, scheduler, begun=True) == journal


@pytest.mark.parametrize(
    ("journal", "scheduler", "begun", "state"),
    [
        ("ready", QUEUED, False, QUEUED),
        ("ready", RUNNING, False, RUNNING),
        ("ready", HELD, False, HELD),
        ("ready", FAILED, False, FAILED),
        ("ready", CANCELLED, False, CANCELLED),
        ("ready", UNKNOWN, False, UNKNOWN),
        ("ready", DONE, False, "ready"),
        # Shares that are done wait for others, or for the job that finishes.
        ("ready", QUEUED, True, QUEUED),
        ("stopped", QUEUED, True, RESUMING),
        ("stopped", RUNNING, True, RESUMING),
        ("stopped", HELD, True, HELD),
        ("stopped", UNKNOWN, True, "stopped"),
        ("stopped", CANCELLED, True, "stopped"),
        ("silent", QUEUED, True, RESUMING),
        ("silent", RUNNING, True, "silent"),
        ("silent", UNKNOWN, True, UNKNOWN),
        ("silent", FAILED, True, FAILED),
        ("failed", QUEUED, True, QUEUED),
        ("failed", RUNNING, True, RESUMING),
        ("failed", UNKNOWN, True, "failed"),
    ],
)
def test_one_word_from_two(journal: str, scheduler: str, begun: bool, state: str) -> None:
    assert merged(journal, scheduler, begun=begun) == state


def test_a_failure_of_this_submission_is_one_whatever_a_slow_scheduler_says() -> None:
    assert merged("failed", RUNNING, begun=True, now=True) == "failed"
    assert merged("failed", HELD, begun=True, now=True) == HELD


@pytest.mark.parametrize("journal", ["ready", "stopped", "silent"])
def test_no_answer_never_means_death(journal: str) -> None:
    assert merged(journal, UNKNOWN, begun=True) not in (FAILED, CANCELLED)

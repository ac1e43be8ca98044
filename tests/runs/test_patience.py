"""A file system that went away is waited for, said once; a stop and the end of patience end the wait with exit code 75."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labwright.runs import patience
from labwright.runs.errors import Exit
from labwright.runs.patience import GONE, Gone, patiently, said
from labwright.runs.signals import StopFlag

PLACE = Path("somewhere")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(patience, "PATIENCE_S", 0.1)
    monkeypatch.setattr(patience, "_told_at", float("-inf"))


class Flaky:
    """Fails with these errors, one after the other, then answers."""

    def __init__(self, *numbers: int) -> None:
        self.errors: Iterator[int] = iter(numbers)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        for number in self.errors:
            raise OSError(number, os.strerror(number), "a file")
        return "answer"


@pytest.mark.parametrize("number", sorted(GONE))
def test_what_went_away_is_waited_for(number: int) -> None:
    assert patiently(Flaky(number, errno.ESTALE, number), PLACE) == "answer"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.ENOENT, errno.EROFS, errno.EDQUOT])
def test_what_is_wrong_in_another_way_is_not(number: int) -> None:
    flaky = Flaky(number)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        patiently(flaky, PLACE)
    assert caught.value.errno == number
    assert flaky.calls == 1


def test_it_is_said_once_and_so_is_that_it_answers_again(capfd: pytest.CaptureFixture[str]) -> None:
    patiently(Flaky(*[errno.EIO] * 4), PLACE)
    patiently(Flaky(*[errno.EIO] * 2), PLACE)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "a file: the file system does not answer (Input/output error)" in lines[0]
    assert "somewhere: the file system answers again" in lines[1]


def test_patience_ends_with_a_sentence_and_75() -> None:
    flaky = Flaky(*[errno.ESTALE] * 1000)
    with pytest.raises(Gone, match=r"does not answer \(Stale file handle\), and did not for 0 s\. Run the same") as caught:
        patiently(flaky, PLACE)
    assert caught.value.code == Exit.AGAIN
    assert 5 <= flaky.calls <= 10


def test_a_stop_is_answered_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 600.0)
    flag = StopFlag()
    flag.set("enough")
    flaky = Flaky(*[errno.EIO] * 1000)
    with flag.handling(), pytest.raises(Gone, match="a stop was asked for"):
        patiently(flaky, PLACE)
    assert flaky.calls == 1
    assert patiently(Flaky(errno.EIO), PLACE) == "answer", "outside of its block the flag asks nothing"


def test_where_nobody_waits_it_is_a_sentence_too() -> None:
    with pytest.raises(Gone, match="does not answer"), said(PLACE):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(FileNotFoundError), said(PLACE):
        raise FileNotFoundError

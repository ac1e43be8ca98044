"""One process owns a share, for as long as it lives and no longer."""

from __future__ import annotations

import errno
import fcntl
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labwright.parts.claims import Busy, claim
from labwright.parts.shares import Share
from labwright.runs.errors import Exit
from labwright.runs.run import SILENT_AFTER_S, Run

OWNER = """
import sys
from labwright.parts.claims import Busy, claim
from labwright.parts.shares import Share
from labwright.runs.run import Run
share = None if sys.argv[2] == "all" else Share.parse(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    with claim(Run.open(sys.argv[1]), share):
        print("owns", flush=True)
        sys.stdin.readline()
except Busy as busy:
    print("refused", flush=True)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "journal").mkdir()
    (tmp_path / "step.json").write_text(json.dumps({"recipe": "counting", "step": "count", "fingerprint": "f", "options": {}}))
    return Run.open(tmp_path)


@contextmanager
def owners(run: Run, *shares: str) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that were all told to claim at the same moment, each with what it said in ``answer``."""
    command = [sys.executable, "-c", OWNER, str(run.folder)]
    processes = [subprocess.Popen([*command, share], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for share in shares]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def answers(processes: list[subprocess.Popen[str]]) -> list[str]:
    return [process.stdout.readline().strip() for process in processes if process.stdout]


def refused(run: Run, share: str | None) -> bool:
    try:
        with claim(run, Share.parse(share) if share else None):
            return False
    except Busy:
        return True


def test_one_of_many_gets_the_share(run: Run) -> None:
    with owners(run, *["0/1"] * 4) as processes:
        assert sorted(answers(processes)) == ["owns", "refused", "refused", "refused"]


def test_all_shares_of_an_array_start_at_once(run: Run) -> None:
    with owners(run, *(f"{index}/8" for index in range(8))) as processes:
        assert answers(processes) == ["owns"] * 8


def test_what_overlaps_is_refused_and_what_does_not_is_not(run: Run) -> None:
    with owners(run, "1/4") as processes:
        assert answers(processes) == ["owns"]
        assert [share for share in ("0/4", "1/4", "2/4", "0/1", "0/2", "1/5", None) if refused(run, share)] == [
            "1/4",
            "0/1",
            "0/2",
            "1/5",
            None,
        ]
    assert not refused(run, None)


def test_finishing_has_the_run_to_itself(run: Run) -> None:
    with owners(run, "all") as processes:
        assert answers(processes) == ["owns"]
        assert refused(run, "0/1")
        assert refused(run, "3/4")


def test_the_dead_own_nothing(run: Run) -> None:
    with owners(run, "0/1") as processes:
        assert answers(processes) == ["owns"]
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        assert not refused(run, "0/1")


def test_a_claim_ends_with_its_block(run: Run) -> None:
    with claim(run, Share()):
        pass
    with owners(run, "0/1") as processes:
        assert answers(processes) == ["owns"]


def heartbeat(run: Run, name: str, share: str, age_s: float, host: str = "another", end: bool = False) -> None:
    moment = time.time() - age_s
    records: list[dict[str, Any]] = [{"t": moment, "kind": "start", "share": share, "host": host, "pid": 7}, {"t": moment, "kind": "usage"}]
    records += [{"t": moment, "kind": "end", "code": 0, "reason": ""}] if end else []
    (run.folder / "journal" / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_sign_of_life_on_another_host_refuses(run: Run) -> None:
    heartbeat(run, "0001-1of4-0", "1/4", 5)
    with pytest.raises(Busy, match="process 7 on another") as caught, claim(run, Share(1, 4)):
        pass
    assert caught.value.code == Exit.AGAIN
    assert [share for share in ("0/4", "2/4", "0/1", "1/2", None) if refused(run, share)] == ["0/1", "1/2", None]


@pytest.mark.parametrize("share", ["0/1", "0/0"])
def test_a_run_finished_elsewhere_is_left_alone(run: Run, share: str) -> None:
    heartbeat(run, "0001", share, 5)
    assert refused(run, "0/1")
    assert refused(run, "1/4")


def test_who_ended_or_fell_silent_elsewhere_does_not_refuse(run: Run) -> None:
    heartbeat(run, "0001", "0/1", 5, end=True)
    heartbeat(run, "0002", "0/1", SILENT_AFTER_S + 5)
    (run.folder / "journal" / "0003.jsonl").write_text("")
    assert not refused(run, "0/1")


def test_without_locks_the_sign_of_life_counts_on_this_host_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    assert not refused(run, "0/1")
    start = {"t": time.time(), "kind": "start", "share": "0/1", "host": socket.gethostname(), "pid": 7}
    (run.folder / "journal" / "0001.jsonl").write_text(json.dumps(start) + "\n")
    assert refused(run, "0/1")

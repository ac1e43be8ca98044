"""All that a process prints is kept, whoever prints it and however the process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labwright.runs.log import WAIT_S, kept
from tests.parts.toy_recipe import until

PRINTS = """
import os, subprocess, sys, signal
from pathlib import Path
from labwright.runs.log import kept
with kept(Path(sys.argv[1]), show=sys.argv[2] == "show"):
    print("python out")
    print("python err", file=sys.stderr)
    os.write(1, b"native out\\n")
    os.write(2, b"native err\\n")
    subprocess.run(["echo", "child out"])
    sys.stdout.flush()
    {then}
print("afterwards")
"""
LINES = {"python out", "python err", "native out", "native err", "child out"}


def start(path: Path, show: str = "show", then: str = "pass", **options: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRINTS.replace("{then}", then), str(path), show]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, text=True, **streams)  # type: ignore[call-overload, no-any-return]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_everything_is_shown_where_it_went_and_kept(tmp_path: Path) -> None:
    with start(tmp_path / "a.log") as process:
        out, err = process.communicate()
    assert set(lines(tmp_path / "a.log")) == LINES
    assert set(out.splitlines()) == {"python out", "native out", "child out", "afterwards"}
    assert set(err.splitlines()) == {"python err", "native err"}


def test_quiet_keeps_and_shows_nothing(tmp_path: Path) -> None:
    with start(tmp_path / "a.log", show="quiet") as process:
        out, err = process.communicate()
    assert set(lines(tmp_path / "a.log")) == LINES
    assert out == "afterwards\n"
    assert err == ""


def test_a_killed_process_leaves_all_that_it_had_printed(tmp_path: Path) -> None:
    with start(tmp_path / "a.log", then="os.kill(os.getpid(), signal.SIGKILL)") as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    until(lambda: set(lines(tmp_path / "a.log")) == LINES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_job_leaves_the_log_at_work(tmp_path: Path, number: signal.Signals) -> None:
    then = f"signal.signal({int(number)}, lambda *_: print('last words', flush=True)); print('ready', flush=True); signal.pause()"
    with start(tmp_path / "a.log", then=then) as process:
        until(lambda: "ready" in lines(tmp_path / "a.log"))
        tees = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True).stdout
        children = [int(line.split()[0]) for line in tees.splitlines()]
        assert len(children) == 1
        for pid in (*children, process.pid):
            os.kill(pid, number)
        process.communicate(timeout=10)
    assert process.returncode == 0
    assert "last words" in lines(tmp_path / "a.log")


def test_a_reader_that_left_stops_nothing(tmp_path: Path) -> None:
    then = "import time; os.write(1, b'x' * 100_000); time.sleep(0.3); os.write(1, b'last words\\n')"
    with start(tmp_path / "a.log", then=then) as process:
        assert process.stdout is not None
        process.stdout.close()
        until(lambda: "last words" in " ".join(lines(tmp_path / "a.log")))


def test_a_log_is_continued(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("# head\n")
    with start(tmp_path / "a.log") as process:
        process.communicate()
    assert lines(tmp_path / "a.log")[0] == "# head"
    assert set(lines(tmp_path / "a.log")) == LINES | {"# head"}


def test_the_terminal_is_handed_out_and_given_back(tmp_path: Path) -> None:
    before = [os.fstat(number).st_ino for number in (1, 2)]
    with kept(tmp_path / "a.log", show=False) as terminal:
        assert os.fstat(terminal).st_ino == before[1]
        assert [os.fstat(number).st_ino for number in (1, 2)] != before
    assert [os.fstat(number).st_ino for number in (1, 2)] == before


def test_a_grandchild_that_stays_does_not_hold_us(tmp_path: Path) -> None:
    began = time.monotonic()
    with start(
        tmp_path / "a.log", then="subprocess.Popen(['sleep', '8'])", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        process.wait()
    assert time.monotonic() - began < 2 * WAIT_S + 3

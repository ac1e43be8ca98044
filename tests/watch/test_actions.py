"""Stopping a run from the page is what SIGTERM from a terminal is, and reaches the right process only."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labwright.runs.errors import CommandError, MissingError
from labwright.watch.actions import stop
from tests.watch import made

HERE = socket.gethostname()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_process_at_work_is_asked_to_stop(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(time.time(), pid=sleeper.pid, host=HERE)]})
    assert stop(run).startswith("asked 1 process to stop")
    assert sleeper.wait(5) == -15


def test_a_process_that_took_over_the_number_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    began = time.time() - 3600
    journal = [made.start(began, pid=sleeper.pid, host=HERE), made.usage(time.time())]
    with pytest.raises(CommandError, match="no process of it is to be found here"):
        stop(made.run_folder(tmp_path / "run", {"0001": journal}))
    assert sleeper.poll() is None


def test_a_process_of_another_host_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.start(time.time(), pid=sleeper.pid, host="node7")]})
    with pytest.raises(CommandError, match="node7"):
        stop(run)
    assert sleeper.poll() is None


def test_a_run_that_nobody_works_on_cannot_be_stopped(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    journal = [made.start(time.time(), pid=sleeper.pid, host=HERE), made.end(time.time(), 75)]
    with pytest.raises(MissingError, match="nothing works on this run"):
        stop(made.run_folder(tmp_path / "run", {"0001": journal}))
    assert sleeper.poll() is None

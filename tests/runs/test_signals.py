"""A signal sets a flag, a second one ends the process, and a deadline is a signal too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from labwright.runs.signals import SIGNALS, StopFlag

WAITS = """
import sys, time
from labwright.runs import signals
from labwright.runs.signals import StopFlag
signals.TWICE_S = float(sys.argv[1])
flag = StopFlag()
with flag.handling():
    print("ready", flush=True)
    while not flag():
        time.sleep(0.01)
    print(flag.reason, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_sets_the_flag_and_nothing_else(number: signal.Signals) -> None:
    flag = StopFlag()
    before = signal.getsignal(number)
    with flag.handling():
        assert not flag()
        os.kill(os.getpid(), number)
        assert flag()
        assert flag.reason == f"{number.name} came"
    assert signal.getsignal(number) == before


def test_the_first_reason_is_told() -> None:
    flag = StopFlag()
    flag.set("first")
    flag.set("second")
    assert flag()
    assert flag.reason == "first"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (["SIGTERM", "SIGTERM"], 128 + signal.SIGTERM),
        (["SIGINT", "SIGTERM"], 128 + signal.SIGTERM),
        (["SIGUSR1", "SIGTERM", "SIGINT"], 128 + signal.SIGINT),
    ],
)
def test_who_insists_ends_the_process_at_once(sent: list[str], code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS, "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.Signals[sent[0]])
        assert process.stdout.readline() == f"{sent[0]} came\n"
        for name in sent[1:]:
            assert process.poll() is None, "a scheduler's warning is no insistence"
            process.send_signal(signal.Signals[name])
            time.sleep(0.1)
        assert process.wait(timeout=10) == code


def test_a_sigterm_that_comes_twice_in_a_row_is_one() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS, "1000"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 128 + signal.SIGINT


def test_a_deadline_asks_for_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    flag = StopFlag(deadline=100.0)
    monkeypatch.setattr(time, "time", lambda: 99.0)
    assert not flag()
    monkeypatch.setattr(time, "time", lambda: 100.0)
    assert flag()
    assert flag.reason == "the deadline has come"


def test_outside_of_the_main_thread_the_flag_alone_counts() -> None:
    flag = StopFlag()
    seen: list[bool] = []

    def work() -> None:
        with flag.handling():
            flag.set("so it is")
            seen.append(flag())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]

"""Each joule is charged to one stage, survives a kill, and is never a made-up zero."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs import energy as module
from labwright.runs import journal
from labwright.runs.energy import Energy, amount, in_words, rows, totals
from labwright.runs.journal import Journal
from labwright.runs.meters import Found, Reading

KILLED = """
import sys, time
from pathlib import Path
from labwright.runs.energy import Energy
from labwright.runs.journal import Journal
from labwright.runs.usage import Sampler
journal = Journal(Path(sys.argv[1]))
energy = Energy(journal.record)
sampler = Sampler(journal.record, energy, interval_s=0.05)
sampler.start()
with energy.stage("train"):
    while True:
        sum(range(1000))
"""


class Lab:
    """A clock and meters that a test moves, and the records that come out."""

    def __init__(self, **methods: str) -> None:
        self.now = 0.0
        self.records: list[dict[str, Any]] = []
        self.meters = [FakeMeter(method, scope) for method, scope in methods.items()]
        self.energy = Energy(self.record, self.meters, clock=lambda: self.now)

    def record(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def use(self, seconds: float, *joules: float | None) -> None:
        """Let time pass in which each meter counts its joules (None: cannot be read)."""
        self.now += seconds
        for meter, step in zip(self.meters, joules, strict=True):
            meter.waiting = None if step is None or meter.waiting is None else meter.waiting + step

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        self.energy.flush()
        return {(row["stage"], row["method"]): row for row in rows(self.records)}


class FakeMeter:
    """Gives what a test put in."""

    def __init__(self, method: str, scope: str) -> None:
        self.method, self.scope = method, scope
        self.waiting: float | None = 0.0
        self.closed = False

    def read(self) -> Reading:
        waiting, self.waiting = self.waiting, 0.0
        return Reading(waiting, 0.0 if waiting is None else 1.0)

    def close(self) -> None:
        self.closed = True


def test_the_innermost_stage_is_charged() -> None:
    lab = Lab(RAPL="cpu packages")
    lab.use(1, 5)
    with lab.energy.stage("train"):
        lab.use(10, 100)
        with lab.energy.stage("validate"):
            lab.use(2, 30)
        lab.use(10, 200)
    lab.use(1, 7)
    charged = {stage: (row["joules"], row["seconds"]) for (stage, _), row in lab.rows().items()}
    assert charged == {"other": (12, 2), "train": (300, 20), "validate": (30, 2)}
    assert lab.energy.joules() == 342


def test_a_stage_that_fails_is_left() -> None:
    lab = Lab(RAPL="cpu packages")
    with contextlib.suppress(RuntimeError), lab.energy.stage("train"):
        lab.use(1, 1)
        raise RuntimeError
    lab.use(1, 2)
    assert lab.rows()["other", "RAPL"]["joules"] == 2


def test_each_meter_has_its_own_row_and_unlike_methods_stay_apart() -> None:
    lab = Lab(**{"NVML counter": "gpu 0", "RAPL": "cpu packages"})
    with lab.energy.stage("train"):
        lab.use(10, 3000, 400)
    found = lab.rows()
    assert found["train", "NVML counter"]["joules"] == 3000
    assert found["train", "RAPL"]["joules"] == 400
    assert totals(found.values()) == {"NVML counter": 3000, "RAPL": 400}
    assert in_words(found.values()) == "3 kJ by NVML counter and 400 J by RAPL"
    assert lab.energy.joules() == 3400
    assert lab.energy.method() == "NVML counter (gpu 0) + RAPL (cpu packages)"


def test_without_a_meter_the_row_says_not_measured_and_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[dict[str, Any]] = []
    now = [0.0]
    monkeypatch.setattr(module, "find", lambda: Found([], {}))
    energy = Energy(lambda kind, **fields: records.append({"kind": kind, **fields}), clock=lambda: now[0])
    with energy.stage("train"):
        now[0] = 60
    assert energy.joules() is None
    assert energy.method() == "not measured"
    energy.close()
    (row,) = rows(records)
    assert row == {"stage": "train", "method": "not measured", "scope": "", "joules": None, "seconds": 60, "coverage": 0}
    assert in_words([row]) == "not measured"
    assert amount(row["joules"]) == "not measured"


def test_a_meter_that_fails_is_not_measured_and_lowers_the_coverage_when_it_comes_back() -> None:
    lab = Lab(RAPL="cpu packages")
    with lab.energy.stage("train"):
        lab.use(30, None)
        assert lab.rows()["train", "RAPL"]["joules"] is None
        assert lab.energy.joules() is None
        lab.use(10, 50)
    row = lab.rows()["train", "RAPL"]
    assert (row["joules"], row["seconds"], row["coverage"]) == (50, 40, 0.25)


def test_a_process_that_another_one_measures_records_nothing() -> None:
    lab = Lab()
    with lab.energy.stage("part"):
        lab.use(60)
    lab.energy.close()
    assert lab.records == []


def test_a_child_does_not_measure_what_its_parent_measures_already() -> None:
    code = "import time; from labwright.runs.energy import Energy; e = Energy(print); time.sleep(0.3); e.joules(); print(e.method())"

    def method() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    measuring = Energy(lambda kind, **fields: None)
    try:
        assert method() == "not measured"
    finally:
        measuring.close()
    assert method() != "not measured"
    assert "LABWRIGHT_MEASURED_BY" not in os.environ


def test_attempts_add_up_row_by_row() -> None:
    one = {"kind": "energy", "stage": "train", "method": "RAPL", "scope": "cpu packages"}
    merged = rows(
        [
            {**one, "joules": 100.0, "coverage": 1.0, "seconds": 10.0},
            {"kind": "usage"},
            {**one, "joules": None, "coverage": 0.0, "seconds": 10.0},
            {**one, "joules": 50.0, "coverage": 0.5, "seconds": 20.0},
            {**one, "stage": "validate", "joules": 7.0, "coverage": 1.0, "seconds": 1.0},
            {**one, "method": "estimate", "joules": 3.0, "coverage": 1.0, "seconds": 5.0},
        ]
    )
    assert [(row["stage"], row["method"], row["joules"], row["seconds"], row["coverage"]) for row in merged] == [
        ("train", "RAPL", 150, 40, 0.5),
        ("validate", "RAPL", 7, 1, 1),
        ("train", "estimate", 3, 5, 1),
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 100), st.integers(0, 1000), st.booleans()), max_size=30))
def test_increments_add_up_to_the_whole_however_often_they_are_flushed(moves: list[tuple[str, float, int, bool]]) -> None:
    lab = Lab(RAPL="cpu packages")
    for stage, seconds, joules, flush in moves:
        with lab.energy.stage(stage):
            lab.use(seconds, joules)
            if flush:
                lab.energy.flush()
    found = lab.rows()
    assert sum(row["joules"] for row in found.values()) == pytest.approx(sum(joules for _, _, joules, _ in moves), abs=0.01)
    for stage in {stage for stage, *_ in moves}:
        assert found[stage, "RAPL"]["joules"] == pytest.approx(sum(move[2] for move in moves if move[0] == stage), abs=0.01)


def test_what_a_killed_attempt_used_stays_counted(tmp_path: Path) -> None:
    path = tmp_path / "0001.jsonl"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)]) as process:
        try:
            while not any(record["stage"] == "train" and record["joules"] for record in journal.read(tmp_path, "energy")):
                assert process.poll() is None
        finally:
            process.send_signal(signal.SIGKILL)
    killed = {row["stage"]: row["joules"] for row in rows(journal.read(tmp_path, "energy"))}
    second = Journal(tmp_path / "0002.jsonl")
    second.record(
        "energy", stage="train", joules=5.0, method="estimate, 10 W per busy core", scope="this process tree", coverage=1, seconds=1
    )
    second.close()
    both = {row["stage"]: row["joules"] for row in rows(journal.read(tmp_path, "energy"))}
    assert killed["train"] > 0
    assert both["train"] == pytest.approx(killed["train"] + 5)


def test_closing_lets_go_of_the_meters_and_may_happen_twice() -> None:
    lab = Lab(RAPL="cpu packages")
    lab.use(1, 4)
    lab.energy.close()
    lab.energy.close()
    assert lab.meters[0].closed
    assert [record["joules"] for record in lab.records] == [4]


@pytest.mark.parametrize(
    ("joules", "text"),
    [(0.0, "0 J"), (12.345, "12.3 J"), (1234.0, "1.23 kJ"), (5.9e6, "5.9 MJ"), (1.2e12, "1200 GJ"), (None, "not measured")],
)
def test_amounts_are_written_with_three_digits(joules: float | None, text: str) -> None:
    assert amount(joules) == text

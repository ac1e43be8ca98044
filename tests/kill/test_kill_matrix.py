"""SIGKILL at named points and at any moment; then the same command again gives what an unbroken run gives."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from labwright.runs.faults import POINTS
from labwright.testing.commands import until
from tests.kill.ground import OPTIONS, STEPS, Ground, finished, killed

CASES = (
    ("pack", "step:before-rename"),
    ("pack", "parts:before-sync"),
    ("pack", "shard:before-write"),
    ("pack", "shard:before-rename@5"),
    ("pack", "shard:after-rename@9"),
    ("pack", "journal:mid-line@9"),
    ("pack", "part:before-record@3"),
    ("pack", "part:after-record@6"),
    ("pack", "pack:before-rename@4"),
    ("pack", "pack:after-rename@9"),
    ("pack", "finish:before"),
    ("pack", "report:before-rename"),
    ("pack", "done:before-rename"),
    ("pack", "finish:after"),
    ("check", "journal:mid-line"),
    ("train", "journal:mid-line@12"),
    ("train", "checkpoint:before-write"),
    ("train", "checkpoint:before-rename@8"),
    ("train", "checkpoint:after-rename@9"),
    ("train", "checkpoint:before-rename@20"),
    ("train", "train:step@5"),
    ("train", "train:before-validate@2"),
    ("train", "train:in-validate@5"),
    ("train", "train:after-validate@3"),
    ("train", "train:best-copy@2"),
    ("train", "train:prune@2"),
    ("train", "model:before-rename"),
    ("train", "done:before-sync"),
    ("predict", "output:before-rename"),
    ("evaluate", "output:after-rename"),
    ("evaluate", "done:after-rename"),
)
"""The step whose run comes first, and the point."""
OF_A_STUDY = [point for point in POINTS if not point.startswith("submission:")]
"""The points that a study on this machine comes to."""
MOMENTS = 5


def recorded(runs: Path) -> int:
    """How many lines stand in the journals."""
    return sum(path.read_bytes().count(b"\n") for path in runs.glob("*/journal/*.jsonl"))


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> None:
    """The test counts in the line ``kill matrix: n of n``."""
    record_property("matrix", "kill matrix")


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(("begin", "point"), CASES)
def test_a_kill_at_a_point_changes_nothing(ground: Ground, begin: str, point: str) -> None:
    runs = ground.case(begin)
    assert killed(ground.start(runs, fault=point)), f"{point} was never come to"
    assert finished(ground, runs) == []


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_kill_at_a_random_moment_changes_nothing(ground: Ground, moment: int) -> None:
    random = np.random.default_rng(moment)
    # Told by progress and not by the clock, so that the moment comes on a slow machine too.
    share, delay = random.uniform(0, 0.9), random.uniform(0, 0.05)
    for _ in range(5):
        runs = ground.case()
        command = ground.start(runs)
        until(lambda: recorded(runs) >= share * recorded(ground.unbroken) or not command.process.is_alive())  # noqa: B023 - called at once
        time.sleep(delay)
        command.kill()
        if command.process.exitcode == -signal.SIGKILL:
            break
    assert command.process.exitcode == -signal.SIGKILL
    assert finished(ground, runs) == []


@pytest.mark.usefixtures("counted")
def test_a_kill_with_several_workers_and_long_gaps_between_checkpoints_changes_nothing(ground: Ground) -> None:
    sets = ("run.on.workers=2", "train.checkpoint_every_s=1000")
    runs = ground.case()
    assert killed(ground.start(runs, *sets, fault="part:before-record@3"))
    assert killed(ground.start(runs, *sets, fault="train:step@8"))
    assert finished(ground, runs, *sets) == []


@pytest.mark.usefixtures("counted")
def test_kills_one_after_the_other_change_nothing(ground: Ground) -> None:
    runs = ground.case("train")
    for point in (
        "checkpoint:after-rename",
        "train:step@2",
        "train:in-validate@2",
        "train:best-copy",
        "journal:mid-line@9",
        "model:before-sync",
    ):
        assert killed(ground.start(runs, fault=point)), f"{point} was never come to"
    assert finished(ground, runs) == []


def test_a_killed_worker_is_said_and_loses_nothing(ground: Ground) -> None:
    runs = ground.case()
    command = ground.start(runs, "run.on.workers=2", fault="shard:before-rename")
    assert command.wait() == 70
    assert "a worker process was killed" in command.err.read_text()
    assert finished(ground, runs) == []


def test_the_environment_arms_a_point(ground: Ground) -> None:
    runs = ground.case()
    options = [word for one in OPTIONS for word in ("--set", one)]
    words = [sys.executable, "-m", "labwright", "run", ground.study, "--runs", runs, "--step", "pack", *options]
    environment = {**os.environ, "LABWRIGHT_FAULT": "shard:after-rename@2"}
    assert subprocess.run(words, env=environment, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert finished(ground, runs) == []


def test_every_point_can_be_come_to_and_enough_of_them_are_killed_at(reached: Mapping[str, int]) -> None:
    assert set(reached) == set(OF_A_STUDY)
    assert len({point.partition("@")[0] for _, point in CASES}) >= 15
    assert {begin for begin, _ in CASES} == set(STEPS)


@pytest.mark.slow
@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("when", ["first", "middle", "last"])
@pytest.mark.parametrize("point", OF_A_STUDY)
def test_a_kill_at_every_point_changes_nothing(ground: Ground, reached: Mapping[str, int], point: str, when: str) -> None:
    number = {"first": 1, "middle": math.ceil(reached[point] / 2), "last": reached[point]}[when]
    runs = ground.case()
    assert killed(ground.start(runs, fault=f"{point}@{number}")), f"{point} was never come to for the {number}th time"
    assert finished(ground, runs) == []

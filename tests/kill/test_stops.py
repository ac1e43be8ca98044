"""SIGTERM ends within a step or a validation batch with exit code 75, a second process is refused, and no digit changes."""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labwright.runs.errors import Exit
from labwright.testing.commands import Command, until
from tests.kill.equal import differences
from tests.kill.ground import Ground, finished, slowly, training


def passed(trace: Path) -> list[tuple[float, str]]:
    """When the training came through which point."""
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [(float(at), point) for at, _, point in (line.partition(" ") for line in lines)]


def slow(ground: Ground, runs: Path) -> tuple[Command, Path]:
    """A study whose training takes its time, and the file that tells where it is."""
    trace = runs / "trace.txt"
    return ground.start(runs, before=partial(slowly, trace)), trace


@pytest.mark.parametrize(("point", "moment"), [("train:step", 0), ("train:step", 1), ("train:in-validate", 2)])
def test_sigterm_stops_within_one_step_or_batch_and_changes_nothing(ground: Ground, point: str, moment: int) -> None:
    random = np.random.default_rng(moment)
    runs = ground.case("train")
    command, trace = slow(ground, runs)
    count = int(random.integers(1, 9))
    until(lambda: sum(where == point for _, where in passed(trace)) >= count)
    if point == "train:in-validate":
        # The last batch of a validation is followed by a step.
        until(lambda: passed(trace)[-1][1] == point)
    time.sleep(random.uniform(0, 0.05))
    told = time.time()
    command.stop()
    assert command.wait() == Exit.AGAIN
    assert len([at for at, _ in passed(trace) if at > told]) <= 1
    (said,) = command.err.read_text().splitlines()
    assert "Run the same command again" in said
    assert training(runs).state() == "stopped"
    assert finished(ground, runs) == []


def test_sigterm_while_packing_keeps_the_parts_that_are_done(ground: Ground) -> None:
    runs = ground.case()
    command = ground.start(runs, before=stop_in_the_third_part)
    assert command.wait() == Exit.AGAIN
    (pack,) = runs.glob("pack-*")
    assert len(list(pack.glob("output/pack.zarr/images/*/c/*/0/0"))) == 3
    assert finished(ground, runs) == []


def stop_in_the_third_part() -> None:
    import os

    from labwright.cells import pack

    right, calls = pack.write_shard, []

    def write_shard(path: Path, *rest: object) -> None:
        calls.append(path)
        if len(calls) == 7:  # images, labels and targets of two parts, and the first of the third
            os.kill(os.getpid(), signal.SIGTERM)
        right(path, *rest)  # type: ignore[arg-type]

    pack.write_shard = write_shard  # type: ignore[assignment]


def test_a_second_process_on_the_same_run_is_refused_and_touches_nothing(ground: Ground) -> None:
    runs = ground.case("train")
    first, trace = slow(ground, runs)
    until(lambda: len(passed(trace)) > 0)
    second = ground.start(runs)
    assert second.wait() == Exit.AGAIN
    assert "another process" in second.err.read_text()
    assert first.process.is_alive()
    assert [path.name for path in training(runs).folder.glob("journal/*.jsonl")] == ["0001.jsonl"]
    assert first.wait() == 0
    assert differences(ground.unbroken, runs) == []

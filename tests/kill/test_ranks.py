"""Two processes train together: as one would, and a kill, a signal or an error of either ends both, costs nothing and is said."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from labwright.learn.checkpoints import Checkpoints
from labwright.learn.tensors import read
from labwright.runs.errors import Exit
from labwright.testing.commands import Command, until
from tests.kill.equal import differences
from tests.kill.ground import Ground, slowly, training

WORLD = 2


def as_rank(rank: int, port: int, then: Callable[[], None] | None) -> None:
    """What a launcher says to a process."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(WORLD), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(WORLD)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    if then is not None:
        then()


def together(
    ground: Ground, run: Path, *, faults: Mapping[int, str] | None = None, before: Mapping[int, Callable[[], None]] | None = None
) -> list[Command]:
    """The same command once for each rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        ground.step(run, fault=(faults or {}).get(rank, ""), before=partial(as_rank, rank, port, (before or {}).get(rank)))
        for rank in range(WORLD)
    ]


def codes(commands: list[Command]) -> list[int]:
    return [command.wait() for command in commands]


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "journal").glob("*.jsonl"))


def finished(ground: Ground, runs: Path, unbroken: Path) -> list[str]:
    """Start both again, to the end; what differs from the unbroken training by two."""
    again = together(ground, training(runs).folder)
    assert codes(again) == [Exit.DONE] * WORLD, [command.said() for command in again]
    return differences(unbroken, runs)


@pytest.fixture(scope="module")
def unbroken(ground: Ground) -> Path:
    """The runs of an unbroken training by two processes."""
    runs, run = ground.prepared()
    commands = together(ground, run)
    assert codes(commands) == [Exit.DONE] * WORLD, [command.said() for command in commands]
    return runs


def test_two_processes_leave_what_one_leaves(ground: Ground, unbroken: Path) -> None:
    run = training(unbroken)
    assert names(run.folder) == ["0001-0of1-1.jsonl", "0001.jsonl"]
    assert run.attempts() == 1
    follower = [record["kind"] for record in run.records() if record["file"] == "0001-0of1-1"]
    assert set(follower) == {"start", "usage", "end"}
    assert [record["code"] for record in run.records("end")] == [Exit.DONE] * WORLD
    assert run.curves().keys() == training(ground.unbroken).curves().keys()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_the_same_batches(ground: Ground, unbroken: Path) -> None:
    # Batch statistics are those of a process's own share, as they are those of a piece.
    alone = ground.case("train")
    command = ground.start(alone, "train.accumulate=2")
    assert command.wait() == 0, command.said()
    ours, theirs = (read(training(runs).output("model") / "model.safetensors") for runs in (unbroken, alone))
    learned = [name for name in ours if "running" not in name and "batches" not in name]
    assert learned
    for name in learned:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_death_of_one_ends_the_other_with_75_and_costs_nothing(ground: Ground, unbroken: Path, rank: int) -> None:
    runs, run = ground.prepared()
    commands = together(ground, run, faults={rank: "train:step@5"})
    assert commands[rank].wait() == -signal.SIGKILL
    assert commands[1 - rank].wait() == Exit.AGAIN
    assert "another process of the training was lost" in commands[1 - rank].err.read_text()
    assert "Traceback" not in commands[1 - rank].said()
    assert finished(ground, runs, unbroken) == []


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_signal_to_one_stops_both_after_the_same_step(ground: Ground, unbroken: Path, rank: int) -> None:
    runs, run = ground.prepared()
    traces = [runs / f"trace-{one}.txt" for one in range(WORLD)]
    commands = together(ground, run, before={one: partial(slowly, traces[one]) for one in range(WORLD)})
    until(lambda: traces[rank].exists() and traces[rank].read_text().count("train:step") >= 4)
    os.kill(int(commands[rank].process.pid), signal.SIGTERM)
    assert codes(commands) == [Exit.AGAIN] * WORLD
    assert all(f"SIGTERM came (rank {rank})" in command.err.read_text() for command in commands)
    steps = [trace.read_text().count("train:step") for trace in traces]
    assert steps[0] == steps[1] == Checkpoints(run / "checkpoints" / "model").steps()[-1]
    assert training(runs).state() == "stopped"
    assert finished(ground, runs, unbroken) == []


def test_an_error_of_one_is_the_error_of_both(ground: Ground) -> None:
    _, run = ground.prepared()
    commands = together(ground, run, before={1: lose_the_third_loss})
    assert codes(commands) == [Exit.DATA] * WORLD
    assert all("the loss is nan at step 3" in command.err.read_text() for command in commands)


def lose_the_third_loss() -> None:
    from labwright.cells.train import CellsTask

    right = CellsTask.loss

    def loss(self: CellsTask, batch: Any, clock: Any) -> Any:
        value, figures = right(self, batch, clock)
        return value * float("nan") if clock.step == 2 else value, figures

    CellsTask.loss = loss  # type: ignore[method-assign]


@pytest.mark.slow
def test_who_hangs_is_taken_for_lost(ground: Ground, unbroken: Path) -> None:
    runs, run = ground.prepared()
    commands = together(ground, run, before={0: impatient, 1: hang_in_the_fourth_step})
    assert commands[0].wait() == Exit.AGAIN
    assert training(runs).records("end")[0]["reason"].startswith("another process of the training was lost: rank 1 has given no sign")
    commands[1].kill()
    assert finished(ground, runs, unbroken) == []


def impatient() -> None:
    from labwright.parts import ranks

    ranks.BEAT_S, ranks.LOST_AFTER_S, ranks.LEAVE_S = 0.1, 2.0, 0.2


def hang_in_the_fourth_step() -> None:
    from labwright.learn import loop

    calls = []

    def fault(name: str) -> None:
        calls.append(name)
        if calls.count("train:step") == 4:
            os.kill(os.getpid(), signal.SIGSTOP)

    loop.fault = fault


def test_a_training_that_is_done_is_left_alone_by_all(ground: Ground, unbroken: Path) -> None:
    run = training(unbroken).folder
    before = names(run)
    assert codes(together(ground, run)) == [Exit.DONE] * WORLD
    assert names(run) == before


def test_a_second_group_is_refused(ground: Ground) -> None:
    _, run = ground.prepared()
    trace = run.parent / "trace.txt"
    first = together(ground, run, before={0: partial(slowly, trace)})
    until(trace.exists)
    second = together(ground, run)
    assert codes(second) == [Exit.AGAIN] * WORLD
    assert all("another process" in command.err.read_text() for command in second)
    assert codes(first) == [Exit.DONE] * WORLD
    assert len(names(run)) == WORLD


def test_only_a_training_is_for_several(ground: Ground) -> None:
    runs = ground.case("evaluate")
    for run in (next(runs.glob("pack-*")), next(runs.glob("predict-*"))):
        assert codes(together(ground, run)) == [Exit.COMMAND] * WORLD
    assert json.loads((run / "step.json").read_text())["step"] == "predict"


@pytest.mark.slow
def test_torchrun_starts_them_too(ground: Ground, unbroken: Path) -> None:
    runs, run = ground.prepared()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(WORLD), "--rdzv-backend", "c10d"]
    words = [*launcher, "--rdzv-endpoint", "localhost:0", "-m", "labwright", "step", str(run)]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert names(run) == ["0001-0of1-1.jsonl", "0001.jsonl"]
    assert differences(unbroken, runs) == []

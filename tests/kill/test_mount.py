"""The mount under the runs goes away and comes back, or does not: work goes on, or ends with 75, and no digit changes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from labwright.runs.errors import Exit
from labwright.testing import mount
from labwright.testing.commands import Command, until
from tests.kill.equal import differences
from tests.kill.ground import Ground, counting, finished, killed, training

AWAY = "the file system does not answer"
MOMENTS = (
    ("pack", "parts:before-write"),
    ("pack", "shard:before-sync@5"),
    ("pack", "shard:before-rename@2"),
    ("pack", "part:before-record@3"),
    ("pack", "finish:before"),
    ("train", "journal:mid-line@12"),
    ("train", "checkpoint:before-write@3"),
    ("train", "checkpoint:before-sync@5"),
    ("train", "checkpoint:before-rename@7"),
    ("train", "checkpoint:after-rename@9"),
    ("train", "train:step@5"),
    ("train", "train:before-validate@2"),
    ("train", "train:best-copy@2"),
    ("train", "train:prune@2"),
    ("train", "model:before-rename"),
    ("train", "report:before-sync"),
    ("train", "done:before-write"),
    ("predict", "output:before-sync@2"),
)
"""The step whose run comes first, and when the mount goes."""


def vanishing(runs: Path, control: Path, point: str, word: str) -> None:
    """The mount goes when the process comes to a point."""
    name, _, nth = point.partition("@")
    mount.fail_below(runs, control)
    counting(lambda come, count: control.write_text(word) if (come, count) == (name, int(nth or 1)) else None)


def impatiently(runs: Path, control: Path, point: str) -> None:
    from labwright.runs import journal, patience

    patience.PATIENCE_S, journal.LAST_S = 0.5, 0.2
    vanishing(runs, control, point, mount.GONE)


def start(ground: Ground, begin: str, point: str, word: str = mount.GONE) -> tuple[Path, Path, Command]:
    runs = ground.case(begin)
    control = runs.with_name(f"{runs.name}.control")
    return runs, control, ground.start(runs, before=partial(vanishing, runs, control, point, word))


def unhurt(ground: Ground, runs: Path, command: Command) -> None:
    """It ended well by itself, in one attempt, as if nothing had been."""
    assert command.wait() == Exit.DONE, command.said()
    assert differences(ground.unbroken, runs) == []
    assert training(runs).attempts() == 1


@pytest.mark.parametrize(
    ("begin", "point"), [pytest.param(*moment, marks=[] if number % 4 == 0 else pytest.mark.slow) for number, moment in enumerate(MOMENTS)]
)
def test_a_mount_that_comes_back_costs_nothing(ground: Ground, begin: str, point: str) -> None:
    runs, control, command = start(ground, begin, point)
    until(lambda: AWAY in command.said())
    time.sleep(0.5)
    control.unlink()
    unhurt(ground, runs, command)
    assert command.said().count(AWAY) == 1


def test_a_mount_that_hangs_is_waited_for(ground: Ground) -> None:
    runs, control, command = start(ground, "train", "checkpoint:before-rename@4", mount.HUNG)
    until(control.exists)
    time.sleep(1.0)
    assert command.process.is_alive()
    control.unlink()
    unhurt(ground, runs, command)
    assert AWAY not in command.said()


def test_a_training_goes_on_between_two_checkpoints_and_its_records_come_later(ground: Ground) -> None:
    runs = ground.case("train")
    control, trace = runs.with_name(f"{runs.name}.control"), runs.with_name(f"{runs.name}.trace")
    sets = ("train.checkpoint_every_s=1000",)
    command = ground.start(runs, *sets, before=partial(away_for_two_steps, runs, control, trace))
    unhurt(ground, runs, command)
    # From one step of an epoch to the next nothing but records is written, so that nobody had to wait.
    assert trace.read_text() == mount.GONE
    assert AWAY not in command.said()


def away_for_two_steps(runs: Path, control: Path, trace: Path) -> None:
    mount.fail_below(runs, control)

    def come(name: str, count: int) -> None:
        if (name, count) == ("train:step", 4):
            control.write_text(mount.GONE)
        if (name, count) == ("train:step", 5):
            control.rename(trace)

    counting(come)


@pytest.mark.parametrize(
    "point",
    [
        "checkpoint:before-write@3",
        *(
            pytest.param(point, marks=pytest.mark.slow)
            for point in ("pack:before-sync", "train:step@8", "model:before-sync", "finish:before@3")
        ),
    ],
)
def test_a_mount_that_is_gone_for_good_ends_with_75_and_costs_a_checkpoint_interval(ground: Ground, point: str) -> None:
    runs = ground.case()
    control = runs.with_name(f"{runs.name}.control")
    command = ground.start(runs, before=partial(impatiently, runs, control, point))
    assert command.wait() == Exit.AGAIN
    last = command.err.read_text().splitlines()[-1]
    assert AWAY in last
    assert "Run the same command again when it is back" in last
    control.unlink()
    assert finished(ground, runs) == []


def test_a_stop_is_answered_while_the_mount_is_away(ground: Ground) -> None:
    runs, control, command = start(ground, "train", "checkpoint:before-rename@6")
    until(lambda: AWAY in command.said())
    command.stop()
    assert command.wait(20) == Exit.AGAIN
    assert "a stop was asked for" in command.err.read_text()
    control.unlink()
    assert finished(ground, runs) == []


def test_a_training_that_finds_no_mount_waits_and_does_not_start_anew(ground: Ground) -> None:
    runs = ground.case("train")
    assert killed(ground.start(runs, fault="train:step@8"))
    control = runs.with_name(f"{runs.name}.control")
    control.write_text(mount.GONE)
    command = ground.step(training(runs).folder, before=partial(mount.fail_below, runs, control))
    until(lambda: AWAY in command.said())
    control.unlink()
    assert command.wait() == Exit.DONE, command.said()
    assert "goes on after step 7 of 12" in command.said()
    assert finished(ground, runs) == []


@pytest.mark.parametrize("point", ["checkpoint:before-verify@1", "checkpoint:before-verify@3"])
def test_a_checkpoint_out_of_reach_is_not_taken_for_a_damaged_one(ground: Ground, point: str) -> None:
    runs = ground.case("train")
    assert killed(ground.start(runs, fault="train:step@8"))
    control = runs.with_name(f"{runs.name}.control")
    command = ground.start(runs, before=partial(vanishing_while_verified, runs, control, int(point[-1])))
    until(lambda: AWAY in command.said())
    control.unlink()
    assert command.wait() == Exit.DONE, command.said()
    assert "passed over" not in command.said()
    assert differences(ground.unbroken, runs) == []


def vanishing_while_verified(runs: Path, control: Path, nth: int) -> None:
    from labwright.runs import publish

    mount.fail_below(runs, control)
    right, calls = publish.digest, []

    def digest(path: Path) -> str:
        calls.append(path)
        if len(calls) == nth:
            control.write_text(mount.GONE)
        return right(path)

    publish.digest = digest

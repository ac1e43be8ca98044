"""The comparison of the kill matrix sees what is lost: each part of a checkpoint that is dropped on load turns it red."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labwright.learn import loop, resume
from tests.kill.equal import differences
from tests.kill.ground import EPOCH, Ground, finished, killed


def forget_optimizer() -> None:
    resume.restore_optimizer = lambda folder, learner: None


def forget_average() -> None:
    resume.restore_average = lambda folder, learner: None


def forget_position() -> None:
    """The items of the epoch come from its beginning again; every counter goes on."""
    right = loop._requests

    def requests(task: Any, seed: int, done: int, begins: Any, total: int) -> Iterator[Any]:
        return right(task, seed, done - done % EPOCH, begins, total)

    loop._requests = requests


@pytest.mark.parametrize("control", [forget_optimizer, forget_average, forget_position])
def test_what_is_dropped_on_load_is_seen(ground: Ground, control: Callable[[], None]) -> None:
    runs = ground.case("train")
    # In the middle of the second epoch, so that the position tells.
    assert killed(ground.start(runs, fault=f"train:step@{EPOCH + 2}"))
    found = finished(ground, runs, before=control)
    assert any("of checkpoint model/" in line for line in found)


def test_equal_runs_are_called_equal_and_a_single_bit_is_seen(ground: Ground) -> None:
    runs = ground.case("evaluate")
    again = ground.start(runs)
    assert again.wait() == 0, again.said()
    assert differences(ground.unbroken, runs) == []
    mask = next(iter(sorted(runs.glob("predict-*/output/*_RES/mask*.tif"))))
    content = bytearray(mask.read_bytes())
    content[-1] ^= 1
    mask.write_bytes(content)
    assert any(mask.name in line for line in differences(ground.unbroken, runs))

"""Damaged and missing checkpoints: the one before is taken and that is said, or there is a sentence; never a silent fresh start."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.learn.checkpoints import Checkpoints
from labwright.runs.errors import Exit
from tests.kill.equal import differences
from tests.kill.ground import Ground, killed, training


def stopped(ground: Ground) -> tuple[Path, Checkpoints]:
    """Runs whose training was killed in its third epoch, and its checkpoints."""
    runs = ground.case("train")
    assert killed(ground.start(runs, fault="train:step@8"))
    return runs, Checkpoints(training(runs).folder / "checkpoints" / "model")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "ema.safetensors", "manifest.json", "state.json"])
def test_the_checkpoint_before_a_damaged_one_is_taken_and_that_is_said(ground: Ground, file: str) -> None:
    runs, checkpoints = stopped(ground)
    newest, before = checkpoints.steps()[-1], checkpoints.steps()[-2]
    cut(checkpoints.at(newest) / file)
    again = ground.start(runs)
    assert again.wait() == 0, again.said()
    assert f"checkpoint {newest:06d} is passed over: {file}" in again.said()
    assert f"goes on after step {before} of" in again.said()
    assert differences(ground.unbroken, runs) == []


def test_with_every_checkpoint_destroyed_it_says_so_and_starts_anew(ground: Ground) -> None:
    runs, checkpoints = stopped(ground)
    for step in checkpoints.steps():
        cut(checkpoints.at(step) / "model.safetensors")
    again = ground.start(runs)
    assert again.wait() == 0, again.said()
    assert "no valid checkpoint is left, the training starts from its beginning" in again.said()
    assert differences(ground.unbroken, runs) == []


def test_a_named_checkpoint_that_is_absent_ends_with_66_and_names_those_that_exist(ground: Ground) -> None:
    runs = ground.case("predict")
    command = ground.start(runs, "predict.checkpoint=999")
    assert command.wait() == Exit.MISSING
    (said,) = command.err.read_text().splitlines()
    assert "999" in said
    assert all(str(step) in said for step in Checkpoints(training(runs).folder / "checkpoints" / "model").steps())

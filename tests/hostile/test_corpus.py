"""Every case of the hostile corpus through the command line: the right code, one clear line, no traceback, nothing lost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from labwright.cells.pack import PACK
from labwright.data.packs import Pack
from labwright.runs.errors import Exit
from labwright.runs.publish import TEMPORARY
from labwright.runs.run import Run, runs_in
from labwright.testing.commands import Command, until
from labwright.testing.hostile import CORPUS, Hostile, small_disk
from tests.kill.equal import differences
from tests.kill.ground import Ground, killed, slowly, training

FRAMES = 12
Tell = Callable[[str, object], None]


class Answer(NamedTuple):
    """What came of a case."""

    code: int
    out: str
    err: str


def cases(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [case for case in CORPUS if case.kind == kind], ids=lambda case: case.name)


def labwright(study: Path, *words: str, before: Callable[[], None] | None = None) -> Answer:
    """``labwright run STUDY``, with a training of one step."""
    quick = ("--set", "train.max_steps=1", "--set", "run.on.workers=1", "--set", "run.on.threads=1")
    command = Command(["run", study, *quick, *words], study.parent / "said", before=before)
    return Answer(command.wait(), command.out.read_text(), command.err.read_text())


def judge(case: Hostile, answer: Answer, runs: Path, tell: Tell) -> None:
    """The right exit code, one line of error where there is one, the expected words, and no traceback anywhere."""
    logs = [path.read_text() for path in runs.glob("*/journal/*.log")] if runs.is_dir() else []
    traceback = any("Traceback (most recent call last)" in text or "our fault" in text for text in (answer.out, answer.err, *logs))
    said = all(word in answer.out + answer.err for word in (case.expect_code, case.expect_text) if word)
    tell("hostile", "traceback" if traceback else "clear" if said and answer.code == case.expect_exit else "silent")
    assert not traceback, (answer, logs)
    assert answer.code == case.expect_exit, answer
    assert said, answer
    errors = answer.err.splitlines()
    if case.expect_exit is Exit.DONE:
        assert errors == []
    else:
        (error,) = errors
        assert error.startswith("labwright: ")
        assert case.expect_text in error
    assert not list(runs.rglob(f"{TEMPORARY}*"))


def run_of(step: str, runs: Path) -> Run:
    (found,) = (run for run in runs_in(runs) if run.step == step)
    return found


@cases("data")
def test_bad_data_become_a_finding_and_good_data_are_packed(tmp_path: Path, case: Hostile, record_property: Tell) -> None:
    study, runs = case.make(tmp_path), tmp_path / "runs"
    judge(case, labwright(study), runs, record_property)
    pack = run_of("pack", runs)
    assert pack.state() == "done"
    found = [one for one in pack.findings() if one["code"] == case.expect_code]
    assert found
    assert all(one["place"] and one["text"] for one in found)
    items = Pack.open(pack.output(PACK)).items.to_pylist()
    used = [item for item in items if item["split"]]
    aside = {item["identity"] for item in items if item["aside"]}
    # One frame is bad, or two are alike: the others serve.
    assert len(used) >= FRAMES - 2
    assert len(aside) <= 1
    steps = {run.step for run in runs_in(runs)}
    assert steps == ({"pack", "check", "train", "predict", "evaluate"} if case.expect_exit is Exit.DONE else {"pack", "check"})


@cases("study")
def test_a_bad_study_is_refused_before_anything_is_written(tmp_path: Path, case: Hostile, record_property: Tell) -> None:
    study = case.make(tmp_path)
    before = set(tmp_path.rglob("*"))
    judge(case, labwright(study), tmp_path / "runs", record_property)
    written = set(tmp_path.rglob("*")) - before
    assert {path.name for path in written} == {"said", "out.txt", "err.txt"}


@cases("place")
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, case: Hostile, record_property: Tell) -> None:
    study = case.make(tmp_path)
    before = full if case.name == "full disk" else None
    answer = labwright(study, before=before)
    judge(case, answer, tmp_path / ("small" if before else "runs"), record_property)


def full() -> None:
    """Nothing can be made durable: a disk that is full, as a network file system tells it."""
    import errno
    import os

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.fsync = fsync  # type: ignore[assignment]


def test_a_disk_that_is_full_again_and_again_loses_nothing(ground: Ground) -> None:
    import json
    import subprocess

    disk = ground.folder / "small"
    words = small_disk(disk)
    if words is None:
        pytest.skip("this machine lets nobody mount in a namespace of one's own")
    script = Path(__file__).with_name("growing_disk.py")
    outcome = subprocess.run([*words, sys.executable, script, ground.folder, disk], capture_output=True, text=True, check=True)
    story = json.loads(outcome.stdout)
    for answer in story["full"]:
        assert answer["code"] == Exit.FAULT
        (line,) = answer["err"].splitlines()
        assert "the disk is full. Free some space, or put runs elsewhere with --runs DIR" in line
    assert len(story["full"]) >= 4
    assert len({answer["steps"] for answer in story["full"]}) >= 3
    assert story["differences"] == []


@cases("process")
def test_a_second_process_is_refused(tmp_path: Path, case: Hostile, record_property: Tell) -> None:
    study, runs, trace = case.make(tmp_path), tmp_path / "runs", tmp_path / "trace.txt"
    first = Command(["run", study, "--set", "run.on.threads=1"], tmp_path / "first", before=partial(slowly, trace))
    until(trace.exists)
    answer = labwright(study, "--set", "train.max_steps=null")
    assert first.wait() == 0, first.said()
    judge(case, answer, runs, record_property)
    assert run_of("train", runs).attempts() == 1


@cases("run")
def test_a_damaged_checkpoint_is_passed_over(ground: Ground, case: Hostile, record_property: Tell) -> None:
    runs = ground.case("train")
    assert killed(ground.start(runs, fault="train:step@7"))
    damaged = case.make(training(runs).folder)
    again = ground.start(runs)
    judge(case, Answer(again.wait(), again.out.read_text(), again.err.read_text()), runs, record_property)
    assert f"checkpoint {damaged.parent.name} is passed over: {damaged.name}" in again.said()
    assert differences(ground.unbroken, runs) == []

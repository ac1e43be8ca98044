"""A loader, a trainer or a writer of ``events`` killed or failing: told within seconds, and the same command again gives what an
unbroken run gives, out of the parts that were finished."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from labwright.runs.run import Run, runs_in
from labwright.testing.commands import Command
from tests.events.studies import two
from tests.kill.equal import differences
from tests.kill.ground import killed

STEPS = ("pack", "check", "train", "predict")
OPTIONS = (
    "pack.chunk_events=64",
    "train.epochs=2",
    "train.batch_size=128",
    "train.folds.k=2",
    'train.network={"kind": "hcr", "width": 4, "attention": false}',
    "train.accelerator=cpu",
    "train.checkpoint_every_s=0",  # after each step
    "train.members=apart",
    "run.on.workers=1",
    "run.on.threads=1",
)
SECONDS = 60.0
"""Far more than a command takes that ends, and far less than for ever."""
CASES = (
    ("pack", "output:before-rename@2"),  # the piece of the second file
    ("pack", "shard:before-rename@3"),
    ("pack", "output:after-rename@3"),  # the table of events
    ("train", "train:step@9"),
    ("train", "train:in-validate@3"),
    ("predict", "output:after-rename@3"),
)
LONGER = (
    ("pack", "part:after-record"),
    ("pack", "pack:before-rename"),
    ("pack", "report:after-rename"),
    ("pack", "finish:after"),
    ("train", "checkpoint:before-rename@9"),
    ("train", "model:before-rename"),
    ("predict", "output:before-rename"),
    ("predict", "done:before-rename"),
)
"""The step whose run comes first, and the point."""


class Ground:
    """The study with two files of events and two folds, and an unbroken run of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.study, self.unbroken = folder, two(folder), folder / "unbroken"
        self.numbers = itertools.count()

    def case(self, begin: str) -> Path:
        """A folder for runs in which all steps before ``begin`` are done."""
        runs = self.folder / f"case-{next(self.numbers)}"
        runs.mkdir()
        for run in runs_in(self.unbroken):
            if STEPS.index(run.step) < STEPS.index(begin):
                shutil.copytree(run.folder, runs / run.name)
        return runs

    def start(self, runs: Path, step: str, *sets: str, fault: str = "", before: Callable[[], None] | None = None) -> Command:
        """Start ``labwright run`` up to a step; no training starts for a prediction alone."""
        words = [word for one in (*OPTIONS, *sets) for word in ("--set", one)]
        asked = "predict" if step == "predict" else "train"
        said = self.folder / f"said-{next(self.numbers)}"
        return Command(["run", self.study, "--runs", runs, "--step", asked, *words], said, fault=fault, before=before)

    def finish(self, runs: Path) -> None:
        """Run the study to its end."""
        for step in ("train", "predict"):
            command = self.start(runs, step)
            assert command.wait() == 0, command.said()

    def finished(self, runs: Path) -> list[str]:
        """Run the study again, to its end; what differs from the unbroken one."""
        self.finish(runs)
        return differences(self.unbroken, runs)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    made = Ground(tmp_path_factory.mktemp("events"))
    made.finish(made.unbroken)
    return made


def begun(run: Run) -> list[str]:
    """The parts that were begun, in that order, each as often as it was."""
    return [record["part"] for record in run.records("begin")]


def run_of(runs: Path, step: str) -> Run:
    return next(run for run in runs_in(runs) if run.step == step)


@pytest.mark.parametrize(("begin", "point"), [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONGER)])
def test_a_kill_at_a_point_changes_nothing(ground: Ground, begin: str, point: str) -> None:
    runs = ground.case(begin)
    assert killed(ground.start(runs, begin, fault=point)), f"{point} was never come to"
    assert ground.finished(runs) == []


@pytest.mark.parametrize(("step", "point"), [("pack", "output:before-rename"), ("train", "train:step@9")])
def test_a_killed_worker_ends_the_command_within_seconds(ground: Ground, step: str, point: str) -> None:
    runs = ground.case(step)
    command = ground.start(runs, step, "run.on.workers=2", fault=point)
    assert command.wait(SECONDS) == 70
    assert "a worker process was killed" in command.err.read_text()
    assert ground.finished(runs) == []


def failing(module: str, name: str, times: int) -> None:
    """Let a function raise when it is called for the n-th time."""
    import importlib

    place = importlib.import_module(module)
    right, count = getattr(place, name), itertools.count(1)

    def wrong(*arguments: object, **named: object) -> object:
        if next(count) == times:
            raise RuntimeError(f"{name} fails on purpose")
        return right(*arguments, **named)

    setattr(place, name, wrong)


def in_loader() -> None:
    failing("labwright.events.pack", "read", 2)


def in_trainer() -> None:
    failing("labwright.events.train", "fit", 2)


def in_writer() -> None:
    failing("labwright.events.scoring.score_files", "write_friends", 1)


@pytest.mark.parametrize(("step", "before"), [("pack", in_loader), ("train", in_trainer), ("predict", in_writer)])
def test_a_fault_ends_the_command_with_its_traceback_in_the_journal(ground: Ground, step: str, before: Callable[[], None]) -> None:
    runs = ground.case(step)
    command = ground.start(runs, step, before=before)
    assert command.wait(SECONDS) == 70
    assert "fails on purpose" in command.err.read_text()
    run = run_of(runs, step)
    log = "".join(path.read_text() for path in (run.folder / "journal").glob("*.log"))
    assert "Traceback" in log
    assert "fails on purpose" in log
    assert [record["reason"] for record in run.records("end")][-1].endswith("fails on purpose")
    finished = set(run.part_figures())
    assert finished
    assert ground.finished(runs) == []
    assert all(begun(run_of(runs, step)).count(part) == 1 for part in finished)


def test_a_damaged_pack_stops_a_training_and_is_not_read_as_zeros(ground: Ground) -> None:
    runs = ground.case("train")
    shard = next(path for path in (run_of(runs, "pack").output() / "pack.zarr").rglob("can_jets/c/*") if path.is_file() or path.is_dir())
    file = next(path for path in [shard, *shard.rglob("*")] if path.is_file())
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    command = ground.start(runs, "train")
    assert command.wait(SECONDS) == 65
    assert "Traceback" not in command.said()

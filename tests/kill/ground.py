"""The study that gets killed, and what tests do to its processes."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from labwright.runs import faults
from labwright.runs.run import Run, runs_in
from labwright.testing.commands import Command
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.kill.equal import differences

STEPS = ("pack", "check", "train", "predict", "evaluate")
EPOCH = 3
"""Steps of an epoch: six frames in batches of two."""
OPTIONS = (
    "train.epochs=4",
    "train.batch_size=2",
    "train.learning_rate=0.03",  # the network really learns to see the discs, so that each later digit tells
    "train.ema=0.9",
    "train.precision=fp32",
    "train.accelerator=cpu",
    "train.checkpoint_every_s=0",  # after each step
    "predict.precision=fp32",
    "run.on.workers=1",
    "run.on.threads=1",
)
_numbers = itertools.count()


class Ground:
    """A study, and its runs in one folder for each case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.study = tiny_study(folder, tiny_sequences(folder / "data"))
        self.unbroken = folder / "unbroken"

    def case(self, begin: str = STEPS[0]) -> Path:
        """A folder for runs in which all steps before ``begin`` are done."""
        runs = self.folder / f"case-{next(_numbers)}"
        runs.mkdir()
        for run in runs_in(self.unbroken):
            if STEPS.index(run.step) < STEPS.index(begin):
                shutil.copytree(run.folder, runs / run.name)
        return runs

    def prepared(self) -> tuple[Path, Path]:
        """A folder for runs in which a training is described and not begun, and the folder of its run."""
        runs = self.case("train")
        train = training(self.unbroken)
        (runs / train.name).mkdir()
        shutil.copy(train.folder / "step.json", runs / train.name)
        return runs, runs / train.name

    def step(self, run: Path, *words: str, fault: str = "", before: Callable[[], None] | None = None) -> Command:
        """Start ``labwright step`` on a run."""
        return Command(["step", run, *words], self.folder / f"said-{next(_numbers)}", fault=fault, before=before)

    def start(self, runs: Path, *sets: str, fault: str = "", before: Callable[[], None] | None = None) -> Command:
        """Start ``labwright run`` on the study, with its runs in ``runs``."""
        options = [word for one in (*OPTIONS, *sets) for word in ("--set", one)]
        said = self.folder / f"said-{next(_numbers)}"
        return Command(["run", self.study, "--runs", runs, *options], said, fault=fault, before=before)


def training(runs: Path) -> Run:
    """The run of the train step."""
    (run,) = (run for run in runs_in(runs) if run.step == "train")
    return run


def counting(come: Callable[[str, int], object]) -> None:
    """Tell ``come`` of each fault point that is come to, and for which time."""
    counts: Counter[str] = Counter()
    armed = faults.armed

    def counted(name: str) -> bool:
        counts[name] += 1
        come(name, counts[name])
        return False

    # ``fault`` asks ``armed``, and the journal asks it by itself.
    for module in list(sys.modules.values()):
        if module.__name__.startswith("labwright.") and getattr(module, "armed", None) is armed:
            module.armed = counted  # type: ignore[attr-defined]


def tally(path: Path) -> None:
    """Count how often each fault point is come to, and write that to ``path``."""
    counts: dict[str, int] = {}

    def come(name: str, count: int) -> None:
        counts[name] = count
        if name == "finish:after":
            path.write_text(json.dumps(counts), encoding="utf-8")

    counting(come)


def slowly(path: Path) -> None:
    """Take a moment for each step and each validation batch, and note when it was over, a line each, in ``path``."""
    from labwright.cells import train
    from labwright.learn import loop

    def fault(name: str) -> None:
        if name in ("train:step", "train:in-validate"):
            time.sleep(0.1)
            with path.open("a", encoding="utf-8") as stream:
                stream.write(f"{time.time()} {name}\n")

    for module in (loop, train):
        module.fault = fault  # type: ignore[attr-defined]


def killed(command: Command) -> bool:
    """Whether it ended by SIGKILL."""
    return command.wait() == -signal.SIGKILL


def finished(ground: Ground, runs: Path, *sets: str, before: Callable[[], None] | None = None) -> list[str]:
    """Run the study again, to its end; what differs from the unbroken one."""
    again = ground.start(runs, *sets, before=before)
    assert again.wait() == 0, again.said()
    return differences(ground.unbroken, runs)

"""A job without a run folder's surroundings, and a task small enough to train in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from labwright.data.sampler import IntArray, batches, generator, order
from labwright.learn.checkpoints import Checkpoints, read_state
from labwright.learn.loop import fit
from labwright.learn.options import FitOptions
from labwright.learn.task import Clock
from labwright.learn.tensors import read
from labwright.runs.errors import Stopped
from labwright.runs.publish import publish
from labwright.runs.run import Run
from labwright.study.step import Figures, Part

PART = Part("model")
ITEMS = 20


class FakeJob:
    """Keeps what is recorded and said; stops when asked for the n-th time."""

    seed = 7
    machine = SimpleNamespace(threads=1, workers=1)

    def __init__(self, folder: Path, *, stop_at: int | None = None, joules: Callable[[], float | None] = lambda: None) -> None:
        self.folder, self.stop_at, self.joules = folder, stop_at, joules
        self.run = Run(folder, {})
        self.asked = 0
        self.records: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.stages: list[str] = []
        self.shown: list[tuple[int, int]] = []
        self.fields: list[dict[str, Any]] = []

    def checkpoints(self, part: Part) -> Path:
        return self.folder / "checkpoints" / part.id

    def output(self, name: str, label: str = "output") -> Any:
        return publish(self.folder / "output" / name, label)

    def record(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def finding(self, code: str, place: str, text: str, severity: str = "error", *, known: bool = False) -> None:
        self.record("finding", code=code, severity=severity, place=place, text=text)

    def say(self, text: str) -> None:
        self.said.append(text)

    def stopping(self) -> bool:
        self.asked += 1
        return self.stop_at is not None and self.asked >= self.stop_at

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.stages.append(name)
        yield

    def progress(self, done: int, total: int, title: str = "", **fields: Any) -> None:
        self.shown.append((done, total))
        self.fields.append(fields)


class Regression:
    """A small network with dropout and batch normalisation learns a line from ITEMS points."""

    def __init__(self, job: FakeJob, options: FitOptions, *, width: int = 4, dropout: float = 0.2, norm: bool = True) -> None:
        self.job, self.options = job, options
        torch.manual_seed(job.seed)
        middle: list[nn.Module] = [nn.BatchNorm1d(width)] if norm else []
        self.module: nn.Module = nn.Sequential(nn.Linear(2, width), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))
        points = np.random.default_rng(0)
        self.inputs = points.normal(size=(ITEMS, 2)).astype(np.float32)
        self.targets = (self.inputs @ np.array([[1.0], [-2.0]], np.float32)).astype(np.float32)
        self.seen: list[list[int]] = []
        self.clocks: list[Clock] = []
        self.losses: Mapping[int, float] = {}
        self.validations = 0
        self.validation_loss: Callable[[int], float] | None = None
        self.noise = 0.05

    def batches(self, epoch: int) -> Sequence[IntArray]:
        return batches(order(self.job.seed, epoch, ITEMS), self.options.batch_size, drop_last=False)

    def load(self, items: IntArray, key: int) -> tuple[IntArray, Tensor, Tensor]:
        drawn = np.stack([generator(key, item).normal(size=2) for item in items.tolist()]).astype(np.float32)
        return items, torch.from_numpy(self.inputs[items] + self.noise * drawn), torch.from_numpy(self.targets[items])

    def loss(self, batch: tuple[IntArray, Tensor, Tensor], clock: Clock) -> tuple[Tensor, Figures]:
        items, inputs, targets = batch
        self.seen.append(items.tolist())
        self.clocks.append(clock)
        outputs = self.module(inputs)
        loss = functional.mse_loss(outputs, targets) * self.losses.get(clock.step, 1.0)
        return loss, {"error": (outputs - targets).abs().mean()}

    def validate(self) -> Figures:
        self.validations += 1
        if self.job.stop_at is not None and self.job.stopping():
            raise Stopped("stopped between two validation batches")
        if self.validation_loss is not None:
            return {"loss": self.validation_loss(self.validations)}
        outputs = self.module(torch.from_numpy(self.inputs))
        return {"loss": float(functional.mse_loss(outputs, torch.from_numpy(self.targets))), "training": float(self.module.training)}


def train(folder: Path, options: FitOptions, *, stop_at: int | None = None, **shape: Any) -> tuple[FakeJob, Regression, Figures | None]:
    """One attempt; figures are None when it was stopped."""
    job = FakeJob(folder, stop_at=stop_at)
    task = Regression(job, options, **shape)
    try:
        return job, task, fit(task, options, job, PART)
    except Stopped:
        return job, task, None


def final(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the newest checkpoint, by file and name."""
    newest = folder / "checkpoints" / PART.id / f"{max(Checkpoints(folder / 'checkpoints' / PART.id).steps()):06d}"
    return {f"{path.name}/{name}": tensor for path in sorted(newest.glob("*.safetensors")) for name, tensor in read(path).items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def state_of(folder: Path, step: int) -> dict[str, Any]:
    return read_state(Checkpoints(folder / "checkpoints" / PART.id).at(step))


def series(jobs: Sequence[FakeJob]) -> dict[tuple[str, int, str], float]:
    """Metric series over several attempts; a later attempt's value counts."""
    return {
        (record["phase"], record["step"], name): value
        for job in jobs
        for record in job.records
        if record["kind"] == "metric"
        for name, value in record["values"].items()
    }

"""Tiny studies of the cells recipe, conducted in this process."""

from __future__ import annotations

from pathlib import Path

from labwright.parts.conduct import conduct
from labwright.runs.run import Run
from labwright.study.resolve import resolve
from labwright.testing.tiny import tiny_sequences, tiny_study

PLAIN = ("run.on.workers=1", "run.on.threads=1", "train.precision=fp32", "predict.precision=fp32")
LEARNING = (
    "pack.target.width_px=2",
    "train.epochs=40",
    "train.batch_size=4",
    "train.learning_rate=0.02",
    "train.views_per_frame=4",
    "train.view.size_px=64",
    "train.validate.every=20 epochs",
)
"""Enough to tell bright discs from a dark ground, in some three seconds."""


SPLIT = '{train: ["01"], validate: ["02"]}'


def tiny(folder: Path, frames: int = 2, split: str = SPLIT) -> Path:
    """The tiny study with its data in ``folder``, split as told."""
    study = tiny_study(folder, tiny_sequences(folder / "data", frames=frames))
    study.write_text(study.read_text().replace(SPLIT, split))
    return study


def conducted(study: Path, *sets: str, step: str | None = None) -> dict[str, Run]:
    """Run what is missing, and give the runs by step."""
    results = conduct(resolve([study], sets=[*PLAIN, *sets]), step=step, quiet=True)
    return {result.step: Run.open(result.folder) for result in results}

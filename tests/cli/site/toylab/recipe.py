"""Options and steps of the toy recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from labwright.study.options import Options, option
from labwright.study.step import LazyStep, Recipe


class PackOptions(Options):
    """Read numbers."""

    path: Path = option(effect=False)
    """Folder with files `*.txt`, one number each."""


class CheckOptions(Options):
    """Look at the numbers."""

    smallest: float = option(0.0, unit="mm")
    """Numbers below this are errors."""


class Slow(Options):
    """Step by step."""

    kind: Literal["slow"] = option("slow")
    """Slow."""
    steps: int = option(2, unit="steps", ge=1)
    """How many."""


class Fast(Options):
    """At once."""

    kind: Literal["fast"] = option("fast")
    """Fast."""


class TrainOptions(Options):
    """Guess the mean."""

    guess: float = option(1.0, unit="mm")
    """What is guessed."""
    pace: Annotated[Fast | Slow, Field(discriminator="kind")] = option(Slow())
    """How it is done."""
    trouble: Literal["none", "bug", "stop"] = option("none")
    """What goes wrong."""


class EvaluateOptions(Options):
    """Compare guess and mean."""

    scale: float = option(1.0, gt=0)
    """Distances are multiplied by this."""
    note: str | None = option(None, effect=False)
    """Free words."""


WORK = "toylab.work"
RECIPE = Recipe(
    name="toy",
    doc="The mean of some numbers.",
    extra="",
    demo="sample",
    steps=(
        LazyStep("pack", 1, PackOptions, f"{WORK}.pack", "Read the numbers."),
        LazyStep("check", 1, CheckOptions, f"{WORK}.check", "Look at them.", needs=("pack",)),
        LazyStep("train", 1, TrainOptions, f"{WORK}.train", "Guess.", needs=("pack",), gates=("check",), trains=True),
        LazyStep("evaluate", 1, EvaluateOptions, f"{WORK}.evaluate", "Compare.", needs=("pack", "train")),
    ),
    tools={
        "findings": "toylab.work.check:CATALOGUE",
        "evaluate_folders": "toylab.work.evaluate:folders",
        "export_weights": "toylab.work.train:export",
    },
)

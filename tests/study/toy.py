"""A recipe with an option of every shape, for the tests of studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from labwright.study.options import Options, option
from labwright.study.step import LazyStep, Recipe


class FolderSource(Options):
    """Images in a folder."""

    kind: Literal["folder"] = option("folder")
    """A folder."""
    path: Path = option(effect=False)
    """Where the images lie."""
    pixel_um: float | None = option(None, unit="µm", gt=0)
    """Side of a pixel."""


class NoiseSource(Options):
    """Made-up images."""

    kind: Literal["noise"] = option("noise")
    """Noise."""
    count: int = option(10, ge=1)
    """How many images."""


class PackOptions(Options):
    """Raw → pack."""

    source: FolderSource | NoiseSource = option(discriminator="kind")
    """Where images come from."""
    split: dict[str, tuple[str, ...]] = option(default_factory=lambda: {"train": ("*",)})
    """Which images belong to which split."""
    masks: tuple[Path, ...] = option((), effect=False)
    """Folders of masks."""


class Cosine(Options):
    """Down along a cosine."""

    kind: Literal["cosine"] = option("cosine")
    """Cosine."""
    warmup_steps: int = option(0, unit="steps", ge=0)
    """Steps of rising."""


class StepDown(Options):
    """Down in steps."""

    kind: Literal["step"] = option("step")
    """Steps."""
    factor: float = option(0.1, gt=0, le=1)
    """By how much."""


class Stop(Options):
    """When to stop early."""

    patience: int | None = option(None, ge=1)
    """Validations without progress."""
    joules: float | None = option(None, unit="J", gt=0)
    """Budget of energy."""

    @model_validator(mode="after")
    def _one(self) -> Stop:
        if self.patience is None and self.joules is None:
            raise ValueError("name patience or joules")
        return self


class TrainOptions(Options):
    """Pack → model."""

    epochs: int = option(10, ge=1)
    """Passes over the items. Each sees all of them."""
    learning_rate: float = option(1e-3, gt=0)
    """Size of a step."""
    title: str = option("a: b # c")
    """A text."""
    note: str | None = option(None)
    """A text or nothing."""
    mixed: bool = option(True)
    """Whether to mix."""
    mode: Literal["fast", "exact", "16"] = option("fast")
    """How to compute."""
    checkpoint: Literal["best"] | int | Path = option("best")
    """`best`, the number of a step, or a file."""
    schedule: Cosine | StepDown = option(Cosine(warmup_steps=5), discriminator="kind")
    """How it falls."""
    stop: Stop | None = option(None)
    """When to stop early."""
    widths: Annotated[tuple[int, ...], Field(min_length=1, max_length=4)] = option((8, 16))
    """Channels of each level."""
    weights: tuple[float, float] = option((1.0, 1.0))
    """Weights of the classes."""
    costs: dict[str, float] = option(default_factory=dict)
    """Cost of each class."""
    workers: int = option(2, ge=0, effect=False)
    """Processes."""


RECIPE = Recipe(
    name="toy",
    doc="For tests.",
    steps=(
        LazyStep("pack", 1, PackOptions, "labwright_toy_pack", "Pack."),
        LazyStep("train", 2, TrainOptions, "labwright_toy_train", "Train.", needs=("pack",), trains=True),
    ),
    extra="",
)

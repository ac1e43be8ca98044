"""The options of every training: what the loop in ``learn/loop.py`` is told.

A recipe's train options extend ``FitOptions`` with what its network and its data need. An interval is
written with its unit, ``2 epochs`` or ``500 steps``; a step is one update of the weights, on one batch.
This module imports nothing heavy.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from labwright.study.options import Options, option

# Pydantic warns of a field that hides its long deprecated classmethod ``validate``; the study's word goes first.
warnings.filterwarnings("ignore", message='Field name "validate" in ".*" shadows an attribute', category=UserWarning)

Interval = Annotated[str, Field(pattern=r"^[1-9][0-9]* (epochs?|steps?)$")]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class AdamW(Options):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019)."""

    kind: Literal["adamw"] = option("adamw")
    """AdamW."""
    weight_decay: float = option(0.01, ge=0)
    """Share of each weight taken away per unit of learning rate."""
    betas: tuple[Fraction, Fraction] = option((0.9, 0.999))
    """Decay of the running means of the gradient and of its square."""


class Adam(Options):
    """Adam (Kingma and Ba, 2015); weight decay is added to the gradient."""

    kind: Literal["adam"] = option("adam")
    """Adam."""
    weight_decay: float = option(0.0, ge=0)
    """Weight of the squared weights in the loss."""
    betas: tuple[Fraction, Fraction] = option((0.9, 0.999))
    """Decay of the running means of the gradient and of its square."""


class Sgd(Options):
    """Stochastic gradient descent with Nesterov momentum."""

    kind: Literal["sgd"] = option("sgd")
    """SGD."""
    weight_decay: float = option(0.0, ge=0)
    """Weight of the squared weights in the loss."""
    momentum: float = option(0.9, ge=0, lt=1)
    """Decay of the running sum of gradients; 0 is plain descent."""


class Cosine(Options):
    """Half a cosine from the learning rate down to a fraction of it; tied to the length of the training."""

    kind: Literal["cosine"] = option("cosine")
    """Cosine."""
    warmup_steps: int = option(0, unit="steps", ge=0)
    """Steps over which the learning rate first rises evenly from near zero."""
    final_fraction: float = option(0.0, ge=0, le=1)
    """Learning rate at the end, as a fraction of the full one."""


class StepDecay(Options):
    """The learning rate is multiplied by a factor every so often."""

    kind: Literal["step"] = option("step")
    """Steps down."""
    warmup_steps: int = option(0, unit="steps", ge=0)
    """Steps over which the learning rate first rises evenly from near zero."""
    every: Interval = option("30 epochs")
    """How often it is multiplied, e.g. `30 epochs` or `2000 steps`."""
    factor: float = option(0.1, gt=0, le=1)
    """What it is multiplied by."""


class Constant(Options):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = option("constant")
    """Constant."""
    warmup_steps: int = option(0, unit="steps", ge=0)
    """Steps over which the learning rate first rises evenly from near zero."""


Optimizer = Annotated[AdamW | Adam | Sgd, Field(discriminator="kind")]
Schedule = Annotated[Cosine | StepDecay | Constant, Field(discriminator="kind")]


class Validate(Options):
    """When to validate, and on how much."""

    every: Interval = option("1 epoch")
    """How often, e.g. `1 epoch` or `500 steps`; the end of the training is always validated."""
    batch_size: int | None = option(None, unit="items", ge=1, effect=False)
    """Items at once; null takes the training's batch size."""
    max_items: int | None = option(None, unit="items", ge=1)
    """At most this many items, evenly spread over the split; null takes all."""


class Select(Options):
    """Which validation figure says that one checkpoint is better than another."""

    metric: str = option("loss")
    """Name of a figure of the validation."""
    mode: Literal["min", "max"] = option("min")
    """Whether smaller (`min`) or larger (`max`) is better."""


class Stop(Options):
    """When to stop before the last epoch."""

    patience: int | None = option(None, unit="validations", ge=1)
    """Stop after so many validations in a row without a better checkpoint."""
    joules: float | None = option(None, unit="J", gt=0)
    """Stop when the training has used this much energy, all attempts together; such a run is not reproducible to the digit."""


class Keep(Options):
    """Which checkpoints stay on disk."""

    every: Interval | None = option(None)
    """Also keep one checkpoint each so often, e.g. `10 epochs`."""
    best: int = option(1, unit="checkpoints", ge=1)
    """How many of the best validated ones."""
    last: int = option(2, unit="checkpoints", ge=1)
    """How many of the newest; with 2 a damaged newest one costs one interval and not the training."""


class FitOptions(Options):
    """How a network is trained."""

    epochs: int = option(100, ge=1)
    """Passes over the training items."""
    max_steps: int | None = option(None, unit="steps", ge=1)
    """End after so many steps if the epochs have more."""
    batch_size: int = option(16, unit="items", ge=1)
    """Items in one step, over all devices together."""
    accumulate: int = option(1, unit="pieces", ge=1)
    """Pieces into which each batch is cut to need less memory: their gradients are added up before the one step.
    Batch normalisation sees the pieces, everything else the whole batch."""
    learning_rate: float = option(1e-3, gt=0)
    """Full learning rate; the schedule multiplies it."""
    optimizer: Optimizer = option(AdamW())
    """How the gradient becomes a step."""
    schedule: Schedule = option(Cosine())
    """How the learning rate changes over the training."""
    clip_norm: float | None = option(None, gt=0)
    """Scale the gradient down to this norm where it is longer; null leaves it."""
    ema: float | None = option(None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, e.g. 0.999; validation and prediction then use the average."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = option("auto")
    """Number format of the network's products; `auto` takes bf16 where the device computes in it fast. What was really used is recorded."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = option("auto", effect=False)
    """Device; `auto` takes the accelerator if there is one. Digits are the same only on the same kind of device."""
    validate: Validate | Literal["never"] = option(Validate())  # type: ignore[assignment]
    """When to validate and on how much, or `never`."""
    select: Select = option(Select())
    """Which validation figure picks the best checkpoint."""
    stop: Stop = option(Stop())
    """When to stop early."""
    keep: Keep = option(Keep(), effect=False)
    """Which checkpoints stay on disk."""
    checkpoint_every_s: float = option(120.0, unit="s", ge=0, effect=False)
    """At most this much work is lost when the process is killed; the end of each epoch is saved as well."""
    prefetch: int = option(2, unit="batches", ge=1, effect=False)
    """Batches that are loaded ahead."""
    start_from: Path | None = option(None)
    """Start with the weights of another run, of a checkpoint folder or of a .safetensors file."""
    continue_from: Path | None = option(None)
    """Go on from another run or checkpoint folder with its full state: weights, optimiser and position."""

    @model_validator(mode="after")
    def _one_origin(self) -> FitOptions:
        if self.start_from and self.continue_from:
            raise ValueError("start_from (weights only) and continue_from (full state) exclude each other: give one")
        return self

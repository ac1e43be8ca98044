"""Options of the train step: networks, folds, and how they are fitted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from labwright.events.intervals import intervals
from labwright.events.network_options import (
    BestOptions,
    FinetuneOptions,
    GhostOptions,
    GrowOptions,
    HCROptions,
    MilestoneOptions,
    Network,
    PlateauOptions,
    Rates,
)
from labwright.learn.options import Adam, Constant, FitOptions, Optimizer, Schedule, Stop
from labwright.study.options import Options, option


def _numbers(text: str) -> str:
    intervals(text)
    return text


Numbers = Annotated[str, AfterValidator(_numbers)]
"""Numbers and ranges with both ends: `0-2`, `0 2 4`, `0-2 4-6 8`."""


class FoldOptions(Options):
    """How events are dealt into folds."""

    kind: Literal["modulo", "random"] = option("random")
    """`modulo`: event number modulo k. `random`: a counter-based hash of (run, lumi, event)."""
    k: int = option(3, ge=2, le=64)
    """Folds; a model for each trains on the others."""
    offsets: Numbers = option("0")
    """For `modulo` the folds to train; for `random` the foldings, each with k folds: `0-2`, `0 2 4`, `0-2 4-6 8`."""
    seed: str = option("fold")
    """Word from which random foldings are drawn."""
    test: bool = option(False)
    """Keep one more fold out of training and validation, rotating, so that what picks the best epoch is not what is reported."""

    @model_validator(mode="after")
    def _folds_there(self) -> FoldOptions:
        outside = [number for number in intervals(self.offsets) if self.kind == "modulo" and number >= self.k]
        if outside:
            raise ValueError(f"offset {outside[0]} is outside of k: {self.k} folds are numbered 0 to {self.k - 1}")
        if self.test and self.k < 3:
            raise ValueError("a test fold beside validation and training needs k of 3 or more")
        return self


class TrainOptions(FitOptions):
    """Fit one model for each fold, folding and seed."""

    epochs: int = option(20, ge=1)
    """Passes over the training events."""
    batch_size: int = option(1024, unit="events", ge=1)
    """Events in one step at the start; `grow` makes it larger."""
    learning_rate: float = option(0.01, gt=0)
    """Learning rate at the start."""
    optimizer: Optimizer = option(Adam())
    """How the gradient becomes a step."""
    schedule: Schedule = option(Constant())
    """How the learning rate changes beside `rates`, which multiplies it: a warm-up, for example."""
    precision: Literal["fp32"] = option("fp32")
    """Number format; networks this small gain nothing from fewer bits."""
    select: BestOptions = option(BestOptions())
    """Which validation figure picks the best epoch of each member."""
    stop: Stop = option(Stop())
    """When to stop early; patience is counted for each member by itself, also where several train together."""
    objective: Literal["svb", "fvt"] = option("svb")
    """`svb`: weighted cross-entropy over all classes. `fvt`: over d4, d3, t4, t3, without d4 in the signal region."""
    network: Network = option(HCROptions())
    """The network."""
    folds: FoldOptions = option(FoldOptions())
    """How events are dealt into folds."""
    seeds: Numbers = option("0")
    """Trainings of each fold that differ only in what is random: `0-2` makes three of each."""
    members: Literal["auto", "together", "apart"] = option("auto")
    """All models in one stacked network, or one after the other: the same models but for rounding, and for what `network.dropout` draws.
    `auto` takes apart with dropout; else it measures both for a moment, takes what is faster by more than a quarter, or else together on
    a GPU and apart on a CPU, and records the choice."""
    max_members: int | None = option(None, ge=1)
    """At most so many models in one stack, where memory is short."""
    grow: GrowOptions = option(GrowOptions())
    """Growing batches."""
    ghost: GhostOptions = option(GhostOptions())
    """Ghost batch norm of HCR."""
    rates: Rates = option(MilestoneOptions())
    """How the learning rate falls."""
    finetune: FinetuneOptions = option(FinetuneOptions())
    """A last stage for the output layer."""
    negative_weights: Literal["keep", "drop", "absolute"] = option("keep")
    """What the loss does with events of negative weight."""

    @model_validator(mode="after")
    def _has_effect(self) -> TrainOptions:
        if isinstance(self.rates, PlateauOptions) and self.validate == "never":
            raise ValueError("rates: {kind: plateau} goes by the validation losses, and validate: never has none; take milestones")
        if self.stop.patience is not None and self.validate == "never":
            raise ValueError("stop.patience counts validations, and validate: never has none")
        if self.network.kind != "hcr" and "ghost" in self.model_fields_set and self.ghost != GhostOptions():
            raise ValueError(
                f"ghost is of the batch norm of hcr; {self.network.kind} has none: leave it out, or take it back with `ghost: null`"
            )
        return self

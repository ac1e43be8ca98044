"""The events recipe: from trees of jets to k-fold classifiers, their scores, closure and plots.

Steps: pack → check → train → predict → evaluate, and merge where scores of several trainings come together. The method is the one of
four-b-jet analyses: SvB tells signal from background, FvT is the ratio that makes three-tag data look like four-tag
data. Folds go by event, so that each event is scored by models that never saw it.

This module holds the options and names the modules that work; it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, create_model, model_validator

from labwright.events.flags import condition
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
from labwright.events.source_options import SourceOptions
from labwright.learn.options import Adam, Constant, FitOptions, Interval, Optimizer, Schedule, Stop
from labwright.study.messages import listed, nearest
from labwright.study.options import Options, option
from labwright.study.references import named
from labwright.study.step import LazyStep, Recipe


def _numbers(text: str) -> str:
    intervals(text)
    return text


def _condition(text: str) -> str:
    condition(text)
    return text


Numbers = Annotated[str, AfterValidator(_numbers)]
"""Numbers and ranges with both ends: `0-2`, `0 2 4`, `0-2 4-6 8`."""
Where = Annotated[str, AfterValidator(_condition)]
"""A flag, `SR`, its opposite, `!SR`, or one of several, `SB|SR`."""


class ClassOptions(Options):
    """Which events are of a class, and how they weigh."""

    tags: str = option("")
    """Tags that a file must have, `label:ggF,year:UL18`."""
    where: tuple[Where, ...] = option(())
    """Conditions that an event must fulfil, all of them: flags of `SR`, `SB`, `CR`, `HHSR`, `ZHSR`, `ZZSR`, `four_tag`, `three_tag`,
    `pass_hlt`; `!SR` is the opposite, `SB|SR` one of the two."""
    weight: tuple[str, ...] = option(("weight",))
    """Columns whose product is the weight, as `[weight, pseudo_tag_weight, FvT]`; empty weighs each event alike."""
    norm: float | None = option(None, gt=0)
    """The weights of the class are scaled to this sum; null leaves them."""
    norm_with: str = option("")
    """Another class; both are scaled together, so that its norm is the sum of both and their ratio stays."""
    norm_per: str = option("")
    """Key of a tag, as `kl`: the files of each value of it are scaled to `norm` by themselves."""
    prescale: int = option(1, ge=1)
    """Keep one in so many events, chosen by a hash of the event, and weigh them as if all were there."""
    max_weight: float | None = option(None, gt=0)
    """Events of greater absolute weight are left out and counted; for the few that outweigh a sample."""

    @model_validator(mode="after")
    def _one_norm(self) -> ClassOptions:
        if self.norm_with and (self.norm is not None or self.norm_per):
            raise ValueError("norm_with takes norm and norm_per of the other class; leave them out here")
        if self.norm_per and self.norm is None:
            raise ValueError("norm_per needs norm")
        return self


class PackOptions(Options):
    """Trees of events → fixed-width arrays with event identity, label, region and weight."""

    source: SourceOptions = option()
    """Where the events lie."""
    classes: dict[str, ClassOptions] = option(ordered=True, min_length=1, max_length=200)
    """The classes in the order of the network's outputs."""
    regions: Literal["run2", "run3", "file"] = option("run2")
    """Signal region and sideband: by the mass planes of Run 2, the circles of Run 3, or as the file's own flags say."""
    ancillary: tuple[str, ...] = option(("year", "n_selected", "xW", "xbW"))
    """Further inputs of the network, one number an event."""
    unlabelled: Literal["keep", "drop"] = option("keep")
    """Events of no class: packed, so that predict scores them too though nothing trains on them, or left out."""
    chunk_events: int = option(8192, unit="events", ge=64)
    """Events in one chunk of the pack; a file is a few chunks."""
    chunks: int | None = option(None, ge=1)
    """So many chunks of nearly equal size in place of `chunk_events`."""
    read_events: int = option(200_000, unit="events", ge=1000, effect=False)
    """Events that one worker reads at a time."""
    shuffle: bool = option(True)
    """Whether the events are put in a random order of the seed."""

    @model_validator(mode="after")
    def _known_classes(self) -> PackOptions:
        for name, one in self.classes.items():
            other = self.classes.get(one.norm_with)
            if one.norm_with and (other is None or other.norm_with or one.norm_with == name):
                raise ValueError(f"classes.{name}.norm_with: {one.norm_with!r} is no class with a norm of its own")
        return self


class CheckOptions(Options):
    """What a pack must fulfil before anything trains on it."""

    max_negative: float = option(0.25, ge=0, le=1)
    """Share of the absolute weight that may be negative in a class."""
    max_other_jets_dropped: float = option(0.05, ge=0, le=1)
    """Share of events that may have more jets than are kept."""


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


class PredictOptions(Options):
    """Scores of every event by models that never saw it, as friend trees."""

    checkpoint: Literal["best", "last"] | Path = option("best")
    """`best` or `last` weights of each member; or the path of a training's run or of an exported model folder, to score events that the
    study did not train on."""
    name: str = option("", pattern=r"^[A-Za-z0-9_]*$")
    """Name of the friend, of letters, digits and `_`; unset: SvB or FvT by the objective."""
    formats: tuple[Literal["root", "parquet"], ...] = option(("root", "parquet"), min_length=1)
    """Files to write; `<name>.json` lists those of the first format."""
    rows_per_file: int = option(1_000_000, unit="events", ge=1)
    """Events in one file."""
    partial: bool = option(False)
    """Let events of folds that have no model stay without a score, as when a merge brings the other folds; otherwise that is an error."""
    batch_size: int = option(32768, unit="events", ge=1, effect=False)
    """Events at once; on a CPU at most 2048, which stay in its cache."""


# `from` is a word of Python's own, so that no class body can hold it.
_FROM: dict[str, Any] = {
    "from": (
        tuple[Path, ...],
        option(
            (),
            effect=False,
            description="Runs of predict or merge: run folders, names below `runs`, patterns such as `runs/predict-*`, or folders "
            "of studies for all that is done there. Which runs they are counts, where they lie does not.",
        ),
    )
}
_From = create_model("_From", __base__=Options, **_FROM)


class MergeOptions(_From):
    """Mean and spread of the scores of several trainings on one pack: of tags, of rows of a sweep. What it merges stays as it is."""

    name: str = option("")
    """Name of the merged friend; unset: as those that are merged are called."""
    formats: tuple[Literal["root", "parquet"], ...] = option(("root", "parquet"))
    """Files to write."""
    rows_per_chunk: int = option(1_000_000, unit="events", ge=1)
    """Events in one part of the work, and in one file."""
    workers: int = option(0, ge=0, effect=False)
    """Processes; 0 takes as many as `run.on.workers` says."""


class EvaluateOptions(Options):
    """Figures, curves, closure and plots, of scores that are there: nothing is trained for them."""

    interval: Literal["delong", "bootstrap"] = option("delong")
    """How the 95 % interval of an AUC is found."""
    bootstrap: int = option(200, ge=2)
    """Resamplings for the bootstrap, for calibration and for closure."""
    weighted: bool = option(True)
    """Weigh events in AUC, ROC and slices; the AUC of events that count alike is told beside it."""
    positive: tuple[str, ...] = option(())
    """Classes that count as signal; unset: all but the first and those named `data`, `multijet`, `ttbar`, `qcd`."""
    slices: tuple[str, ...] = option(("year", "region"))
    """By what the AUC is given apart: `region`, `class`, a key of tags (`kl`), or a column of the pack, whose range is cut into
    quarters where it has many values."""
    least_events: int = option(50, unit="events", ge=2)
    """A slice with fewer events on a side has no AUC: it says that they are too few."""
    unblind: bool = option(False)
    """Show four-tag data of the signal region too, which FvT must not see and which otherwise are in no figure and no plot."""
    variables: tuple[str, ...] = option(("m4j", "m_lead", "m_sub", "pt_1", "pt_4", "n_selected"))
    """Variables of closure plots."""
    bins: int = option(20, ge=2)
    """Bins of a plot."""
    formats: tuple[Literal["png", "svg"], ...] = option(("png", "svg"))
    """Files of each plot beside the page."""
    every: Interval = option("1 epoch")
    """How often the training is shown on the page of loss and ROC over its epochs."""


def _predict_needs(options: PredictOptions) -> tuple[str, ...]:
    return ("pack",) if isinstance(options.checkpoint, Path) else ("pack", "train")


def _across_steps(steps: Mapping[str, Options]) -> Iterator[tuple[str, str]]:
    pack, train = steps.get("pack"), steps.get("train")
    if isinstance(train, TrainOptions) and train.objective == "fvt" and isinstance(pack, PackOptions):
        wanted = {"d4", "d3"}
        if not wanted <= set(pack.classes):
            yield "pack.classes", "needs d4 and d3 (and t4, t3 with top pairs) for train.objective: fvt"
    evaluate = steps.get("evaluate")
    if isinstance(evaluate, EvaluateOptions) and isinstance(pack, PackOptions):
        for name in evaluate.positive:
            if name not in pack.classes:
                near = nearest(name, pack.classes)
                meant = f"did you mean {near!r}?" if near else f"there are {listed(pack.classes)}"
                yield "evaluate.positive", f"there is no class {name!r}; {meant}"


RECIPE = Recipe(
    name="events",
    doc="Classifiers, scores and closure for four-jet collider events.",
    extra="events",
    demo="sample",
    steps=(
        LazyStep("pack", 1, PackOptions, "labwright.events.pack", "Read trees and friends, select four jets, and write a pack."),
        LazyStep(
            "check", 1, CheckOptions, "labwright.events.check", "Look for bad weights, lost classes and repeated events.", needs=("pack",)
        ),
        LazyStep(
            "train",
            1,
            TrainOptions,
            "labwright.events.train",
            "Train a model for each fold.",
            needs=("pack",),
            gates=("check",),
            trains=True,
            gpu=True,
        ),
        LazyStep(
            "predict",
            1,
            PredictOptions,
            "labwright.events.predict",
            "Score every event out of fold.",
            needs=("pack", "train"),
            gpu=True,
            requires=_predict_needs,
        ),
        LazyStep(
            "merge",
            1,
            MergeOptions,
            "labwright.events.merge",
            "Bring the scores of several trainings together.",
            optional=True,
            replaces=("train", "predict"),
            runs=lambda options: named(getattr(options, "from"), ("predict", "merge")),
        ),
        LazyStep(
            "evaluate",
            1,
            EvaluateOptions,
            "labwright.events.evaluate",
            "AUC, ROC, calibration, closure and plots.",
            needs=("predict",),
            parallel=False,  # seconds; starting processes and reading the pack in each costs more
        ),
    ),
    studies={
        "fvt": "The ratio of four-tag to three-tag data, learned in the sidebands: weights for a background from data.",
        "svb": "Signal against background; the background is three-tag data weighted by the ratio of fvt.",
    },
    tools={
        "findings": "labwright.events.findings:CATALOGUE",
        "export_weights": "labwright.events.export:export_weights",
        "demo_data": "labwright.events.demo_data:write_demo_data",
    },
    beginning={
        "pack.source.path": "${data}",
        "pack.source.groups": [
            {"tags": "label:background", "files": ["background*.root"]},
            {"tags": "label:signal", "files": ["signal*.root"]},
        ],
        "pack.classes": {"background": {"tags": "label:background", "norm": 1}, "signal": {"tags": "label:signal", "norm": 1}},
    },
    check=_across_steps,
)

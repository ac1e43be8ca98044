"""The events recipe: from trees of jets to k-fold classifiers, their scores, closure and plots.

Steps: pack → check → train → predict → evaluate, and merge where scores of several trainings come together. The method is the one of
four-b-jet analyses: SvB tells signal from background, FvT is the ratio that makes three-tag data look like four-tag
data. Folds go by event, so that each event is scored by models that never saw it.

This module names the modules that work, and holds the options of the smaller steps; it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import create_model

from labwright.events.pack_options import PackOptions
from labwright.events.train_options import TrainOptions
from labwright.learn.options import Interval
from labwright.study.messages import listed, nearest
from labwright.study.options import Options, option
from labwright.study.references import named
from labwright.study.step import LazyStep, Recipe


class CheckOptions(Options):
    """What a pack must fulfil before anything trains on it."""

    max_negative: float = option(0.25, ge=0, le=1)
    """Share of the absolute weight that may be negative in a class."""
    max_other_jets_dropped: float = option(0.05, ge=0, le=1)
    """Share of events that may have more jets than are kept."""


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

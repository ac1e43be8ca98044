"""What the evaluation shows of probabilities: reliability, calibration error and confusion; as figures, sections and plots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from labwright.events.evaluation import contests, plots
from labwright.events.evaluation.contests import plain
from labwright.events.evaluation.pages import Page, weighing
from labwright.events.evaluation.plots import Curve
from labwright.events.evaluation.scored import Scored
from labwright.events.metrics.calibration import Reliability, confusion, reliability
from labwright.events.recipe import EvaluateOptions
from labwright.runs import sections
from labwright.study.step import Job

STRAIGHT = "as it should be"
FEWEST_IN_BIN = 10
"""A point of fewer events says nothing."""


def meant(job: Job[EvaluateOptions], scored: Scored) -> Page:
    """Reliability of the first contest and of each class, and the confusion of classes."""
    options = job.options
    rows = np.flatnonzero(scored.compared)
    weight = scored.weight[rows] if options.weighted else np.ones(len(rows))
    main = contests.contests(scored.scores.objective, scored.classes, options.positive)[0]
    groups: dict[str, tuple[str, ...]] = {"+".join(main.positive): main.positive}
    if len(scored.classes) > 2:
        together = main.positive if scored.scores.objective == "svb" else tuple(name for name in ("d4", "t4") if name in scored.classes)
        groups = {"+".join(together): together, **{name: (name,) for name in scored.classes}}
    found: dict[str, Reliability] = {}
    for name, classes in groups.items():
        p, there = scored.share(classes)[rows].clip(0.0, 1.0), scored.of_class(classes)[rows]
        found[name] = reliability(p, there, weight, bins=options.bins, resamples=options.bootstrap, seed=job.seed)
    first = next(iter(found.values()))
    figures = {"ece": first.ece, "ece_low": first.ece_low, "ece_high": first.ece_high}
    made, matrix = [_calibration(job, scored, found), _errors(found, options)], _confusion(job, scored)
    data = {name: {field: np.asarray(value).tolist() for field, value in one._asdict().items()} for name, one in found.items()}
    return Page(plain(figures), [*made, matrix[0]], plain({"calibration": data, "confusion": matrix[1]}))


def _calibration(job: Job[EvaluateOptions], scored: Scored, judged: Mapping[str, Reliability]) -> sections.Section:
    curves, series = {}, {}
    for name, one in judged.items():
        known = ~np.isnan(one.found) & ~np.isnan(one.low) & (one.events >= FEWEST_IN_BIN)
        said, found, low, high = (column[known] for column in (one.said, one.found, one.low, one.high))
        curves[name] = Curve(said, found, low, high, look="points")
        series[name] = list(zip(said.tolist(), found.tolist(), strict=True))
    axes: dict[str, Any] = {"x": "probability said", "y": "share found"}
    straight = {STRAIGHT: Curve([0, 1], [0, 1], look="reference")}
    mark, notes = plots.mark_of(scored.packed.files), [f"{weighing(job.options)}, 95 % intervals"]
    first, *others = curves
    for file, names in (("calibration", [first]), ("calibration_classes", others)):
        if names:
            chosen = {name: curves[name] for name in names} | straight
            figure = plots.lines(chosen, title="calibration", **axes, mark=mark, x_limits=(0, 1), y_limits=(0, 1), notes=notes)
            plots.publish(job, file, figure, job.options.formats)
    note = f"Means of bins of equal width with {FEWEST_IN_BIN} events at least, {weighing(job.options)}: "
    note += "true only for the mixture of classes that the weights make."
    return sections.curves("Calibration", series | {STRAIGHT: [(0.0, 0.0), (1.0, 1.0)]}, **axes, dashed=[STRAIGHT], note=note)


def _errors(found: Mapping[str, Reliability], options: EvaluateOptions) -> sections.Section:
    rows = [[name, *plain([one.ece, one.ece_low, one.ece_high, one.ece_chance])] for name, one in found.items()]
    note = f"Mean distance of share found and probability said, over bins; 95 % interval of {options.bootstrap} resamplings. "
    note += "‘By chance’ is what true probabilities would show with so many events."
    return sections.table("Expected calibration error", ["of", "error", "from", "to", "by chance"], rows, note)


def _confusion(job: Job[EvaluateOptions], scored: Scored) -> tuple[sections.Section, dict[str, Any]]:
    rows = np.flatnonzero(scored.compared)
    weight = scored.weight[rows] if job.options.weighted else np.ones(len(rows))
    sums, counts = confusion(scored.p[rows], scored.label[rows], weight)
    total = sums.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, sums / np.where(total > 0, total, 1.0), math.nan)
    names = list(scored.classes)
    if np.isfinite(shares).any():
        mark = plots.mark_of(scored.packed.files)
        axes: dict[str, Any] = {"x": "taken for", "y": "is", "columns": names, "rows": names, "colour": "share of the class"}
        figure = plots.heatmap(shares, title="confusion", **axes, mark=mark, text=".2f", limits=(0.0, 1.0))
        plots.publish(job, "confusion", figure, job.options.formats)
    note = f"Share of each class, {weighing(job.options)}, by the class of the greatest probability."
    section = sections.heat("Confusion", names, names, plain(shares.tolist()), x="taken for", y="is", note=note)
    return section, {"classes": names, "sums": sums.tolist(), "events": counts.tolist(), "shares": shares.tolist()}

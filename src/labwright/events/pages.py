"""What the evaluation shows: areas and curves, scores by class, calibration and confusion, slices; as figures, sections and plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from labwright.events import contests, plots, slices
from labwright.events.calibration import Reliability, confusion, reliability
from labwright.events.contests import Contest, Outcome, plain
from labwright.events.histograms import Regular, histogram
from labwright.events.plots import Curve
from labwright.events.recipe import EvaluateOptions
from labwright.events.scored import Scored
from labwright.runs import sections
from labwright.runs.errors import Stopped
from labwright.study.step import Job

GROUPS = {"main": "roc", "one against the rest": "roc_classes", "pairs of classes": "roc_pairs"}
"""Title of each group of contests and name of its plot."""
DIAGONAL = {"by chance": Curve([0, 1], [0, 1], look="reference")}
STRAIGHT = "as it should be"
SIDES = ("positives", "negatives", "sum_positive", "sum_negative")
SAME_AREA = 1e-9
LEAST_TPR = 0.05
"""Below so few positives a rejection is of no use and unsteady."""


class Page(NamedTuple):
    """A part of the evaluation."""

    figures: dict[str, Any]
    sections: list[sections.Section]
    data: dict[str, Any]
    """All of it as numbers, for whoever draws it again."""


def _weighing(options: EvaluateOptions) -> str:
    return "events weighted" if options.weighted else "events counted alike"


# ---- Areas and curves ----


def told_apart(job: Job[EvaluateOptions], scored: Scored) -> Page:
    """Every contest: table of areas, ROC curves, rejection."""
    options = job.options
    wanted = contests.contests(scored.scores.objective, scored.classes, options.positive)
    outcomes = []
    for number, contest in enumerate(wanted):
        if job.stopping():
            raise Stopped("stopped between two curves", where=job.run.name, todo="Run the same command again to go on.")
        job.progress(number, len(wanted), "evaluate: curves")
        outcomes.append(contests.play(scored, contest, options, job.seed))
    rows = [contests.as_json(one) for one in outcomes]
    made = [_areas(rows, options), *(_curves(job, scored, title, outcomes) for title in GROUPS), _rejection(job, scored, outcomes)]
    made.append(_distributions(job, scored, wanted[0]))
    return Page(_figures(rows, options), [one for one in made if one is not None], {"contests": rows})


def _figures(rows: Sequence[Mapping[str, Any]], options: EvaluateOptions) -> dict[str, Any]:
    main, *others = rows
    names = ["auc", "auc_low", "auc_high"]
    if options.weighted:
        names += ["auc_unweighted", "auc_unweighted_low", "auc_unweighted_high"]
    return {name: main[name] for name in names} | {f"auc_{one['name'].replace(' ', '_')}": one["auc"] for one in others}


def _areas(rows: Sequence[Mapping[str, Any]], options: EvaluateOptions) -> sections.Section:
    columns = ["auc", "auc_low", "auc_high", "auc_unweighted", *SIDES, *(f"kept_at_{rate:g}" for rate in contests.RATES)]
    words = ["AUC", "from", "to", "unweighted", "positives", "negatives", "Σw positive", "Σw negative"]
    words += [f"kept at {rate:g}" for rate in contests.RATES]
    method = "DeLong's" if options.interval == "delong" else f"that of {options.bootstrap} resamplings (Poisson bootstrap)"
    note = f"{_weighing(options).capitalize()}; AUC exact, ties by half; from … to: 95 % interval, {method}. ‘Kept at 0.01’: share of the "
    note += "positives where one in a hundred negatives is left. A score is p(positive) / (p(positive) + p(negative)), "
    note += "and only events of the classes named take part."
    if negative := sum(row["negative_weights"] for row in rows[:1]):
        bent = max(rows, key=lambda row: row["bent_by"] or 0.0)
        note += f" {negative:,} events of the first row have a negative weight; they count with their sign in every AUC. "
        note += f"Curves are held where that would turn them back, by {bent['bent_by']:.2g} at most ({bent['name']})."
    return sections.table(
        "What is told from what", ["contest", *words], [[row["name"], *(row[name] for name in columns)] for row in rows], note
    )


def _curves(job: Job[EvaluateOptions], scored: Scored, group: str, outcomes: Sequence[Outcome]) -> sections.Section | None:
    chosen = {one.contest.name: one for one in outcomes if one.contest.group == group and one.curve}
    if not chosen:
        return None
    lines = {f"{name}: {one.auc.value:.4f}": one.curve for name, one in chosen.items()}
    first = next(iter(chosen.values()))
    if group == "main" and first.curve_alike and abs(first.alike.value - first.auc.value) > SAME_AREA:
        lines[f"{first.contest.name}, unweighted: {first.alike.value:.4f}"] = first.curve_alike
    kept = {name: curve for name, curve in lines.items() if curve}
    figure = plots.lines(
        {name: Curve(curve.fpr, curve.tpr) for name, curve in kept.items()} | DIAGONAL,
        title="ROC",
        x="share of negatives left",
        y="share of positives kept",
        mark=plots.mark_of(scored.packed.files),
        x_limits=(0, 1),
        y_limits=(0, 1),
        notes=[_weighing(job.options)],
    )
    plots.publish(job, GROUPS[group], figure, job.options.formats)
    title = "ROC" if group == "main" else f"ROC: {group}"
    series = {name: contests.points(curve) for name, curve in kept.items()} | {"by chance": [(0.0, 0.0), (1.0, 1.0)]}
    return sections.curves(
        title, series, x="share of negatives left", y="share of positives kept", dashed=list(DIAGONAL), note="Behind each name its AUC."
    )


def _rejection(job: Job[EvaluateOptions], scored: Scored, outcomes: Sequence[Outcome]) -> sections.Section | None:
    """One over the share of negatives, where some are left: what is read off for a cut."""
    lines = {}
    for one in outcomes:
        if one.contest.group == "main" and one.curve:
            useful = (one.curve.fpr > 0) & (one.curve.tpr > LEAST_TPR)
            lines[one.contest.name] = (one.curve.tpr[useful], 1 / one.curve.fpr[useful])
    if not lines:
        return None
    axes = {"x": "share of positives kept", "y": "rejection of negatives, 1 / share left"}
    curves = {name: Curve(*line) for name, line in lines.items()}
    mark = plots.mark_of(scored.packed.files)
    figure = plots.lines(curves, title="rejection", **axes, mark=mark, log_y=True, x_limits=(0, 1), notes=[_weighing(job.options)])
    plots.publish(job, "rejection", figure, job.options.formats)
    series = {
        name: [(float(f"{x:.5g}"), float(f"{y:.5g}")) for x, y in zip(*(axis.tolist() for axis in line), strict=True)]
        for name, line in lines.items()
    }
    return sections.curves("Rejection", series, **axes, log_y=True)


def _distributions(job: Job[EvaluateOptions], scored: Scored, main: Contest) -> sections.Section:
    """The first contest's score by class, each class with an area of 1."""
    values = np.minimum(contests.score(scored, main), np.nextafter(1.0, 0.0))
    axis = Regular(2 * job.options.bins, 0.0, 1.0)
    width = 1 / axis.bins
    curves, series = {}, {}
    for name in scored.classes:
        rows = scored.compared & scored.of_class([name])
        filled = histogram([values[rows]], [axis], scored.weight[rows] if job.options.weighted else None)
        if not (total := filled.values.sum()) > 0:
            continue
        spread = filled.variances if job.options.weighted else filled.values
        density, sigma = filled.values / total / width, np.sqrt(spread) / total / width
        ended = [np.append(one, one[-1]) for one in (density, density - sigma, density + sigma)]
        curves[name] = Curve(axis.edges, *ended, look="steps")
        series[name] = [(float(x), float(f"{y:.5g}")) for x, y in zip(axis.edges, ended[0].tolist(), strict=True)]
    axes = {"x": f"score of {main.name}", "y": "events, each class with an area of 1"}
    mark = plots.mark_of(scored.packed.files)
    plots.publish(job, "scores", plots.lines(curves, title="score by class", **axes, mark=mark, log_y=True), job.options.formats)
    return sections.curves("Score by class", series, **axes, steps=True, log_y=True)


# ---- Calibration ----


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


def _calibration(job: Job[EvaluateOptions], scored: Scored, found: Mapping[str, Reliability]) -> sections.Section:
    curves, series = {}, {}
    for name, one in found.items():
        known = ~np.isnan(one.found) & ~np.isnan(one.low)
        columns = [column[known] for column in (one.said, one.found, one.low, one.high)]
        curves[name] = Curve(*columns, look="points")
        series[name] = list(zip(*(column.tolist() for column in columns[:2]), strict=True))
    axes = {"x": "probability said", "y": "share found"}
    straight = {STRAIGHT: Curve([0, 1], [0, 1], look="reference")}
    mark, notes = plots.mark_of(scored.packed.files), [f"{_weighing(job.options)}, 95 % intervals"]
    figure = plots.lines(curves | straight, title="calibration", **axes, mark=mark, x_limits=(0, 1), y_limits=(0, 1), notes=notes)
    plots.publish(job, "calibration", figure, job.options.formats)
    note = f"Means of bins of equal width, {_weighing(job.options)}: true only for the mixture of classes that the weights make."
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
    note = f"Share of each class, {_weighing(job.options)}, by the class of the greatest probability."
    section = sections.heat("Confusion", names, names, plain(shares.tolist()), x="taken for", y="is", note=note)
    return section, {"classes": names, "sums": sums.tolist(), "events": counts.tolist(), "shares": shares.tolist()}


# ---- Slices ----


def sliced(job: Job[EvaluateOptions], scored: Scored) -> Page:
    """The first contest in each slice."""
    wanted = contests.contests(scored.scores.objective, scored.classes, job.options.positive)
    rows = slices.table(scored, wanted, job.options, job.seed)
    columns = ["slice", "contest", "auc", "auc_low", "auc_high", *SIDES, "note"]
    words = ["slice", "contest", "AUC", "from", "to", "positives", "negatives", "Σw positive", "Σw negative", "note"]
    note = f"{_weighing(job.options).capitalize()}, 95 % intervals. Regions overlap."
    return Page({}, [sections.table("By slice", words, [[row[name] for name in columns] for row in rows], note)], {"slices": rows})

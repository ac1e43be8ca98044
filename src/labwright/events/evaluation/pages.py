"""What the evaluation shows of contests: areas, curves, scores by class, slices; as figures, sections and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from labwright.events.evaluation import contests, plots, slices
from labwright.events.evaluation.contests import Contest, Outcome, plain
from labwright.events.evaluation.plots import Curve
from labwright.events.evaluation.scored import Scored
from labwright.events.metrics.histograms import Regular, histogram
from labwright.events.recipe import EvaluateOptions
from labwright.runs import sections
from labwright.runs.errors import Stopped
from labwright.study.step import Job

GROUPS = {"main": "roc", "one against the rest": "roc_classes", "pairs of classes": "roc_pairs"}
"""Title of each group of contests and name of its plot."""
DIAGONAL = {"by chance": Curve([0, 1], [0, 1], look="reference")}
SIDES = ("positives", "negatives", "sum_positive", "sum_negative")
MOST_LINES = 6
"""Of a plot in a file; as many colours as are told apart."""
SAME_AREA = 1e-9
LEAST_TPR = 0.05
"""Below so few positives a rejection is of no use and unsteady."""


class Page(NamedTuple):
    """A part of the evaluation."""

    figures: dict[str, Any]
    sections: list[sections.Section]
    data: dict[str, Any]
    """All of it as numbers, for whoever draws it again."""


def weighing(options: EvaluateOptions) -> str:
    return "events weighted" if options.weighted else "events counted alike"


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
    made = [_areas(rows, options), *(_curves(job, scored, title, outcomes) for title in GROUPS)]
    made += [_pairs(job, scored, outcomes), _rejection(job, scored, outcomes), _distributions(job, scored, wanted[0])]
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
    note = f"{weighing(options).capitalize()}; AUC exact, ties by half; from … to: 95 % interval, {method}. ‘Kept at 0.01’: share of the "
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
    axes: dict[str, Any] = {"x": "share of negatives left", "y": "share of positives kept"}
    names = list(kept)
    for number, start in enumerate(range(0, len(names), MOST_LINES)):
        figure = plots.lines(
            {name: Curve(kept[name].fpr, kept[name].tpr) for name in names[start : start + MOST_LINES]} | DIAGONAL,
            title=_title(group),
            **axes,
            mark=plots.mark_of(scored.packed.files),
            x_limits=(0, 1),
            y_limits=(0, 1),
            notes=[weighing(job.options)],
        )
        plots.publish(job, GROUPS[group] + (f"_{number + 1}" if number else ""), figure, job.options.formats)
    series = {name: contests.points(curve) for name, curve in kept.items()} | {name: [(0.0, 0.0), (1.0, 1.0)] for name in DIAGONAL}
    return sections.curves(_title(group), series, **axes, dashed=list(DIAGONAL), note="Behind each name its AUC.")


def _title(group: str) -> str:
    return "ROC" if group == "main" else f"ROC: {group}"


def _pairs(job: Job[EvaluateOptions], scored: Scored, outcomes: Sequence[Outcome]) -> sections.Section | None:
    """The areas of all pairs as a matrix."""
    names = list(scored.classes)
    values = np.full((len(names), len(names)), np.nan)
    for one in outcomes:
        if len(one.contest.positive) == len(one.contest.negative) == 1:
            row, column = (names.index(side[0]) for side in (one.contest.positive, one.contest.negative))
            values[row, column] = values[column, row] = one.auc.value
    if np.count_nonzero(np.isfinite(values)) <= 2:
        # One pair is no matrix; the table has it.
        return None
    mark = plots.mark_of(scored.packed.files)
    axes: dict[str, Any] = {"x": "told from", "y": "class", "columns": names, "rows": names, "colour": "AUC"}
    figure = plots.heatmap(values, title="pairs of classes", **axes, mark=mark, text=".3f", limits=(0.5, 1.0))
    plots.publish(job, "pairs", figure, job.options.formats)
    return sections.heat("AUC of pairs of classes", names, names, plain(values.tolist()), x="told from", y="class")


def _rejection(job: Job[EvaluateOptions], scored: Scored, outcomes: Sequence[Outcome]) -> sections.Section | None:
    """One over the share of negatives, where some are left: what is read off for a cut."""
    lines = {}
    for one in outcomes:
        if one.contest.group == "main" and one.curve:
            useful = (one.curve.fpr > 0) & (one.curve.tpr > LEAST_TPR)
            lines[one.contest.name] = (one.curve.tpr[useful], 1 / one.curve.fpr[useful])
    if not lines:
        return None
    axes: dict[str, Any] = {"x": "share of positives kept", "y": "rejection of negatives, 1 / share left"}
    curves = {name: Curve(*line) for name, line in lines.items()}
    mark = plots.mark_of(scored.packed.files)
    figure = plots.lines(curves, title="rejection", **axes, mark=mark, log_y=True, x_limits=(0, 1), notes=[weighing(job.options)])
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
        ended, low, high = (np.append(one, one[-1]) for one in (density, density - sigma, density + sigma))
        curves[name] = Curve(axis.edges, ended, low, high, look="steps")
        series[name] = [(float(x), float(f"{y:.5g}")) for x, y in zip(axis.edges, ended.tolist(), strict=True)]
    axes: dict[str, Any] = {"x": f"score of {main.name}", "y": "events, each class with an area of 1"}
    mark = plots.mark_of(scored.packed.files)
    plots.publish(job, "scores", plots.lines(curves, title="score by class", **axes, mark=mark, log_y=True), job.options.formats)
    return sections.curves("Score by class", series, **axes, steps=True, log_y=True)


def sliced(job: Job[EvaluateOptions], scored: Scored) -> Page:
    """The first contest in each slice."""
    wanted = contests.contests(scored.scores.objective, scored.classes, job.options.positive)
    rows = slices.table(scored, wanted, job.options, job.seed)
    columns = ["slice", "contest", "auc", "auc_low", "auc_high", *SIDES, "note"]
    words = ["slice", "contest", "AUC", "from", "to", "positives", "negatives", "Σw positive", "Σw negative", "note"]
    note = f"{weighing(job.options).capitalize()}, 95 % intervals. Regions overlap."
    return Page({}, [sections.table("By slice", words, [[row[name] for name in columns] for row in rows], note)], {"slices": rows})

"""The closure of FvT as figures, tables and plots."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labwright.events.evaluation import plots, stacks
from labwright.events.evaluation.c2st import Difference
from labwright.events.evaluation.closing import FVT, SIGNAL, Closed, Drawn, against_truth, closed
from labwright.events.evaluation.plots import Curve
from labwright.events.evaluation.stacks import Counts
from labwright.events.evaluation.truth import Grade
from labwright.events.metrics.histograms import Histogram
from labwright.events.packing.load import PackedEvents
from labwright.events.recipe import EvaluateOptions
from labwright.events.scoring.scores import Scores
from labwright.runs import sections
from labwright.study.step import Figures, Job

NAMES = {"SB": "Sideband", SIGNAL: "Signal region"}


def report(job: Job[EvaluateOptions], packed: PackedEvents, scores: Scores) -> tuple[Figures, list[sections.Section]]:
    """Close the sideband and, where it is to be unblinded, the signal region.

    What FvT is like there can be told of a toy without its four-tag data: three-tag events know the right ratio.

    Returns:
        Figures by name, each of which ends in its region, and sections for the page; their plots lie in ``output/plots``.
    """
    fvt = scores.columns[FVT].astype(np.float64)
    unscored = int(np.count_nonzero(np.isnan(fvt) & packed.labelled.numpy()))
    options, mark = job.options, plots.mark_of(packed.files)
    figures: dict[str, Any] = {"fvt_unscored": unscored}
    made = []
    for region in NAMES:
        if region == SIGNAL and not options.unblind:
            one, why = None, "Its four-tag data stay unseen; `evaluate.unblind: true` shows them."
        else:
            one = closed(packed, fvt, region, options.variables, bins=options.bins, resamples=options.bootstrap, seed=job.seed)
            why = "There are no three-tag or no four-tag data in this region."
        if one is not None:
            figures |= figures_of(one)
            made += [_headlines(one, unscored), _variables(one), _counts(one), _tails(one), *_pictures(job, one, mark)]
            continue
        made.append(sections.text(NAMES[region], why))
        if (grade := against_truth(packed, fvt, region)) is not None:
            figures |= _graded(grade, region)
            note = "Of three-tag data alone, each of which knows the right ratio. No four-tag event is looked at."
            made.append(sections.figures(f"{NAMES[region]}: FvT against the known ratio", _grades(grade), note))
            made.append(sections.images(f"{NAMES[region]}: plots", _known(job, grade, region, mark)))
    return figures, made


def figures_of(one: Closed) -> dict[str, Any]:
    """The figures of a region, by names that end in it."""
    found: dict[str, Any] = {
        "c2st_auc": one.difference.auc,
        "c2st_sigma": one.difference.sigma,
        "c2st_pull": one.difference.pull,
        "c2st_pull_without_fvt": one.difference_before.pull,
        "chi2_per_ndf": one.chi2_per_ndf,
        "data_over_model": one.ratio,
        "data_over_model_sigma": one.ratio_sigma,
        "n_eff": one.tails.effective,
        "n_eff_without_fvt": one.tails.effective_before,
        "fvt_above_10": one.tails.large,
        "fvt_negative": one.tails.negative,
        "fvt_greatest": one.tails.greatest,
    }
    if one.difference_known:
        found["c2st_pull_known_ratio"] = one.difference_known.pull
    told = {f"{name}_{one.region}": value for name, value in found.items()}
    return told if one.grade is None else told | _graded(one.grade, one.region)


def _graded(grade: Grade, region: str) -> dict[str, Any]:
    return {f"fvt_bias_{region}": grade.bias, f"fvt_rms_{region}": grade.rms, f"fvt_rms_of_constant_{region}": grade.constant}


def _grades(grade: Grade) -> list[dict[str, Any]]:
    return [
        sections.figure("bias of FvT", grade.bias, method="mean of FvT / known ratio − 1 over three-tag data"),
        sections.figure("error of FvT", grade.rms, method=f"root mean square of the same; {grade.constant:.3f} for the best constant"),
    ]


def _headlines(one: Closed, unscored: int) -> sections.Section:
    others = {"the same with FvT = 1": one.difference_before, "the same with the known ratio": one.difference_known}
    items = [
        sections.figure("classifier test, AUC", one.difference.auc, method=_sigmas(one.difference), note="0.5: cannot be told apart"),
        *(sections.figure(name, of.auc, method=_sigmas(of)) for name, of in others.items() if of),
        sections.figure("χ²/ndf over all variables", one.chi2_per_ndf),
        sections.figure("data / model", one.ratio, method=f"± {one.ratio_sigma:.4f} (Σw² of both sides)"),
        sections.figure(
            "effective three-tag events", one.tails.effective, method=f"(Σw)² / Σw²; {one.tails.effective_before:,.0f} without FvT"
        ),
    ]
    items += _grades(one.grade) if one.grade is not None else []
    note = (
        "The model is three-tag data weighted by FvT, with simulated four-tag top pairs added. "
        "The errors count events; what FvT itself may err by is not in them."
    )
    if unscored:
        note += f" {unscored:,} events have no score and stay out."
    return sections.figures(f"FvT closure: {NAMES[one.region]}", items, note)


def _sigmas(of: Difference) -> str:
    return f"± {of.sigma:.4f} (DeLong), {of.pull:+.1f} σ from 0.5"


def _variables(one: Closed) -> sections.Section:
    rows = [
        [
            one.drawn[name].shown.title,
            round(after.chi2, 1),
            after.ndf,
            round(after.chi2 / after.ndf, 2),
            round(after.p, 4),
            None if np.isnan(after.p_bootstrap) else round(after.p_bootstrap, 4),
            round(one.before[name].chi2 / one.before[name].ndf, 1),
        ]
        for name, after in one.after.items()
    ]
    heads = ["variable", "χ²", "ndf", "χ²/ndf", "p", "p by bootstrap", "χ²/ndf with FvT = 1"]
    return sections.table(
        f"{NAMES[one.region]}: χ² by variable", heads, rows, note="Bins of fewer than 10 expected events are joined; overflow counts."
    )


def _counts(one: Closed) -> sections.Section:
    rows: list[list[sections.Cell]] = [[count.name, count.events, round(count.total, 2), round(count.effective, 1)] for count in one.counts]
    return sections.table(f"{NAMES[one.region]}: events", ["class", "events", "Σw without FvT", "effective events"], rows)


def _tails(one: Closed) -> sections.Section:
    tails = one.tails
    rows: list[list[Any]] = [["least", round(tails.least, 4)]]
    rows += [[f"{share:.0%} quantile", round(value, 4)] for share, value in tails.quantiles.items()]
    rows += [["greatest", round(tails.greatest, 4)], ["share above 10", tails.large], ["share below 0", tails.negative]]
    return sections.table(f"{NAMES[one.region]}: FvT of three-tag data", ["", "FvT"], rows)


def _pictures(job: Job[EvaluateOptions], one: Closed, mark: str) -> list[sections.Section]:
    items = []
    for name, drawn in one.drawn.items():
        after = one.after[name]
        note = f"χ²/ndf = {after.chi2:.1f}/{after.ndf}, p = {after.p:.2g}"
        figure = _stack(one, drawn, note, mark)
        items += _published(job, f"closure-{one.region}-{name}", figure, f"{drawn.shown.label}: {note}")
    items += _known(job, one.grade, one.region, mark) if one.grade is not None else []
    return [sections.images(f"{NAMES[one.region]}: plots", items)] if items else []


def _known(job: Job[EvaluateOptions], grade: Grade, region: str, mark: str) -> list[tuple[str, str]]:
    figure = _truth(grade, f"{NAMES[region]}: FvT of three-tag data", mark)
    return _published(job, f"closure-{region}-truth", figure, "FvT against the known ratio, in tenths of the three-tag data")


def _published(job: Job[EvaluateOptions], name: str, figure: Figure, caption: str) -> list[tuple[str, str]]:
    """Write a figure; what the page shows of it is the PNG."""
    return [(path, caption) for path in plots.publish(job, name, figure, job.options.formats) if path.endswith(".png")]


def _stack(one: Closed, drawn: Drawn, note: str, mark: str) -> Figure:
    parts = {"top pairs, 4 tags": drawn.top} if drawn.top.sums.any() else {}
    edges = drawn.axis.edges
    width = (edges[-1] - edges[0]) / drawn.axis.bins
    unit = f" {drawn.shown.unit}" if drawn.shown.unit else ""
    return stacks.stacked(
        edges,
        {name: _counted(part) for name, part in (parts | {"FvT × 3-tag data": drawn.three}).items()},
        ("4-tag data", _counted(drawn.data)),
        title=NAMES[one.region],
        x=drawn.shown.title,
        y="events" if drawn.shown.whole else f"events / {width:.3g}{unit}",
        mark=mark,
        outlines={"with FvT = 1": _counted(drawn.before)},
        notes=[note],
    )


def _truth(grade: Grade, title: str, mark: str) -> Figure:
    known, found, spread = (np.array([getattr(one, name) for one in grade.bins]) for name in ("known", "found", "spread"))
    spread = spread * known
    ends = np.array([known.min(), known.max()])
    margin = 0.1 * float(known.max())
    reach = float(max(known.max(), (found + spread).max()))
    return plots.lines(
        {
            "FvT = known ratio": Curve(ends, ends, look="reference"),
            "mean and spread of FvT": Curve(known, found, found - spread, found + spread, look="points"),
        },
        title=title,
        x="known ratio",
        y="FvT",
        mark=mark,
        x_limits=(max(0.0, float(ends[0]) - margin), float(ends[1]) + margin),
        # Room for the legend above all that is drawn.
        y_limits=(min(0.0, float((found - spread).min())), 1.5 * reach),
        notes=[f"bias {grade.bias:+.1%}, error {grade.rms:.1%} (constant: {grade.constant:.1%})"],
    )


def _counted(part: Histogram) -> Counts:
    return Counts(part.values, part.variances)

"""A training over its epochs, drawn: loss, AUC, and the ROC with a slider, each beside what the members were trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labwright.events.evaluation import plots
from labwright.events.evaluation.plots import Curve
from labwright.events.recipe import EvaluateOptions
from labwright.events.training.epochs import EPOCHS, FPR, SETS, read_epochs
from labwright.runs import sections
from labwright.runs.run import Run
from labwright.study.step import Job

WORDS = {"loss": "loss", "auc": "AUC"}


def epochs_page(job: Job[EvaluateOptions], training: Run, mark: str) -> list[sections.Section]:
    """Loss, AUC and ROC over the epochs, means over the members and each of them, beside what they were trained with.

    Args:
        job: of evaluate.
        training: a run of train.
        mark: of the plots.
    """
    path = training.output(EPOCHS)
    if not path.is_file() or not (rows := read_epochs(path)):
        return [sections.text(f"Epochs of {training.name}", "This training kept no record of its validations.")]
    # Members by validation; all of a part have the same, and other parts may have stopped earlier.
    by_place: dict[float, list[dict[str, Any]]] = {}
    for one in rows:
        by_place.setdefault(one["epoch"], []).append(one)
    chosen = spaced(sorted(by_place), {place: found[0]["step"] for place, found in by_place.items()}, job.options.every)
    members = list(dict.fromkeys(one["member"] for one in rows))
    made = [_over_epochs(job, training, by_place, figure, mark) for figure in WORDS]
    made.append(_film(training, by_place, chosen, members))
    made.append(_pace_table(training, by_place, chosen))
    return made


def spaced(places: Sequence[float], steps: Mapping[float, int], every: str) -> list[float]:
    """The validations to show: the first in each interval of ``every``, and the last."""
    count, unit = every.split()
    of = {place: (place if unit.startswith("epoch") else steps[place]) for place in places}
    kept: list[float] = []
    for place in places:
        if not kept or int(of[place] / int(count)) > int(of[kept[-1]] / int(count)) or place == places[-1]:
            kept.append(place)
    return kept


def _mean(rows: Sequence[Mapping[str, Any]], events: str, figure: str) -> float | None:
    values = [one[figure] for one in rows if one["events"] == events]
    return float(np.mean(values)) if values and np.isfinite(values).all() else None


def _over_epochs(
    job: Job[EvaluateOptions], training: Run, by_place: Mapping[float, Sequence[dict[str, Any]]], figure: str, mark: str
) -> sections.Section:
    series, curves = {}, {}
    for events in SETS:
        points = [(place, value) for place in sorted(by_place) if (value := _mean(by_place[place], events, figure)) is not None]
        spreads = [np.std([one[figure] for one in by_place[place] if one["events"] == events]) for place, _ in points]
        if not points:
            continue
        series[events] = points
        x, y = np.array([place for place, _ in points]), np.array([value for _, value in points])
        curves[events] = Curve(x, y, y - spreads, y + spreads)
    word = WORDS[figure]
    notes = ["means over the members and their spread"]
    plot = plots.lines(curves, title=f"{word} over the epochs", x="epochs", y=word, mark=mark, notes=notes)
    plots.publish(job, f"epochs_{figure}_{training.fingerprint[:10]}", plot, job.options.formats)
    note = f"Means over the members of {training.name}. Training: a fixed share of the events that a member trains on, by the same network."
    return sections.curves(f"{word[0].upper()}{word[1:]} over the epochs", series, x="epochs", y=word, note=note)


def _film(
    training: Run, by_place: Mapping[float, Sequence[dict[str, Any]]], chosen: Sequence[float], members: Sequence[str]
) -> sections.Section:
    frames = []
    for place in chosen:
        rows = by_place[place]
        lines = [_line([one["tpr"] for one in rows if one["events"] == events]) for events in SETS]
        for member in members:
            lines += [_line([one["tpr"] for one in rows if (one["member"], one["events"]) == (member, events)]) for events in SETS]
        frames.append(sections.frame(f"{place:g}", lines, "<br>".join(f"{name} {value}" for name, value in _told(rows).items())))
    own = [f"{member}, {events}" for member in members for events in SETS]
    names = [*(f"{events}, mean" for events in SETS), *own]
    title = f"ROC over the epochs of {training.name}"
    axes: dict[str, Any] = {"x": "share of negatives left", "y": "share of positives kept", "over": "epoch"}
    note = "A click on a member's name shows it. Best weights are chosen member by member; these are of the epoch named."
    return sections.film(title, names, [float(f"{x:.4g}") for x in FPR], frames, **axes, hidden=own, note=note)


def _line(curves: Sequence[Sequence[float]]) -> list[float | None]:
    if not curves:
        return [None] * len(FPR)
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in np.mean(curves, axis=0)]


def _told(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the members were trained with, and how well they did."""
    rates = sorted({one["learning_rate"] for one in rows})
    told = {"learning rate": f"{rates[0]:.3g}" if len(rates) == 1 else f"{rates[0]:.3g} to {rates[-1]:.3g}"}
    told |= {"batch size": f"{rows[0]['batch_size']:g}", "ghost batches": f"{rows[0]['ghosts']:g}"}
    for figure in WORDS:
        for events in SETS:
            value = _mean(rows, events, figure)
            told[f"{WORDS[figure]}, {events}"] = "–" if value is None else f"{value:.4f}"
    return told


def _pace_table(training: Run, by_place: Mapping[float, Sequence[dict[str, Any]]], chosen: Sequence[float]) -> sections.Section:
    told = [(place, _told(by_place[place])) for place in chosen]
    rows: list[list[sections.Cell]] = [[place, *found.values()] for place, found in told]
    return sections.table(f"Epochs of {training.name}", ["epoch", *told[0][1]], rows)

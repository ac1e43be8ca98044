"""Report sections of a training: figures and curves, and the metric series as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labwright.runs import sections
from labwright.runs.run import Run

UNITS = {"seconds": "s", "joules": "J", "learning_rate": ""}


def training_sections(run: Run, figures: Mapping[str, Any]) -> list[sections.Section]:
    """Headline figures and one plot for each metric, training and validation in the same axes."""
    methods = ", ".join(sorted({row["method"] for row in run.energy() if row["joules"] is not None}))
    items = [
        sections.figure(name.replace("_", " "), value, unit=UNITS.get(name, ""), method=methods if "joules" in name else "")
        for name, value in figures.items()
        if not isinstance(value, (dict, list))
    ]
    made = [sections.figures("Training", items)]
    plots: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for (part, phase, name), curve in run.curves().items():
        points = [(float(step), value) for step, value in curve.items() if value is not None]
        plots.setdefault(name, {})[f"{phase} {part}".strip()] = points
    for name, series in plots.items():
        # Where attempts began is marked when the page is drawn: the output of a run is the same however often it was stopped.
        made.append(sections.curves(name.replace("_", " "), series, x="step", y=name.replace("_", " ")))
    return made


def write_metrics(run: Run, path: Path) -> None:
    """All metric series as CSV: part, phase, name, step, value."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["part", "phase", "name", "step", "value"])
        for (part, phase, name), curve in sorted(run.curves().items()):
            writer.writerows([part, phase, name, step, value] for step, value in curve.items())

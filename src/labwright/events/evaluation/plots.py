"""Figures for papers and pages, and their files: curves and heat maps; :mod:`stacks` has histograms with their ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from labwright.events.evaluation.plot_style import GREY, finish, look, new_figure, styled
from labwright.study.step import Job

Real = NDArray[np.float64]
Format = Literal["png", "svg"]
FOLDER = "plots"
TOY = "TOY"
"""The mark of what is invented."""
_METADATA: Mapping[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


class Curve(NamedTuple):
    """A line of a figure; all (N,)."""

    x: Any
    y: Any
    low: Any = None
    """Lower edge of a band, or end of an error bar; NaN where unknown."""
    high: Any = None
    look: Literal["line", "steps", "points", "reference"] = "line"
    """``steps`` hold each value until the next x; ``reference`` is thin, dashed and grey."""


def publish(job: Job[Any], name: str, figure: Figure, formats: Sequence[Format]) -> list[str]:
    """Write ``output/plots/name.png`` and whatever other formats are wanted; their paths below ``output``."""
    written = []
    for one in formats:
        written.append(f"{FOLDER}/{name}.{one}")
        with look(), job.output(written[-1]) as path:
            figure.savefig(path, format=one, metadata=_METADATA[one])
    return written


def mark_of(files: Sequence[Mapping[str, Any]]) -> str:
    """What figures of a pack with these source files are marked with: toy files carry ``toy_`` in front of their names."""
    names = [str(file["name"]).rpartition("/")[-1] for file in files]
    return TOY if any(name.startswith("toy_") for name in names) else ""


@styled
def lines(
    curves: Mapping[str, Curve],
    *,
    title: str,
    x: str,
    y: str,
    mark: str = "",
    log_x: bool = False,
    log_y: bool = False,
    x_limits: tuple[float, float] | None = None,
    y_limits: tuple[float, float] | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """Curves, points and bands over one axis.

    Args:
        curves: by their names in the legend; a name that begins with ``_`` is left out of it.
        title: above the axes, on the left.
        x, y: names of the axes with their units, ``four-jet mass [GeV]``.
        mark: above the axes on the right: ``TOY``.
        log_x, log_y: logarithmic axes.
        x_limits, y_limits: ends of the axes.
        notes: short lines of text inside.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    for name, curve in curves.items():
        _draw_curve(axes, name, curve)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    if x_limits is not None:
        axes.set_xlim(*x_limits)
    if y_limits is not None:
        axes.set_ylim(*y_limits)
    finish(axes, title, mark, notes)
    return figure


@styled
def heatmap(
    values: Any,
    *,
    title: str,
    x: str,
    y: str,
    columns: Sequence[str] | Real,
    rows: Sequence[str] | Real,
    colour: str,
    mark: str = "",
    text: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """A matrix of numbers as colours; NaN stays blank.

    Args:
        values: (rows, columns); the first row is the lowest for edges, the uppermost for names.
        title, x, y, mark: as in :func:`lines`.
        columns, rows: names of each, or edges, one more than there are.
        colour: what the colour means, with its unit.
        text: format of the number written into each field, as ``.2f``; empty writes none.
        limits: least and greatest value of the colours.
    """
    values = np.asarray(values, np.float64)
    figure = new_figure()
    axes = figure.add_subplot()
    named = [len(ticks) == count for ticks, count in zip((rows, columns), values.shape, strict=True)]
    places = [
        np.arange(count + 1) - 0.5 if name else np.asarray(ticks, np.float64)
        for name, ticks, count in zip(named, (rows, columns), values.shape, strict=True)
    ]
    finite = values[np.isfinite(values)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0))
    mesh = axes.pcolormesh(places[1], places[0], values, cmap="cividis", vmin=low, vmax=high, rasterized=values.size > 10_000)
    bar = figure.colorbar(mesh, ax=axes)
    bar.set_label(colour)
    if named[1]:
        axes.set_xticks(range(values.shape[1]), [str(name) for name in columns])
    if named[0]:
        axes.set_yticks(range(values.shape[0]), [str(name) for name in rows])
        axes.invert_yaxis()
    if any(named):
        axes.tick_params(which="minor", length=0)
    for row, column in np.argwhere(np.isfinite(values)) if text else ():
        dark = values[row, column] < (low + high) / 2
        where = [(place[index] + place[index + 1]) / 2 for place, index in zip(places, (row, column), strict=True)]
        axes.text(where[1], where[0], format(values[row, column], text), ha="center", va="center", color="white" if dark else "black")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    finish(axes, title, mark)
    return figure


def _draw_curve(axes: Axes, name: str, curve: Curve) -> None:
    x, y = (np.asarray(values, np.float64) for values in (curve.x, curve.y))
    if curve.look == "reference":
        axes.plot(x, y, color=GREY, linestyle="--", linewidth=1.2, label=name)
        return
    step: Any = "post" if curve.look == "steps" else None
    if curve.look == "points":
        bounds = [np.zeros_like(y) if bound is None else np.abs(np.asarray(bound) - y) for bound in (curve.low, curve.high)]
        axes.errorbar(x, y, np.stack(bounds), fmt="o", label=name, linewidth=1.2)
        return
    (line,) = axes.plot(x, y, label=name, drawstyle="steps-post" if step else "default")
    if curve.low is not None and curve.high is not None:
        axes.fill_between(x, curve.low, curve.high, step=step, color=line.get_color(), alpha=0.25, linewidth=0)

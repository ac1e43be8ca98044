"""Figures for papers and pages, in the style of the field: curves, stacked histograms with their ratio, heat maps.

Figures are made without pyplot, whose state is shared by all of a process. The same numbers give the same bytes of PNG and SVG with the
same release of matplotlib: no date, no random names, and fonts that come with the packages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Literal, NamedTuple, ParamSpec

import matplotlib
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from labwright.study.step import Job

P = ParamSpec("P")
Real = NDArray[np.float64]
Format = Literal["png", "svg"]
FOLDER = "plots"
TOY = "TOY"
"""The mark of what is invented."""
_METADATA: Mapping[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
_GREY = "#717581"
_SIZE_INCHES = (8.0, 6.4)
_RATIO_LIMITS = (0.5, 1.5)


class Curve(NamedTuple):
    """A line of a figure; all (N,)."""

    x: Any
    y: Any
    low: Any = None
    """Lower edge of a band, or end of an error bar; NaN where unknown."""
    high: Any = None
    look: Literal["line", "steps", "points", "reference"] = "line"
    """``steps`` hold each value until the next x; ``reference`` is thin, dashed and grey."""


class Counts(NamedTuple):
    """A histogram to be drawn."""

    values: Real
    """(bins,) Σw."""
    variances: Real
    """(bins,) Σw²."""


def publish(job: Job[Any], name: str, figure: Figure, formats: Sequence[Format]) -> list[str]:
    """Write ``output/plots/name.png`` and whatever other formats are wanted; their paths below ``output``."""
    written = []
    for one in formats:
        written.append(f"{FOLDER}/{name}.{one}")
        with _style(), job.output(written[-1]) as path:
            figure.savefig(path, format=one, metadata=_METADATA[one])
    return written


def mark_of(files: Sequence[Mapping[str, Any]]) -> str:
    """What figures of a pack with these source files are marked with: toy files carry ``toy_`` in front of their names."""
    names = [str(file["name"]).rpartition("/")[-1] for file in files]
    return TOY if any(name.startswith("toy_") for name in names) else ""


def _style() -> AbstractContextManager[None]:
    """That of CMS in mplhep, for figures of a column's width."""
    given: dict[str, Any] = {name: value for name, value in mplhep.style.CMS.items() if not name.startswith("mathtext.")}
    own: dict[str, Any] = {
        "figure.figsize": _SIZE_INCHES,
        "figure.dpi": 110,
        "savefig.dpi": 110,
        "font.size": 15,
        # The second has the Greek letters and signs that the first lacks.
        "font.family": ["TeX Gyre Heros", "DejaVu Sans"],
        "axes.linewidth": 1.2,
        "axes.titlesize": "medium",
        "axes.titlelocation": "left",
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "legend.fontsize": "small",
        "xtick.major.size": 8,
        "xtick.minor.size": 4,
        "ytick.major.size": 8,
        "ytick.minor.size": 4,
        "svg.hashsalt": "labwright",
        "svg.fonttype": "path",
    }
    both: Any = given | own
    return matplotlib.rc_context(both)


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return drawn


@_styled
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
    figure = _figure()
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
    _titled(axes, title, mark)
    _legend(axes, notes)
    return figure


@_styled
def stacked(
    edges: Any,
    stack: Mapping[str, Counts],
    points: tuple[str, Counts] | None = None,
    *,
    title: str,
    x: str,
    y: str = "events",
    mark: str = "",
    outlines: Mapping[str, Counts] | None = None,
    log_y: bool = False,
    notes: Sequence[str] = (),
) -> Figure:
    """Histograms on top of each other with the uncertainty of their sum, points over them, and below the ratio of points to sum.

    Args:
        edges: (bins + 1,).
        stack: what is summed, from the bottom up.
        points: name and histogram that the sum is held against.
        title, x, y, mark, log_y, notes: as in :func:`lines`.
        outlines: other predictions, drawn as lines, and their ratio to the sum.
    """
    edges = np.asarray(edges, np.float64)
    total = Counts(*(np.sum([getattr(one, name) for one in stack.values()], axis=0) for name in Counts._fields))
    sigma = np.sqrt(total.variances)
    figure = _figure()
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.0)
    above = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=above)
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    mplhep.histplot(
        [one.values for one in stack.values()],
        edges,
        ax=above,
        stack=True,
        histtype="fill",
        label=list(stack),
        color=colours[: len(stack)],
        flow="none",
    )
    hatched: dict[str, Any] = {"step": "post", "facecolor": "none", "edgecolor": _GREY, "hatch": "////", "linewidth": 0.0}
    above.fill_between(edges, _ended(total.values - sigma), _ended(total.values + sigma), label="uncertainty of the sum", **hatched)
    safe = np.where(total.values > 0, total.values, np.nan)
    below.fill_between(edges, _ended(1 - sigma / safe), _ended(1 + sigma / safe), **hatched)
    for number, (name, one) in enumerate((outlines or {}).items()):
        colour = colours[(len(stack) + number) % len(colours)]
        above.stairs(one.values, edges, color=colour, linestyle="--", linewidth=1.6, label=name)
        below.stairs(one.values / safe, edges, color=colour, linestyle="--", linewidth=1.6)
    if points is not None:
        name, one = points
        # Nothing is drawn where there is nothing.
        centres = np.where(one.variances > 0, (edges[1:] + edges[:-1]) / 2, np.nan)
        error = np.sqrt(one.variances)
        dots: dict[str, Any] = {"fmt": "o", "color": "black", "markersize": 4.5, "linewidth": 1.2}
        above.errorbar(centres, one.values, error, label=name, **dots)
        below.errorbar(centres, one.values / safe, error / safe, **dots)
    below.axhline(1.0, color=_GREY, linewidth=1.0)
    below.set_ylim(*_RATIO_LIMITS)
    below.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    below.set_xlim(edges[0], edges[-1])
    below.set_xlabel(x)
    below.set_ylabel("ratio to sum", loc="center", fontsize="small")
    above.tick_params(labelbottom=False)
    above.set_ylabel(y)
    highest = float(np.max(total.values, initial=0.0))
    if highest > 0:
        above.set_yscale("log" if log_y else "linear")
        least = float(np.min(total.values[total.values > 0]))
        above.set_ylim((0.3 * least, 30 * highest) if log_y else (0.0, 1.45 * highest))
    _titled(above, title, mark)
    _legend(above, notes)
    return figure


@_styled
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
    figure = _figure()
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
    _titled(axes, title, mark)
    return figure


def _figure() -> Figure:
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_curve(axes: Axes, name: str, curve: Curve) -> None:
    x, y = (np.asarray(values, np.float64) for values in (curve.x, curve.y))
    if curve.look == "reference":
        axes.plot(x, y, color=_GREY, linestyle="--", linewidth=1.2, label=name)
        return
    step: Any = "post" if curve.look == "steps" else None
    if curve.look == "points":
        bounds = [np.zeros_like(y) if bound is None else np.abs(np.asarray(bound) - y) for bound in (curve.low, curve.high)]
        axes.errorbar(x, y, np.stack(bounds), fmt="o", label=name, linewidth=1.2)
        return
    (line,) = axes.plot(x, y, label=name, drawstyle="steps-post" if step else "default")
    if curve.low is not None and curve.high is not None:
        axes.fill_between(x, curve.low, curve.high, step=step, color=line.get_color(), alpha=0.25, linewidth=0)


def _titled(axes: Axes, title: str, mark: str) -> None:
    axes.set_title(title, loc="left")
    if mark:
        axes.set_title(mark, loc="right", color="#a11d33", fontweight="bold")


def _legend(axes: Axes, notes: Sequence[str]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles or notes:
        # Notes are a legend's title, so that nothing is drawn over anything.
        axes.legend(handles, labels, title="\n".join(notes) or None, title_fontsize="small", alignment="left", loc="best")


def _ended(values: Real) -> Real:
    """The last value once more, as steps need it."""
    return np.append(values, values[-1:])

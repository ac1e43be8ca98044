"""Histograms on top of each other with what they are held against, and the ratio of the two below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from labwright.events.evaluation.plot_style import GREY, finish, new_figure, styled

Real = NDArray[np.float64]
_RATIO_LIMITS = (0.5, 1.5)


class Counts(NamedTuple):
    """A histogram to be drawn."""

    values: Real
    """(bins,) Σw."""
    variances: Real
    """(bins,) Σw²."""


@styled
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
    figure = new_figure()
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
    hatched: dict[str, Any] = {"step": "post", "facecolor": "none", "edgecolor": GREY, "hatch": "////", "linewidth": 0.0}
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
        _beyond(below, centres, one.values / safe)
    below.axhline(1.0, color=GREY, linewidth=1.0)
    below.set_ylim(*_RATIO_LIMITS)
    below.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
    below.set_xlim(edges[0], edges[-1])
    below.set_xlabel(x)
    below.set_ylabel("ratio to sum", loc="center", fontsize="small")
    above.tick_params(labelbottom=False)
    above.set_ylabel(y)
    drawn = [total.values, total.values + sigma, *(one.values for one in (outlines or {}).values())]
    drawn += [points[1].values, points[1].values + np.sqrt(points[1].variances)] if points is not None else []
    values = np.concatenate(drawn)
    if (highest := float(np.max(values, initial=0.0))) > 0:
        above.set_yscale("log" if log_y else "linear")
        above.set_ylim((0.3 * float(values[values > 0].min()), 30 * highest) if log_y else (0.0, 1.45 * highest))
    finish(above, title, mark, notes)
    return figure


def _beyond(axes: Axes, centres: Real, ratio: Real) -> None:
    """Arrows at the edge where a ratio lies beyond it."""
    low, high = _RATIO_LIMITS
    for where, edge, marker in ((ratio > high, high, "^"), (ratio < low, low, "v")):
        if where.any():
            axes.plot(centres[where], np.full(np.count_nonzero(where), edge), marker, color="black", markersize=7, clip_on=False, zorder=5)


def _ended(values: Real) -> Real:
    """The last value once more, as steps need it."""
    return np.append(values, values[-1:])

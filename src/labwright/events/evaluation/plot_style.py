"""How figures look: in the style of the field, and the same each time.

Figures are made without pyplot, whose state is shared by all of a process. The same numbers give the same bytes of PNG and SVG with the
same release of matplotlib: no date, no random names, and fonts that come with the packages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
import mplhep
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

P = ParamSpec("P")
GREY = "#717581"
SIZE_INCHES = (8.0, 6.4)


def look() -> AbstractContextManager[None]:
    """That of CMS in mplhep, for figures of a column's width."""
    given: dict[str, Any] = {name: value for name, value in mplhep.style.CMS.items() if not name.startswith("mathtext.")}
    own: dict[str, Any] = {
        "figure.figsize": SIZE_INCHES,
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


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with look():
            return draw(*args, **kwargs)

    return drawn


def new_figure() -> Figure:
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def finish(axes: Axes, title: str, mark: str, notes: Sequence[str] = ()) -> None:
    """Title, mark, and a legend where there is anything to tell."""
    axes.set_title(title, loc="left")
    if mark:
        axes.set_title(mark, loc="right", color="#a11d33", fontweight="bold")
    handles, labels = axes.get_legend_handles_labels()
    if handles or notes:
        # Notes are a legend's title, so that nothing is drawn over anything.
        axes.legend(handles, labels, title="\n".join(notes) or None, title_fontsize="small", alignment="left", loc="best")

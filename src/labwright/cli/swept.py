"""The rows of a sweep beside one another: what was set, how far it came, figures, joules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from labwright.cli.tables import scalars
from labwright.runs.energy import in_words
from labwright.runs.run import Run

MOST_COLUMNS = 6
"""Figures beside the swept options."""


class Point(NamedTuple):
    """One row."""

    sets: Mapping[str, str]
    """The swept options."""
    state: str
    figures: Mapping[str, Any]
    """Of the last step; empty where that is not done."""
    energy: Sequence[dict[str, Any]]
    run: str


def table(points: Sequence[Point]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows; figures that only some rows have are left empty in the others."""
    figures = [scalars(point.figures) for point in points]
    names = list(dict.fromkeys(name for one in figures for name in one))[:MOST_COLUMNS]
    options = list(dict.fromkeys(name for point in points for name in point.sets))
    rows = [
        [
            *(point.sets.get(name) for name in options),
            point.state,
            *(one.get(name) for name in names),
            in_words(list(point.energy)),
            point.run,
        ]
        for point, one in zip(points, figures, strict=True)
    ]
    return [*options, "state", *names, "energy", "run"], rows


def point_of(sets: Mapping[str, str], runs: Sequence[Run], *, waiting: Sequence[str] = ()) -> Point:
    """A row from its runs, in the order of steps.

    Args:
        waiting: steps that are not done.
    """
    done = [run for run in runs if run.done()]
    last = runs[-1] if runs else None
    state = "done" if not waiting else f"{waiting[0]} is {_state(runs, waiting[0])}"
    figures = last.figures() if last and not waiting else {}
    return Point(sets, state, figures, [row for run in done for row in run.energy()], last.name if last else "")


def _state(runs: Sequence[Run], step: str) -> str:
    return next((run.state() for run in runs if run.step == step), "not begun")

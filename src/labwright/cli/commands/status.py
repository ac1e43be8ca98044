"""``labwright status``: how each run is getting on, from its files alone."""

from __future__ import annotations

import argparse
import json
from typing import Any

from labwright.cli import places
from labwright.cli.tables import print_table
from labwright.runs.errors import Exit
from labwright.runs.run import Run

COLUMNS = ("run", "state", "parts_done", "parts", "attempts", "heartbeat_age_s", "last_metrics")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each run; parts are those of the frozen list."""
    runs = places.own_runs_at(arguments.place, places.runs_option(arguments))
    print_table(COLUMNS, [_row(one) for one in runs], json_mode=arguments.json)
    return Exit.DONE


def _row(run: Run) -> list[Any]:
    try:
        parts: int | None = len(json.loads((run.folder / "parts.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        parts = None
    age = run.heartbeat_age_s()
    return [
        run.name,
        run.state(),
        len(run.part_figures()),
        parts,
        run.attempts(),
        None if age is None else round(age, 1),
        _last_metrics(run),
    ]


def _last_metrics(run: Run) -> str:
    metrics = run.records("metric")
    if not metrics:
        return ""
    last = metrics[-1]
    values = " ".join(f"{name}={value:.4g}" for name, value in list(last["values"].items())[:3] if isinstance(value, (int, float)))
    return f"{last['phase']} step {last['step']}: {values}"

"""``labwright plan``: the steps of a study, their state, and why each would run or not."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import places
from labwright.cli.tables import print_table
from labwright.runs.errors import Exit
from labwright.study.plan import differences, done_runs, plan, runs_folder

if TYPE_CHECKING:
    from labwright.study.plan import Planned
    from labwright.study.resolve import Study

_WHY = {
    "ready": "was begun; goes on",
    "running": "a process is at work on it",
    "stopped": "stopped early; goes on where it was",
    "failed": "ended with an error; `labwright logs` shows it; goes on where it was",
    "silent": "its process is lost; goes on where it was",
    "done": "complete with these options",
    "stale": "raw files changed after they were read",
    "damaged": "does not fit its manifest",
}


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; nothing is written."""
    study = places.resolved(arguments)
    steps = plan(study, runs=places.runs_option(arguments), chosen=places.chosen(arguments, study))
    if arguments.json:
        rows = [[one.name, one.state, one.fingerprint, str(one.folder), _why(one, study, arguments)] for one in steps]
    else:
        rows = [[one.name, one.state, one.fingerprint[:10], _short(one.folder), _why(one, study, arguments)] for one in steps]
    print_table(["step", "state", "fingerprint", "folder", "why"], rows, json_mode=arguments.json)
    return Exit.DONE


def _why(planned: Planned, study: Study, arguments: argparse.Namespace) -> str:
    if planned.given:
        return "named by --run or by the study"
    waiting = [name for name, one in planned.inputs.items() if one.state != "done"]
    if planned.state != "absent":
        return _WHY[planned.state]
    if waiting:
        return f"needs {' and '.join(waiting)} first"
    others = done_runs(runs_folder(study, places.runs_option(arguments)), study.recipe.name, planned.name)
    if not others:
        return "not run yet"
    changed = differences(planned, others[0])
    return f"unlike {others[0].name}: " + (
        "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "") or "other inputs or another seed"
    )


def _short(folder: Path) -> str:
    """The folder as one would write it from here."""
    return min(os.path.relpath(folder), str(folder), key=len)

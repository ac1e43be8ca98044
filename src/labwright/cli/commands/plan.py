"""``labwright plan``: the steps of a study, their state, and why each would run or not; with ``--on`` the job files too."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labwright.cli import places, rows
from labwright.cli.main import describe
from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import Exit, LabwrightError
from labwright.study.plan import differences, done_runs, runs_folder

if TYPE_CHECKING:
    from labwright.launch.compose import Row
    from labwright.launch.prepare import Prepared
    from labwright.study.plan import Planned
    from labwright.study.resolve import Study

_WHY = {
    "ready": "prepared; no process has begun it",
    "running": "a process is at work on it",
    "stopped": "stopped early; goes on where it was",
    "failed": "ended with an error; `labwright logs` shows it; goes on where it was",
    "silent": "its process is lost; goes on where it was",
    "done": "complete with these options",
    "stale": "raw files changed after they were read",
    "damaged": "does not fit its manifest",
}


COLUMNS = ("step", "state", "fingerprint", "folder", "why")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; nothing is written."""
    found = rows.studies(arguments)
    planned = rows.planned(arguments, list(found.values()), None)
    if arguments.json:
        return _as_json(list(found), planned, arguments)
    for study, steps in planned:
        print_table(COLUMNS, [_row(one, study, arguments) for one in steps], title=study.label)
    if arguments.on:
        prepared, refusal = _prepared(planned, arguments)
        rows.print_refusal(refusal)
        print()
        rows.print_texts(prepared.texts(), prepared.place)
    return Exit.DONE


def _as_json(sets: Sequence[Sequence[str]], planned: Sequence[Row], arguments: argparse.Namespace) -> int:
    lines = [
        {**({"set": list(point)} if point else {}), **dict(zip(COLUMNS, _row(one, study, arguments), strict=True))}
        for point, (study, steps) in zip(sets, planned, strict=True)
        for one in steps
    ]
    if not arguments.on:
        print_json(lines)
        return Exit.DONE
    prepared, refusal = _prepared(planned, arguments)
    print_json({"code": 0, "steps": lines, "files": prepared.texts()} | ({"refused": describe(refusal)} if refusal else {}))
    return Exit.DONE


def _prepared(planned: Sequence[Row], arguments: argparse.Namespace) -> tuple[Prepared, LabwrightError | None]:
    """What would be queued, and what of the moment would keep it from being so."""
    from labwright.launch.prepare import prepare, site_of, taken

    prepared = prepare(planned, site_of(arguments.on, planned[0][0]), runs=places.runs_option(arguments))
    return prepared, taken(prepared)


def _row(planned: Planned, study: Study, arguments: argparse.Namespace) -> list[str]:
    if arguments.json:
        return [planned.name, planned.state, planned.fingerprint, str(planned.folder), _why(planned, study, arguments)]
    return [planned.name, planned.state, planned.fingerprint[:10], rows.short(planned.folder), _why(planned, study, arguments)]


def _why(planned: Planned, study: Study, arguments: argparse.Namespace) -> str:
    if planned.given:
        return "named by --run or by the study"
    waiting = [name for name, one in planned.inputs.items() if one.state != "done"]
    if planned.state != "absent":
        return "a part of it is done; goes on" if planned.state == "ready" and planned.run.last_records() else _WHY[planned.state]
    if waiting:
        return f"needs {' and '.join(waiting)} first"
    others = done_runs(runs_folder(study, places.runs_option(arguments)), study.recipe.name, planned.name)
    if not others:
        return "not run yet"
    changed = differences(planned, others[0])
    return f"unlike {others[0].name}: " + (
        "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "") or "other inputs or another seed"
    )

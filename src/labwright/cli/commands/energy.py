"""``labwright energy``: joules of runs by stage, with method, scope and coverage, and a total for each method."""

from __future__ import annotations

import argparse
from typing import Any

COLUMNS = ("run", "stage", "energy", "method", "scope", "coverage", "seconds", "mean W")


def run(args: argparse.Namespace) -> int:
    """Print the table, or with ``--json`` the same numbers unrounded."""
    from labwright.cli.places import own_runs_at, runs_option
    from labwright.cli.tables import print_json, print_table
    from labwright.runs.energy import NOT_MEASURED, amount, totals
    from labwright.runs.errors import Exit, MissingError

    runs = {one.folder.resolve(): one for place in args.place for one in own_runs_at(place, runs_option(args))}
    if not runs:
        raise MissingError(
            "no runs yet", where=", ".join(args.place), todo="Run the study first, or say with --runs DIR where its runs are."
        )
    rows = [{"run": one.name, **row} for one in runs.values() for row in one.energy()]
    sums = totals(rows)
    if args.json:
        listed = [{"method": method, "joules": joules, "kwh": _kwh(joules)} for method, joules in sums.items()]
        print_json({"rows": rows, "totals": listed})
        return int(Exit.DONE)
    print_table(COLUMNS, [_cells(row) for row in rows], title="Energy by run and stage")
    for method, joules in sums.items():
        if joules is not None:
            print(f"{amount(joules)} ({_kwh(joules):.3g} kWh) by {method}")
    measured = sum(joules is not None for joules in sums.values())
    if not measured:
        print(f"Energy: {NOT_MEASURED}. `labwright doctor` says which meters this machine has.")
    elif measured > 1:
        print("Totals of different methods cover different things and are not added up: see docs/explanation/energy.md.")
    return int(Exit.DONE)


def _cells(row: dict[str, Any]) -> list[str | float | None]:
    from labwright.runs.energy import amount

    joules, seconds = row["joules"], row["seconds"]
    watts = None if joules is None or not seconds else joules / seconds
    method = row["method"] if joules is not None else None
    return [row["run"], row["stage"], amount(joules), method, row["scope"], f"{row['coverage']:.0%}", round(seconds, 1), watts]


def _kwh(joules: float | None) -> float | None:
    return None if joules is None else joules / 3.6e6

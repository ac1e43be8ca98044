"""``labwright energy``: joules of runs by stage, with method, scope and coverage, and a total for each method."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labwright.runs.run import Run

COLUMNS = ("run", "stage", "energy", "method", "scope", "coverage", "seconds", "mean W")


def run(args: argparse.Namespace) -> int:
    """Print the table, or with ``--json`` the same numbers unrounded."""
    import json

    from labwright.cli.tables import print_table
    from labwright.runs.energy import NOT_MEASURED, amount, totals
    from labwright.runs.errors import Exit

    places = [Path(place) for place in args.place]
    runs = {one.folder.resolve(): one for place in places for one in _runs(place, args.runs and Path(args.runs))}
    rows = [{"run": one.name, **row} for one in runs.values() for row in one.energy()]
    sums = totals(rows)
    if args.json:
        listed = [{"method": method, "joules": joules, "kwh": _kwh(joules)} for method, joules in sums.items()]
        print(json.dumps({"rows": rows, "totals": listed}, indent=1, ensure_ascii=False))
        return int(Exit.DONE)
    print_table(COLUMNS, [_cells(row) for row in rows], title="Energy by run and stage")
    for method, joules in sums.items():
        if joules is not None:
            print(f"{amount(joules)} ({_kwh(joules):.3g} kWh) by {method}")
    if not any(joules is not None for joules in sums.values()):
        print(f"Energy: {NOT_MEASURED}. `labwright doctor` says which meters this machine has.")
    elif len(sums) > 1:
        print("Totals of different methods cover different things and are not added up: see docs/explanation/energy.md.")
    return int(Exit.DONE)


def _runs(place: Path, folder: Path | None) -> list[Run]:
    """The runs that a run folder, a folder of runs, a study's folder or a study file stands for."""
    from labwright.runs.errors import MissingError
    from labwright.runs.run import Run, runs_in

    if (place / "step.json").is_file():
        return [Run.open(place)]
    if not place.exists():
        raise MissingError(
            "there is no such study, run or folder", where=str(place), todo="Name a study file, a run folder, or a folder of runs."
        )
    beside = place.parent if place.is_file() else place
    found = runs_in(folder or beside / "runs") or ([] if folder or place.is_file() else runs_in(place))
    if not found:
        looked = folder or beside / "runs"
        raise MissingError(f"no runs in {looked}", where=str(place), todo="Run the study first, or say with --runs DIR where its runs are.")
    return found


def _cells(row: dict[str, Any]) -> list[str]:
    from labwright.runs.energy import amount

    joules, seconds = row["joules"], row["seconds"]
    watts = f"{joules / seconds:.1f}" if joules is not None and seconds > 0 else ""
    method = row["method"] if joules is not None else ""
    return [row["run"], row["stage"], amount(joules), method, row["scope"], f"{row['coverage']:.0%}", f"{seconds:.1f}", watts]


def _kwh(joules: float | None) -> float | None:
    return None if joules is None else joules / 3.6e6

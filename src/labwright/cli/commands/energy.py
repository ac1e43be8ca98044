"""``labwright energy``: joules of runs by stage, or of jobs in Slurm's accounting, and a total for each method."""

from __future__ import annotations

import argparse
from typing import Any

COLUMNS = ("run", "stage", "energy", "method", "scope", "coverage", "seconds", "mean W")
JOB_COLUMNS = ("user", "account", "id", "name", "nodes", "elapsed", "state", "energy", "trust", "remark")
SLURM_ONLY = ("since", "until", "user", "on")


def run(args: argparse.Namespace) -> int:
    """Print the table, or with ``--json`` the same numbers unrounded."""
    from labwright.runs.errors import CommandError

    if args.slurm:
        if args.place:
            raise CommandError(
                "the accounting of Slurm and the meters of runs are two questions",
                where="labwright energy",
                todo=f"Ask `labwright energy {args.place[0]}`, or leave the place away.",
            )
        return _jobs(args)
    for flag in SLURM_ONLY:
        if getattr(args, flag):
            raise CommandError(f"--{flag} is for the accounting of Slurm", where="labwright energy", todo="Add --slurm.")
    if not args.place:
        raise CommandError("PLACE is missing", where="labwright energy", todo="Name a study, a folder of runs or a run; or write --slurm.")
    return _runs(args)


def _runs(args: argparse.Namespace) -> int:
    from labwright.cli.places import own_runs_at, runs_option
    from labwright.cli.tables import print_json, print_table
    from labwright.launch.accounting import compare
    from labwright.runs.energy import NOT_MEASURED, amount, totals
    from labwright.runs.errors import Exit, MissingError

    runs = {one.folder.resolve(): one for place in args.place for one in own_runs_at(place, runs_option(args))}
    if not runs:
        raise MissingError(
            "no runs yet", where=", ".join(args.place), todo="Run the study first, or say with --runs DIR where its runs are."
        )
    rows = [{"run": one.name, **row} for one in runs.values() for row in (*one.energy(), compare(one)) if row]
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


def _jobs(args: argparse.Namespace) -> int:
    """A row a job, and the sum over those whose figure can be trusted; how many cannot is said."""
    import datetime

    from labwright.cli.tables import print_json, print_table
    from labwright.launch import accounting
    from labwright.launch.site import load_site
    from labwright.runs.energy import NOT_MEASURED
    from labwright.runs.errors import Exit, MissingError

    since = accounting.moment(args.since or datetime.date.today().isoformat())
    until = accounting.moment(args.until or "now", end=True)
    site = load_site(args.on) if args.on else accounting.ANYWHERE
    jobs, skipped = accounting.ask(since=since, until=until, user=args.user or "")
    rows = accounting.rows(jobs, accounting.node_cpus(), site)
    if not rows:
        whose = f" of {args.user}" if args.user else ""
        raise MissingError(
            f"Slurm's accounting lists no job{whose} that ran from {since} to {until}"
            + (f"; {skipped} lines of sacct could not be read" if skipped else ""),
            where="labwright energy --slurm",
            todo="Name the period with --since and --until, and others with --user.",
        )
    sums = accounting.totals(rows)
    counted, joules = sums.get(accounting.OWN, (0, None))
    if args.json:
        verdicts = [{"trust": trust, "jobs": count, "joules": figure, "kwh": _kwh(figure)} for trust, (count, figure) in sums.items()]
        print_json(
            {"since": since, "until": until, "rows": rows, "joules": joules, "kwh": _kwh(joules), "jobs": counted, "by_trust": verdicts,
             "lines_skipped": skipped}
        )  # fmt: skip
        return int(Exit.DONE)
    print_table(JOB_COLUMNS, [_job_cells(row) for row in rows], title=f"Jobs in Slurm's accounting from {since} to {until}")
    if joules is None:
        print(f"Energy: {NOT_MEASURED}: none of {_count(len(rows), 'job')} has joules that are its own.")
    else:
        print(f"{joules:.0f} J ({_kwh(joules):.3g} kWh) over {_count(counted, 'job')} on nodes of their own")
    for trust, (count, figure) in sums.items():
        if trust == NOT_MEASURED:
            print(f"{_count(count, 'job')} not measured")
        elif trust != accounting.OWN:
            print(f"{_count(count, 'job')} not in the sum, {trust}" + (f": {figure:.0f} J as Slurm counts" if figure is not None else ""))
    if skipped:
        print(f"{_count(skipped, 'line')} of sacct could not be read")
    return int(Exit.DONE)


def _cells(row: dict[str, Any]) -> list[str | float | None]:
    from labwright.runs.energy import amount

    joules, seconds = row["joules"], row["seconds"]
    watts = None if joules is None or not seconds else joules / seconds
    method = row["method"] if joules is not None else None
    return [row["run"], row["stage"], amount(joules), method, row["scope"], f"{row['coverage']:.0%}", round(seconds, 1), watts]


def _job_cells(row: dict[str, Any]) -> list[str | int]:
    import datetime

    from labwright.runs.energy import amount

    elapsed = str(datetime.timedelta(seconds=round(row["seconds"])))
    whose = [row[name] for name in ("user", "account", "id", "name", "nodes")]
    return [*whose, elapsed, row["state"], amount(row["joules"]), row["trust"], row["remark"]]


def _kwh(joules: float | None) -> float | None:
    return None if joules is None else joules / 3.6e6


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

"""``labwright export``: what runs made, or the job files of a study, for use elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labwright.cli import places, rows
from labwright.cli.tables import print_json
from labwright.runs.errors import CommandError, Exit, MissingError
from labwright.runs.run import Run

WEIGHTS, RESULTS = "weights", "results"
KINDS = {"sbatch": "slurm", "condor": "htcondor", "dagman": "htcondor"}
"""What job files are written for → the scheduler that takes them."""


_BY_HAND = """\
Jobs that are sent by hand are in no submission: `labwright status`, `logs` and `watch` know their runs once they begin, and show
nothing of how they wait; `labwright submit` would queue the same runs again, and `labwright cancel` does not know them."""


def run(arguments: argparse.Namespace) -> int:
    """Write one or another, by what was named."""
    if arguments.what[0] == WEIGHTS and not Path(WEIGHTS).is_file():
        return _export_weights(arguments)
    if arguments.what[0] == RESULTS and not Path(RESULTS).is_file():
        return _export_results(arguments)
    if arguments.to not in KINDS:
        raise CommandError(
            f"the jobs of a study are not written for {arguments.to!r}",
            where="--to",
            todo=f"It takes {', '.join(KINDS)}; what a run made goes to a folder with `labwright export weights|results RUN --to DIR`.",
        )
    return _export_jobs(arguments)


def _export_weights(arguments: argparse.Namespace) -> int:
    from labwright.study.registry import recipe

    runs = _runs(arguments)
    if len(runs) != 1:
        raise CommandError("one run is needed, and no more", where="labwright export weights", todo="labwright export weights RUN --to DIR")
    (found,) = runs
    of = recipe(str(found.description["recipe"]))
    if "export_weights" not in of.tools:
        raise CommandError(f"recipe {of.name} exports no weights", where="labwright export")
    written = of.tool("export_weights")(found, Path(arguments.to))
    if arguments.json:
        print_json({"code": 0, "run": found.name, "written": str(written)})
    else:
        print(written)
    return Exit.DONE


def _export_results(arguments: argparse.Namespace) -> int:
    """Send what each run made, one after the other, and say where it lies."""
    from labwright.launch.results import export_results

    if len(arguments.what) == 1:
        raise CommandError(
            "no run is named", where="labwright export results", todo="labwright export results RUN --to DIR|s3://…|root://…"
        )
    runs = _runs(arguments)
    terminal = sys.stderr.fileno() if sys.stderr.isatty() and not arguments.json else None
    found = []
    for one in runs:
        done = export_results(one, arguments.to, terminal=terminal)
        found.append(done)
        if not arguments.json:
            sent = f"{done.sent} sent, {done.sent_bytes / 1e6:.1f} MB" if done.sent else "all were there"
            print(f"{done.place}: {done.files} files, {sent}")
    if arguments.json:
        print_json({"code": 0, "exported": [done._asdict() for done in found]})
    return Exit.DONE


def _runs(arguments: argparse.Namespace) -> list[Run]:
    """The runs that were named, or, where a study was, the one that it takes for its result of ``--step``."""
    words = arguments.what[1:]
    if not words or not all(Path(word).is_file() for word in words):
        return [places.one_run(word, places.runs_option(arguments)) for word in words]
    if arguments.step is None:
        raise CommandError("of a study one step is exported", where="labwright export", todo="Name it with --step.")
    arguments.study = words
    ((study, steps),) = rows.planned(arguments, [places.resolved(arguments)], arguments.step)
    planned = next(one for one in steps if one.name == arguments.step)
    if planned.state == "absent":
        todo = f"Run it first: `labwright run {' '.join(words)} --step {arguments.step}`."
        raise MissingError(f"{arguments.step} was not run with these options", where=str(study.path), todo=todo)
    return [planned.run]


def _export_jobs(arguments: argparse.Namespace) -> int:
    """Make the run folders, write the files that ``submit`` would send, and print the lines that send them."""
    from labwright.launch.export import export

    arguments.study = arguments.what
    kind = KINDS[arguments.to]
    prepared = rows.prepared(arguments, arguments.on, kind=kind)
    if prepared.site.kind != kind:
        raise CommandError(
            f"site {prepared.site.name} is of kind {prepared.site.kind}, and {arguments.to} is for {kind}",
            where="--on",
            todo=f"Name a site of kind {kind}, or leave it out for the generic one.",
        )
    folder, names, lines = export(prepared, arguments.to, Path(arguments.folder) if arguments.folder else None)
    if arguments.json:
        print_json({"code": 0, "folder": str(folder), "files": names, "lines": lines})
    elif not names:
        print("everything is done with these options; there is nothing to write")
    else:
        print(f"{len(names)} files in {rows.short(folder)}; what was written is sent by:\n")
        print("\n".join(lines))
        print(f"\n{_BY_HAND}")
    return Exit.DONE

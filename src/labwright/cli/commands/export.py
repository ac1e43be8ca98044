"""``labwright export``: what a run made, or the job files of a study, for use elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from labwright.cli import places, rows
from labwright.cli.tables import print_json
from labwright.runs.errors import CommandError, Exit

WEIGHTS = "weights"
KINDS = {"sbatch": "slurm", "condor": "htcondor", "dagman": "htcondor"}
"""What job files are written for → the scheduler that takes them."""


_BY_HAND = """\
Jobs that are sent by hand are in no submission: `labwright status`, `logs` and `watch` know their runs once they begin, and show
nothing of how they wait; `labwright submit` would queue the same runs again, and `labwright cancel` does not know them."""


def run(arguments: argparse.Namespace) -> int:
    """Write one or the other, by what was named."""
    if arguments.what[0] == WEIGHTS and not Path(WEIGHTS).is_file():
        return _export_weights(arguments)
    if arguments.to not in KINDS:
        raise CommandError(
            f"the jobs of a study are not written for {arguments.to!r}",
            where="--to",
            todo=f"It takes {', '.join(KINDS)}; weights are written with `labwright export weights RUN --to DIR`.",
        )
    return _export_jobs(arguments)


def _export_weights(arguments: argparse.Namespace) -> int:
    from labwright.study.registry import recipe

    if len(arguments.what) != 2:
        raise CommandError("one run is needed, and no more", where="labwright export weights", todo="labwright export weights RUN --to DIR")
    found = places.one_run(arguments.what[1], places.runs_option(arguments))
    of = recipe(str(found.description["recipe"]))
    if "export_weights" not in of.tools:
        raise CommandError(f"recipe {of.name} exports no weights", where="labwright export")
    written = of.tool("export_weights")(found, Path(arguments.to))
    if arguments.json:
        print_json({"code": 0, "run": found.name, "written": str(written)})
    else:
        print(written)
    return Exit.DONE


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

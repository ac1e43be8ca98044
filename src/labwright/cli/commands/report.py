"""``labwright report``: one self-contained page about the runs of a study, or about runs that are named."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labwright.cli import places
from labwright.cli.tables import print_json
from labwright.runs.errors import Exit, MissingError
from labwright.runs.run import Run

PAGE = "report.html"


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print its path."""
    from labwright.watch.report import write_report

    waiting: list[str] = []
    folders = [Path(word) for word in arguments.place]
    if all((folder / "step.json").is_file() for folder in folders):
        runs, beside, title = with_inputs([Run.open(folder) for folder in folders]), folders[0], ""
    else:
        runs, beside, title, waiting = _of_study(arguments)
    to = write_report(runs, Path(arguments.to) if arguments.to else beside / PAGE, title)
    if arguments.json:
        print_json({"code": 0, "report": str(to), "runs": [one.name for one in runs], "not_done": waiting})
    else:
        print(to)
        if waiting:
            print(f"not done with these options: {', '.join(waiting)}", file=sys.stderr)
    if arguments.open:
        open_page(to)
    return Exit.DONE


def with_inputs(runs: list[Run]) -> list[Run]:
    """The runs and all that fed them and is still there, inputs first, each once."""
    ordered: dict[Path, Run] = {}

    def add(run: Run) -> None:
        for folder in run.inputs.values():
            if folder not in ordered and (folder / "step.json").is_file():
                add(Run.open(folder))
        ordered.setdefault(run.folder.resolve(), run)

    for run in runs:
        add(run)
    return list(ordered.values())


def open_page(path: Path) -> None:
    """Show a page in the browser, where there is one."""
    import webbrowser

    webbrowser.open(path.resolve().as_uri())


def _of_study(arguments: argparse.Namespace) -> tuple[list[Run], Path, str, list[str]]:
    from labwright.study.plan import plan

    arguments.study = arguments.place
    study = places.resolved(arguments)
    steps = plan(study, runs=places.runs_option(arguments), chosen=places.chosen(arguments, study))
    runs = [one.run for one in steps if one.state != "absent"]
    if not runs:
        raise MissingError("nothing was run with these options", where=str(study.path), todo=f"Start with `labwright run {study.path}`.")
    waiting = [one.name for one in steps if one.state != "done"]
    return runs, study.folder, study.run.name or study.folder.resolve().name, waiting

"""``labwright report``: one self-contained page about the runs of a study, or about runs that are named."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from labwright.cli import places, rows
from labwright.cli.swept import Point, point_of, table
from labwright.cli.tables import print_json
from labwright.runs import sections
from labwright.runs.errors import Exit, MissingError
from labwright.runs.run import Run
from labwright.study.registry import recipe

PAGE = "report.html"


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print its path."""
    from labwright.watch.report import write_report

    waiting: list[str] = []
    points: list[Point] = []
    folders = [Path(word) for word in arguments.place]
    if all((folder / "step.json").is_file() for folder in folders):
        runs, beside, title = with_inputs([Run.open(folder) for folder in folders]), folders[0], ""
    elif len(folders) == 1 and folders[0].is_dir() and not (folders[0] / places.STUDY).is_file():
        runs, beside, title, points = _of_folder(folders[0])
    else:
        runs, beside, title, points, waiting = _of_study(arguments)
    ahead = [sections.table("Sweep", *table(points))] if points else []
    to = write_report(runs, Path(arguments.to) if arguments.to else beside / PAGE, title, ahead)
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


def _of_folder(folder: Path) -> tuple[list[Run], Path, str, list[Point]]:
    """All runs of a folder, inputs first; those that a sweep made are its rows, but for what fed or gated others."""
    runs = with_inputs(places.runs_at(str(folder)))
    fed = {place for run in runs for place in run.inputs.values()}
    swept = [run for run in runs if run.description.get("sweep") and run.folder.resolve() not in fed and not _is_gate(run)]
    points = [
        point_of(
            dict(text.split("=", 1) for text in re.split(r" (?=[\w.]+=)", run.description["sweep"])),
            with_inputs([run]),
            waiting=[] if run.done() else [run.step],
        )
        for run in swept
    ]
    return runs, folder, folder.resolve().name, points


def _is_gate(run: Run) -> bool:
    return any(run.step in step.gates for step in recipe(str(run.description["recipe"])).steps)


def _of_study(arguments: argparse.Namespace) -> tuple[list[Run], Path, str, list[Point], list[str]]:
    arguments.study = arguments.place
    found = rows.studies(arguments)
    planned = rows.planned(arguments, list(found.values()), None)
    runs = list({one.folder: one.run for _, steps in planned for one in steps if one.state != "absent"}.values())
    study = planned[0][0]
    if not runs:
        raise MissingError("nothing was run with these options", where=str(study.path), todo=f"Start with `labwright run {study.path}`.")
    waiting = [[one.name for one in steps if one.state != "done"] for _, steps in planned]
    points = [
        point_of(dict(text.split("=", 1) for text in sets), [one.run for one in steps if one.state != "absent"], waiting=late)
        for sets, (_, steps), late in zip(found, planned, waiting, strict=True)
        if sets
    ]
    title = study.run.name or study.folder.resolve().name
    return runs, study.folder, title, points, list(dict.fromkeys(name for late in waiting for name in late))

"""``labwright run`` and its short forms: do what is missing in a study, once or for each row of a sweep.

On this machine it is done in this process; ``--on SITE``, or a study that names a site, has it queued there and followed here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labwright.cli import places, rows
from labwright.cli.main import describe, tell
from labwright.cli.tables import print_json, print_table, scalars
from labwright.runs.errors import Exit, LabwrightError
from labwright.runs.run import Run

if TYPE_CHECKING:
    from labwright.parts.conduct import Result
    from labwright.study.resolve import Study

HERE = "local"
"""``run.on.kind`` of a study that runs in this process."""


@dataclass
class Row:
    """What became of one study: of the only one, or of one row of a sweep."""

    sets: Sequence[str]
    """``a.b=value`` each: what a sweep sets in this row."""
    study: Study
    results: list[Result] = field(default_factory=list)
    error: LabwrightError | None = None

    @property
    def code(self) -> Exit:
        return self.error.code if self.error else Exit.DONE

    def as_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"code": int(self.code), "runs": [_as_json(result) for result in self.results]}
        if self.error:
            content["error"] = describe(self.error)
        return content


def run(arguments: argparse.Namespace) -> int:
    """Conduct the study; every row of a sweep is resolved before the first one starts."""
    step = arguments.short_form or arguments.step
    found = [Row(sets, study) for sets, study in rows.studies(arguments).items()]
    rows.check_step(found[0].study, step)
    if arguments.dry_run:
        from labwright.cli.preview import print_preview

        return print_preview([row.study for row in found], arguments, step)
    quiet = arguments.quiet or arguments.json
    if (arguments.on or found[0].study.run.on.kind) != HERE:
        _conduct_elsewhere(found, arguments, step, quiet=quiet)
    else:
        for row in found:
            conduct_row(row, arguments, step, quiet=quiet)
            if row.code == Exit.AGAIN:
                break
    if not arguments.sweep:
        return _end_of_one(found[0], arguments)
    return _end_of_sweep(found, arguments)


def conduct_row(row: Row, arguments: argparse.Namespace, step: str | None, *, quiet: bool) -> None:
    """Run what is missing; what goes wrong is kept in the row, so that other rows go on."""
    from labwright.parts.conduct import conduct

    if row.study.label and not quiet:
        print(row.study.label)
    try:
        chosen = places.chosen(arguments, row.study)
        for result in conduct(row.study, step=step, runs=places.runs_option(arguments), chosen=chosen, quiet=quiet):
            row.results.append(result)
            if not quiet:
                print(_line(result))
    except LabwrightError as error:
        row.error = error


def print_figures(result: Result) -> None:
    """The figures and joules of a step as a short table."""
    from labwright.runs.energy import in_words

    lines: list[list[Any]] = [[name, value] for name, value in scalars(result.figures).items()]
    lines.append(["energy", in_words(result.energy)])
    print_table(["figure", "value"], lines, title=f"{result.step} ({result.folder.name})")


def _conduct_elsewhere(found: list[Row], arguments: argparse.Namespace, step: str | None, *, quiet: bool) -> None:
    """Queue what is missing of all rows at a site, and follow it; what this queued does not outlive it."""
    from labwright.launch.foreground import conduct
    from labwright.launch.prepare import prepare, site_of

    planned = rows.planned(arguments, [row.study for row in found], step)
    site = site_of(arguments.on, found[0].study)
    rows.say_file(site)
    prepared = prepare(planned, site, step=step, runs=places.runs_option(arguments))
    failed = conduct(prepared, _silent if quiet else _say) if prepared.jobs else {}
    fresh = {folder for job in prepared.jobs for folder in job.runs}
    for row, (_, plan) in zip(found, planned, strict=True):
        for one in plan:
            if one.folder in failed:
                row.error = row.error or failed[one.folder]
            else:
                row.results.append(_result(one.name, Run.open(one.folder), fresh=one.folder in fresh))


def _end_of_one(row: Row, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(row.as_json())
        return row.code
    if row.error:
        return tell(row.error, as_json=False)
    print_figures(row.results[-1])
    return Exit.DONE


def _end_of_sweep(found: list[Row], arguments: argparse.Namespace) -> int:
    from labwright.cli.swept import Point, table

    code = next((row.code for row in found if row.code != Exit.DONE), Exit.DONE)
    if arguments.json:
        print_json({"code": int(code), "rows": [{"set": list(row.sets), **row.as_json()} for row in found]})
        return code
    columns, lines = table(
        [
            Point(
                sets=dict(text.split("=", 1) for text in row.sets),
                state="failed" if row.error else "done" if row.results else "not begun",
                figures=row.results[-1].figures if row.results and not row.error else {},
                energy=[line for result in row.results for line in result.energy],
                run=row.results[-1].folder.name if row.results else "",
            )
            for row in found
        ]
    )
    print_table(columns, lines, title="Sweep")
    for row in found:
        if row.error:
            tell(row.error, as_json=False)
    return code


def _result(step: str, run: Run, *, fresh: bool) -> Result:
    from labwright.parts.conduct import Result

    done = run.done() or {}
    return Result(step, run.folder, run.state(), fresh, run.figures(), run.energy(), done.get("findings", {}))


def _say(line: str) -> None:
    print(line, flush=True)


def _silent(line: str) -> None:
    pass


def _line(result: Result) -> str:
    from labwright.runs.energy import in_words

    return f"{result.step:<9} {'done' if result.fresh else 'was done'}  {result.folder.name}  {in_words(result.energy)}"


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "step": result.step,
        "run": result.folder.name,
        "folder": str(result.folder),
        "state": result.state,
        "fresh": result.fresh,
        "figures": dict(result.figures),
        "energy": result.energy,
        "findings": dict(result.findings),
    }

"""``labwright run`` and its short forms: do what is missing in a study, once or for each row of a sweep."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from labwright.cli import places
from labwright.cli.main import describe, tell
from labwright.cli.tables import print_json, print_table, scalars
from labwright.runs.errors import CommandError, Exit, LabwrightError
from labwright.study.messages import listed, nearest

if TYPE_CHECKING:
    from labwright.parts.conduct import Result
    from labwright.study.resolve import Study

MOST_COLUMNS = 6
"""Figures beside the swept options in the table of a sweep."""


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
    from labwright.study.sweep import label, sweep

    step = arguments.short_form or arguments.step
    rows = [Row(sets, replace(places.resolved(arguments, sets), label=label(sets))) for sets in sweep(arguments.sweep) or [[]]]
    _check_step(rows[0].study, step)
    if arguments.dry_run:
        from labwright.cli.preview import print_preview

        return print_preview([row.study for row in rows], arguments, step)
    for row in rows:
        conduct_row(row, arguments, step, quiet=arguments.quiet or arguments.json)
        if row.code == Exit.AGAIN:
            break
    if not arguments.sweep:
        return _end_of_one(rows[0], arguments)
    return _end_of_sweep(rows, arguments)


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

    rows: list[list[Any]] = [[name, value] for name, value in scalars(result.figures).items()]
    rows.append(["energy", in_words(result.energy)])
    print_table(["figure", "value"], rows, title=f"{result.step} ({result.folder.name})")


def _check_step(study: Study, step: str | None) -> None:
    names = [one.name for one in study.recipe.steps]
    if step is not None and step not in names:
        close = nearest(step, names)
        raise CommandError(
            f"recipe {study.recipe.name} has no step {step!r}",
            where="--step",
            todo=(f"Did you mean {close}? " if close else "") + f"Its steps are {listed(names)}.",
        )


def _end_of_one(row: Row, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(row.as_json())
        return row.code
    if row.error:
        return tell(row.error, as_json=False)
    print_figures(row.results[-1])
    return Exit.DONE


def _end_of_sweep(rows: list[Row], arguments: argparse.Namespace) -> int:
    from labwright.runs.energy import in_words

    code = next((row.code for row in rows if row.code != Exit.DONE), Exit.DONE)
    if arguments.json:
        print_json({"code": int(code), "rows": [{"set": list(row.sets), **row.as_json()} for row in rows]})
        return code
    figures = [scalars(row.results[-1].figures) if row.results and not row.error else {} for row in rows]
    names = list(dict.fromkeys(name for one in figures for name in one))[:MOST_COLUMNS]
    table = [
        [
            *(text.partition("=")[2] for text in row.sets),
            "failed" if row.error else "done" if row.results else "not begun",
            *(one.get(name) for name in names),
            in_words([line for result in row.results for line in result.energy]),
            row.results[-1].folder.name if row.results else "",
        ]
        for row, one in zip(rows, figures, strict=True)
    ]
    print_table([*(text.partition("=")[0] for text in rows[0].sets), "state", *names, "energy", "run"], table, title="Sweep")
    for row in rows:
        if row.error:
            tell(row.error, as_json=False)
    return code


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

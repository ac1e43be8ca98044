"""``labwright evaluate``: the evaluate step of a study, or the score of any two folders without one."""

from __future__ import annotations

import argparse
from pathlib import Path

from labwright.cli.commands import run as conducted
from labwright.cli.places import recipe_named
from labwright.cli.tables import print_json, print_table, scalars, shown
from labwright.runs.errors import CommandError, Exit

_EXAMPLE = "Write `labwright evaluate --recipe cells --predictions DIR --truth DIR`."


def run(arguments: argparse.Namespace) -> int:
    """A study is conducted; two folders are scored by the recipe's own rules."""
    folders = [flag for flag in ("recipe", "predictions", "truth") if getattr(arguments, flag)]
    if arguments.study:
        if folders or arguments.size:
            raise CommandError("a study and folders cannot be scored at once", where="labwright evaluate", todo="Leave one of the two out.")
        return conducted.run(arguments)
    if len(folders) < 3:
        missing = [f"--{flag}" for flag in ("recipe", "predictions", "truth") if flag not in folders] if folders else ["STUDY"]
        raise CommandError(f"{' and '.join(missing)} is missing", where="labwright evaluate", todo=_EXAMPLE)
    return _score(arguments)


def _score(arguments: argparse.Namespace) -> int:
    found = recipe_named(arguments.recipe)
    if "evaluate_folders" not in found.tools:
        raise CommandError(f"recipe {found.name} cannot score folders without a study", where="--recipe")
    scores = found.tool("evaluate_folders")(Path(arguments.predictions), Path(arguments.truth), arguments.size or "original")
    if arguments.json:
        print_json({"code": 0, **scores})
        return Exit.DONE
    summary = scores["summary"].get("overall", scores["summary"])
    intervals = {name: f"{shown(ends[0])} – {shown(ends[1])}" for name, ends in summary.get("intervals", {}).items() if ends}
    rows = [[name, value, intervals.get(name)] for name, value in scalars(summary).items()]
    print_table(["figure", "value", "95 % interval"], rows, title=f"{arguments.predictions} against {arguments.truth}")
    if unused := scores.get("unused_predictions"):
        print(f"{unused} {'prediction' if unused == 1 else 'predictions'} had no truth")
    return Exit.DONE

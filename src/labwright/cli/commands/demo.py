"""``labwright demo``: a recipe's bundled sample study, copied, run, and reported on."""

from __future__ import annotations

import argparse
import importlib.resources
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import places
from labwright.cli.commands.report import PAGE, open_page
from labwright.cli.commands.run import Row, conduct_row, print_figures
from labwright.cli.tables import print_json
from labwright.runs.errors import CommandError, Exit
from labwright.runs.publish import publish
from labwright.runs.run import Run

if TYPE_CHECKING:
    from labwright.study.step import Recipe

DEFAULT = "cells"


def run(arguments: argparse.Namespace) -> int:
    """Run the sample; called again it goes on, or says what is done already."""
    of = places.recipe_named(arguments.recipe or DEFAULT)
    folder = Path(arguments.to or f"labwright-demo-{of.name}")
    copy_sample(of, folder)
    quiet = arguments.quiet or arguments.json
    if not quiet:
        print(f"the sample study is in {folder}")
    study = argparse.Namespace(study=[str(folder)], set=[], param=[], runs=None, run=[])
    row = Row((), places.resolved(study))
    conduct_row(row, study, None, quiet=quiet)
    if row.error and not arguments.json:
        raise row.error
    page = None if row.error else _report(row, folder)
    if arguments.json:
        print_json({**row.as_json(), "report": page and str(page)})
        return row.code
    for result in row.results:
        print_figures(result)
        print()
    print(f"report: {page}")
    if arguments.open and page:
        open_page(page)
    return Exit.DONE


def copy_sample(recipe: Recipe, folder: Path) -> None:
    """Copy the recipe's sample to ``folder``; a copy that is there stays as it is.

    Raises:
        CommandError: the recipe has no sample, or something else is in the folder.
    """
    if not recipe.demo:
        raise CommandError(f"recipe {recipe.name} has no sample study", where="labwright demo")
    if (folder / places.STUDY).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError("there is something else here", where=str(folder), todo="Name another folder with --to.")
    with (
        importlib.resources.as_file(importlib.resources.files(recipe.package) / recipe.demo) as sample,
        publish(folder, "output") as temporary,
    ):
        shutil.copytree(sample, temporary)
        if "demo_data" in recipe.tools:
            recipe.tool("demo_data")(temporary)


def _report(row: Row, folder: Path) -> Path:
    from labwright.watch.report import write_report

    return write_report([Run.open(result.folder) for result in row.results], folder / PAGE, row.study.run.name or folder.name)

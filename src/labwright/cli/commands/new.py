"""``labwright new``: a study file to fill in, or a ready study, with its schema for the editor."""

from __future__ import annotations

import argparse
import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import scan
from labwright.cli.commands.schema import schema_text
from labwright.cli.places import STUDY, recipe_named
from labwright.cli.tables import print_table
from labwright.runs.errors import CommandError, Exit
from labwright.runs.publish import publish
from labwright.study.messages import listed, nearest

if TYPE_CHECKING:
    from labwright.study.step import Recipe

SCHEMA = "study.schema.json"


def run(arguments: argparse.Namespace) -> int:
    """Write the studies and the schema; a study that is there already is left alone."""
    from labwright.cli.template import study_text

    recipe = recipe_named(arguments.recipe)
    folder = Path(arguments.folder or ".")
    ready = list(dict.fromkeys(arguments.study))
    texts = {folder / f"{name}.yaml": _ready_text(recipe, name) for name in ready} or {folder / STUDY: study_text(recipe, SCHEMA)}
    for study in texts:
        if study.exists():
            raise CommandError("there is a study here already", where=str(study), todo="Name another folder.")
    for path, text in {folder / SCHEMA: schema_text(arguments.recipe), **texts}.items():
        with publish(path, "output") as temporary:
            temporary.write_text(text, encoding="utf-8")
    if not ready:
        print(f"{folder / STUDY} is written; fill it in, then: labwright check {folder / STUDY}")
    for name in ready:
        print(f"{folder / name}.yaml is written. {recipe.studies[name]}")
        _print_parameters(folder / f"{name}.yaml")
    return Exit.DONE


def _ready_text(recipe: Recipe, name: str) -> str:
    if name not in recipe.studies:
        close = nearest(name, recipe.studies)
        there = f"There are {listed(recipe.studies)}." if recipe.studies else "The recipe has none; leave --study out."
        raise CommandError(
            f"recipe {recipe.name} has no ready study {name!r}", where="--study", todo=f"Did you mean {close!r}?" if close else there
        )
    return (importlib.resources.files(recipe.package) / "studies" / f"{name}.yaml").read_text(encoding="utf-8")


def _print_parameters(study: Path) -> None:
    rows = [[one.name, one.type, one.default or "needed", one.help] for one in scan.parameters(str(study))]
    print_table(["--param", "type", "default", "what"], rows)

"""``labwright new``: a study file to fill in, with its schema for the editor."""

from __future__ import annotations

import argparse
from pathlib import Path

from labwright.cli.commands.schema import schema_text
from labwright.cli.places import STUDY, recipe_named
from labwright.runs.errors import CommandError, Exit
from labwright.runs.publish import publish

SCHEMA = "study.schema.json"


def run(arguments: argparse.Namespace) -> int:
    """Write both files; a study that is there already is left alone."""
    from labwright.cli.template import study_text

    recipe = recipe_named(arguments.recipe)
    folder = Path(arguments.folder or ".")
    study = folder / STUDY
    if study.exists():
        raise CommandError("there is a study here already", where=str(study), todo="Name another folder.")
    for path, text in ((folder / SCHEMA, schema_text(arguments.recipe)), (study, study_text(recipe, SCHEMA))):
        with publish(path, "output") as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"{study} is written; fill it in, then: labwright check {study}")
    return Exit.DONE

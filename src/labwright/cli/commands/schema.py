"""``labwright schema``: the JSON Schema of a recipe's study file, for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from labwright.runs.errors import Exit


def run(arguments: argparse.Namespace) -> int:
    """Print it, or write it to ``--to``."""
    text = schema_text(arguments.recipe)
    if arguments.to:
        Path(arguments.to).write_text(text, encoding="utf-8")
        print(arguments.to)
    else:
        print(text, end="")
    return Exit.DONE


def schema_text(name: str) -> str:
    """The schema of the recipe as indented JSON.

    Raises:
        CommandError: there is no such recipe.
    """
    from labwright.cli.places import recipe_named
    from labwright.study.schema import json_schema

    return json.dumps(json_schema(recipe_named(name)), indent=1, ensure_ascii=False) + "\n"

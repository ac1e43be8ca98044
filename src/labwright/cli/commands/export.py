"""``labwright export``: what a run made, for use elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from labwright.cli import places
from labwright.cli.tables import print_json
from labwright.runs.errors import CommandError, Exit


def run(arguments: argparse.Namespace) -> int:
    """Call the recipe's exporter and print what it wrote."""
    from labwright.study.registry import recipe

    found = places.one_run(arguments.run, places.runs_option(arguments))
    of = recipe(str(found.description["recipe"]))
    tool = f"export_{arguments.what}"
    if tool not in of.tools:
        raise CommandError(f"recipe {of.name} exports no {arguments.what}", where="labwright export")
    written = of.tool(tool)(found, Path(arguments.to))
    if arguments.json:
        print_json({"code": 0, "run": found.name, "written": str(written)})
    else:
        print(written)
    return Exit.DONE

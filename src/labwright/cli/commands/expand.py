"""``labwright expand``: the resolved study, a line for each value with where it came from."""

from __future__ import annotations

import argparse

from labwright.cli import places
from labwright.cli.tables import print_json
from labwright.runs.errors import Exit


def run(arguments: argparse.Namespace) -> int:
    """Print a study file that resolves to the same study; with ``--json`` a list of objects."""
    from labwright.study.expand import expand, text

    study = places.resolved(arguments)
    if arguments.json:
        print_json([{"path": path, "value": value, "origin": origin} for path, value, origin in expand(study)])
    else:
        print(text(study), end="")
    return Exit.DONE

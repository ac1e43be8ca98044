"""``labwright expand``: the resolved study, a line for each value with where it came from."""

from __future__ import annotations

import argparse

from labwright.cli import places
from labwright.cli.helptext import shown
from labwright.cli.tables import print_json
from labwright.runs.errors import Exit


def run(arguments: argparse.Namespace) -> int:
    """Print ``path: value  # origin``, aligned; with ``--json`` a list of objects."""
    from labwright.study.expand import expand

    rows = list(expand(places.resolved(arguments)))
    if arguments.json:
        print_json([{"path": path, "value": value, "origin": origin} for path, value, origin in rows])
        return Exit.DONE
    lines = [(f"{path}: {shown(value)}", origin) for path, value, origin in rows]
    width = min(max((len(line) for line, _ in lines), default=0), 60)
    for line, origin in lines:
        print(f"{line:<{width}}  # {origin}")
    return Exit.DONE

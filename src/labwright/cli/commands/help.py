"""``labwright help``: a verb explained, or everything there is, a line each."""

from __future__ import annotations

import argparse

from labwright.cli.arguments import verb_named
from labwright.cli.helptext import everything, overview, verb_help
from labwright.cli.manifest import load
from labwright.runs.errors import Exit


def run(arguments: argparse.Namespace) -> int:
    """``--filter`` alone means ``--all`` with a filter."""
    if arguments.all or arguments.filter:
        print(everything(load(), arguments.filter or ""))
    elif arguments.verb:
        print(verb_help(verb_named(arguments.verb)))
    else:
        print(overview())
    return Exit.DONE

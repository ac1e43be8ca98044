"""``labwright step RUN_FOLDER``: work on a run that has its step.json; what every job script calls."""

from __future__ import annotations

import argparse

from labwright.cli.tables import print_json
from labwright.runs.errors import CommandError
from labwright.runs.run import Run


def run(arguments: argparse.Namespace) -> int:
    """With ``--share`` only work, with ``--finish`` only finish, without either both."""
    from labwright.parts.execute import execute, finish_run
    from labwright.parts.shares import Share

    if arguments.share and arguments.finish:
        raise CommandError("a share and finishing are two calls", where="labwright step", todo="Run all shares, then finish.")
    found = Run.open(arguments.run)
    quiet = arguments.quiet or arguments.json
    if arguments.finish:
        code = finish_run(found, quiet=quiet)
    else:
        share = Share.parse(arguments.share) if arguments.share else None
        code = execute(found, share=share, finish=share is None, quiet=quiet)
    if arguments.json:
        print_json({"code": int(code), "run": found.name, "state": found.state(), "figures": found.figures()})
    return code

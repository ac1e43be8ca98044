"""``labwright step RUN_FOLDER``: work on a run that has its step.json; what every job script calls."""

from __future__ import annotations

import argparse
import math
import os
import time
from typing import TYPE_CHECKING

from labwright.cli.tables import print_json
from labwright.runs.errors import CommandError
from labwright.runs.patience import patiently
from labwright.runs.run import Run

if TYPE_CHECKING:
    from labwright.parts.ranks import Place

STOP_AFTER = "LABWRIGHT_STOP_AFTER_S"
"""Environment variable of job scripts: stop after so many seconds as on a signal, with exit code 75."""


def run(arguments: argparse.Namespace) -> int:
    """With ``--share`` only work, with ``--finish`` only finish, without either both; a gate that is done and closed ends with 65."""
    deadline = _deadline()
    from labwright.parts.conduct import closes
    from labwright.parts.execute import execute, finish_run
    from labwright.parts.ranks import place
    from labwright.parts.shares import Share

    if arguments.share and arguments.finish:
        raise CommandError("a share and finishing are two calls", where="labwright step", todo="Run all shares, then finish.")
    here = place(os.environ)
    found = patiently(lambda: Run.open(arguments.run), arguments.run)
    quiet = arguments.quiet or arguments.json
    if here.world > 1:
        _refuse_together(found, arguments.finish, here)
    if arguments.finish:
        code = finish_run(found, quiet=quiet)
    else:
        share = Share.parse(arguments.share) if arguments.share else None
        code = execute(found, share=share, finish=share is None, quiet=quiet, deadline=deadline, place=here)
    if closed := patiently(lambda: closes(found), found.folder):
        raise closed
    if arguments.json and here.rank == 0:
        print_json({"code": int(code), "run": found.name, "state": found.state(), "figures": found.figures()})
    return code


def _deadline() -> float | None:
    text = os.environ.get(STOP_AFTER, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise CommandError(f"{text!r} is not a number of seconds", where=STOP_AFTER, todo="Set it to a number above 0, such as 3600.")
    return time.time() + seconds


def _refuse_together(found: Run, finish: bool, here: Place) -> None:
    from labwright.study import registry

    if finish or not registry.recipe(found.description["recipe"]).step(found.step).trains:
        raise CommandError(
            f"{'finishing' if finish else found.step} is for one process, and here are {here.world}; only a training is for several",
            where="WORLD_SIZE",
            todo="Start it without torchrun, or with srun --ntasks=1; --share spreads parts among processes.",
        )

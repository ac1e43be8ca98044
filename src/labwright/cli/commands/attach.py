"""``labwright attach``: a shell, or another command, beside a run that is at work on a cluster."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import TYPE_CHECKING, NoReturn

from labwright.cli import places
from labwright.runs.errors import CommandError, MissingError

if TYPE_CHECKING:
    from labwright.launch.status import Placed
    from labwright.runs.run import Run

SHELL = ("bash",)


def run(arguments: argparse.Namespace) -> int:
    """Become the scheduler's command; its exit code is that of the command it runs."""
    from labwright.launch.launcher import launcher
    from labwright.launch.status import placed

    runs = places.runs_named(arguments.place, arguments.name, places.runs_option(arguments))
    tasks = placed(runs)
    one = _at_work([(found, task) for found in runs for task in tasks.get(found.folder.resolve(), ())], runs, arguments)
    words = launcher(one.job.kind).attach(one.job, one.number, arguments.command or SHELL)
    print(f"{one.task.run.name}: job {one.seen.id or one.job.id}{f' on {one.seen.host}' if one.seen.host else ''}", file=sys.stderr)
    _become(words)


def _at_work(tasks: list[tuple[Run, Placed]], runs: list[Run], arguments: argparse.Namespace) -> Placed:
    from labwright.launch.launcher import ENDING, RUNNING, UNKNOWN

    if arguments.task is not None:
        if not arguments.task.isdecimal():
            raise CommandError(f"{arguments.task!r} is not the number of a task", where="--task")
        tasks = [(run, one) for run, one in tasks if one.number == int(arguments.task)]
    working = [one for _, one in tasks if one.seen.state in (RUNNING, ENDING)]
    # Where the scheduler says nothing, it will say so itself when it is asked to attach.
    working += [one for run, one in tasks if one.seen.state == UNKNOWN and run.state() == "running"]
    if working:
        return working[0]
    waiting = [f"{one.task.run.name} is {one.seen.state}, job {one.job.id}: {one.seen.reason or 'no reason given'}" for _, one in tasks]
    if waiting:
        raise MissingError(f"nothing runs there; {waiting[0]}", where=arguments.place, todo="`labwright status` shows all.")
    here = next((found for found in runs if found.state() == "running"), None)
    what = f"{here.name} runs without a job, on {_host(here)}" if here else "no job was submitted for it"
    raise MissingError(what, where=arguments.place, todo="`labwright submit STUDY --on SITE` queues one." if not here else "")


def _host(run: Run) -> str:
    starts = run.records("start")
    return str(starts[-1].get("host", "this machine")) if starts else "this machine"


def _become(words: list[str]) -> NoReturn:
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise MissingError(f"{words[0]} cannot be started: {error.strerror}", where=shlex.join(words)) from error

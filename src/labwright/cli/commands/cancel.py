"""``labwright cancel``: stop jobs gently; what they saved is kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import places
from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import Exit, MissingError

if TYPE_CHECKING:
    from labwright.launch.status import Placed


def run(arguments: argparse.Namespace) -> int:
    """Cancel what is queued or running of each study, run or job that was named; print what that was."""
    from labwright.launch.stop import stop

    found = {(one.job.folder, one.job.name, one.number): one for word in arguments.what for one in _named(word, arguments)}
    stops = stop(list(found.values()))
    for one in stops:
        if one.error and not one.is_lost:
            raise one.error
        if one.error:
            print(f"labwright: job {one.job.id} may be over: {one.error.what}", file=sys.stderr)
    told = [
        {
            "job": one.job.id,
            "name": one.job.name,
            "was": list(one.was),
            "runs": list(dict.fromkeys(one.job.tasks[number].run.name for number in one.numbers)),
        }
        for one in stops
        if not one.error
    ]
    if arguments.json:
        print_json({"code": 0, "cancelled": told})
    elif told:
        print_table(["job", "name", "was", "runs"], [list(row.values()) for row in told], title="told to save and stop")
        print("\nWhat was saved is kept, and so are complete parts. The same `labwright submit` or `labwright run` goes on from there.")
    else:
        print("nothing of it is queued or running", file=sys.stderr)
    return Exit.DONE


def _named(word: str, arguments: argparse.Namespace) -> list[Placed]:
    """The tasks that a word stands for: those of a place's runs, or those of a job."""
    from labwright.launch.status import look, placed
    from labwright.launch.submission import everywhere, submissions

    if Path(word).exists():
        runs = places.own_runs_at(word, places.runs_option(arguments))
        return [one for tasks in placed(runs, earlier=True).values() for one in tasks]
    known = [*everywhere(), *submissions(Path(arguments.runs) if arguments.runs else Path("runs"))]
    jobs = {(job.folder.resolve(), job.name): job for made in known for job in made.jobs if job.id}
    # 1234_5 and 1234.0 are tasks of 1234; jobs of a DAG have ids that only the scheduler tells.
    near = [job for job in jobs.values() if word == job.id or word.startswith((f"{job.id}_", f"{job.id}.", f"{job.id}/"))]
    found = [
        one
        for one in look(near or jobs.values())
        if word in (one.job.id, one.job_id, one.seen.id, *(f"{one.job.id}{mark}{one.number}" for mark in "_./"))
    ]
    if not found:
        raise MissingError(
            f"there is no study, run or job {word!r}",
            where="labwright cancel",
            todo="`labwright status` lists the jobs that were submitted.",
        )
    return found

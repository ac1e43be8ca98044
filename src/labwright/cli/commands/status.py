"""``labwright status``: how runs are getting on, by their files and by what schedulers add; or all jobs of every site."""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labwright.cli import places
from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import Exit, LabwrightError
from labwright.runs.run import Run

if TYPE_CHECKING:
    from labwright.launch.launcher import Seen
    from labwright.launch.status import Placed, Standing
    from labwright.launch.submission import Submission

COLUMNS = ("run", "state", "parts_done", "parts", "attempts", "heartbeat_age_s", "last_metrics")
JOB_COLUMNS = ("job", "scheduler", "reason", "host")
RECENT = datetime.timedelta(days=1)
"""Jobs that are over are listed if they were submitted within this time."""
OVER = frozenset({"done", "damaged", "stale", "failed", "stopped", "cancelled", "ready"})
ASKED_BY = {"slurm": "squeue", "htcondor": "condor_q"}
"""The tool without which a scheduler is not asked for jobs that no submission is known of."""


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each run, or without a place a line for each job."""
    if arguments.place is None and not arguments.runs:
        return _all_jobs(as_json=arguments.json)
    from labwright.launch.status import placed, standing

    runs = places.own_runs_at(arguments.place, places.runs_option(arguments))
    tasks = placed(runs)
    found = [(one, standing(one, tasks.get(one.folder.resolve(), ()))) for one in runs]
    lines = [[*_row(one, how), how.jobs, how.scheduler, how.reason, how.host] for one, how in found]
    columns = [*COLUMNS, *JOB_COLUMNS]
    if not arguments.json:
        # What no run has an entry for is left out: most studies never see a cluster.
        empty = [name for index, name in enumerate(columns) if name in JOB_COLUMNS and not any(line[index] for line in lines)]
        lines = [[value for name, value in zip(columns, line, strict=True) if name not in empty] for line in lines]
        columns = [name for name in columns if name not in empty]
    print_table(columns, lines, json_mode=arguments.json)
    return Exit.DONE


def _row(run: Run, how: Standing) -> list[Any]:
    try:
        parts: int | None = len(json.loads((run.folder / "parts.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        parts = None
    age = run.heartbeat_age_s()
    return [
        run.name,
        how.state,
        len(run.part_figures()),
        parts,
        run.attempts(),
        None if age is None else round(age, 1),
        _last_metrics(run),
    ]


def _last_metrics(run: Run) -> str:
    metrics = run.records("metric")
    if not metrics:
        return ""
    last = metrics[-1]
    values = " ".join(f"{name}={value:.4g}" for name, value in list(last["values"].items())[:3] if isinstance(value, (int, float)))
    return f"{last['phase']} step {last['step']}: {values}"


def _all_jobs(*, as_json: bool) -> int:
    """Every job that is queued or running, or that ended lately, of every site; grouped by site and study."""
    from labwright.launch.over import ASKED_DAYS, overview
    from labwright.launch.status import others
    from labwright.launch.submission import everywhere

    submissions = {made.folder: made for made in everywhere()}
    tasks, unasked = overview(submissions.values())
    jobs = [row for made in submissions.values() for row in _job_rows(made, [one for one in tasks if one.job.folder == made.folder])]
    known = {id for one in tasks for id in (one.job.id, one.job_id, one.seen.id)}
    foreign = others(known, [kind for kind, tool in ASKED_BY.items() if shutil.which(tool)])
    for kind, seen in foreign.items():
        jobs += [_foreign_row(kind, one) for one in seen]
    if as_json:
        print_json(jobs)
        return Exit.DONE
    for site, study in dict.fromkeys((row["site"], row["study"]) for row in jobs):
        own = [row for row in jobs if (row["site"], row["study"]) == (site, study)]
        lines = [[row["job"], row["name"], row["state"], _few(row["runs"]), row["reason"], row["host"]] for row in own]
        what = "jobs that Labwright did not submit" if study is None else _short(study) if study else "looks at its machines"
        title = f"{site}: {what}"
        print_table(["job", "name", "state", "runs", "reason", "host"], lines, title=title)
        print()
    if not jobs:
        print("no job is queued or running, and none was submitted since yesterday")
    if unasked:
        what = f"{unasked} {'job was' if unasked == 1 else 'jobs were'} submitted more than {ASKED_DAYS} days ago and never seen to end"
        print(f"{what}; nobody was asked about them")
    print("the runs of one study: labwright status STUDY")
    return Exit.DONE


def _job_rows(made: Submission, tasks: list[Placed]) -> list[dict[str, Any]]:
    recent = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(made.when) < RECENT
    rows = []
    for job in made.jobs:
        own = [one for one in tasks if one.job.name == job.name]
        states = [_state(one) for one in own]
        if own and (recent or set(states) - OVER):
            counts = Counter(states)
            rows.append(
                {
                    "site": made.site,
                    "study": made.study,
                    "job": own[0].job_id,
                    "name": job.name,
                    "state": next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {state}" for state, count in counts.items()),
                    "runs": list(dict.fromkeys(task.run.name for task in job.tasks)),
                    "reason": next((one.seen.reason for one in own if one.seen.reason), ""),
                    "host": ", ".join(dict.fromkeys(one.seen.host for one in own if one.seen.host)),
                }
            )
    return rows


def _foreign_row(kind: str, seen: Seen) -> dict[str, Any]:
    own = {"job": seen.id, "name": seen.name, "state": seen.state, "reason": seen.reason, "host": seen.host}
    return {"site": kind, "study": None, "runs": [], **own}


def _state(task: Placed) -> str:
    from labwright.launch.status import standing

    try:
        return standing(Run.open(task.task.run), [task]).state
    except LabwrightError:
        return task.seen.state


def _few(names: Iterable[str]) -> str:
    first, *rest = [*names, ""]
    return f"{first} and {len(rest) - 1} more" if len(rest) > 1 else first


def _short(study: str) -> str:
    from labwright.cli.rows import short

    return short(Path(study))

"""``labwright submit``: queue what is missing of a study, or of a sweep, and return."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

from labwright.cli import rows
from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import CommandError, Exit

if TYPE_CHECKING:
    from labwright.launch.prepare import Prepared
    from labwright.launch.submission import Submission

MOST_RUNS = 3
"""Runs of a job that are named in the table."""


def run(arguments: argparse.Namespace) -> int:
    """Print what was queued, or with ``--dry-run`` the files."""
    if not arguments.study:
        raise CommandError("STUDY is missing", where="labwright submit", todo="`labwright help submit` shows how.")
    prepared = rows.prepared(arguments, arguments.on, gpus=arguments.gpu)
    if arguments.dry_run:
        return _show(prepared, as_json=arguments.json)
    return _queue(prepared, arguments)


def table(prepared: Prepared, made: Submission | None = None) -> list[dict[str, Any]]:
    """A row a job: name, the scheduler's id once it is queued, jobs that go first, runs."""
    ids = {job.name: job.id for job in made.jobs} if made else {}
    return [
        {
            "job": job.name,
            "id": ids.get(job.name, ""),
            "after": [after.job for after in job.after],
            "tasks": len(job.tasks),
            "runs": [run.name for run in job.runs],
        }
        for job in prepared.jobs
    ]


def print_jobs(found: list[dict[str, Any]], title: str) -> None:
    """The table for people: of many runs the first are named."""
    lines = [
        [row["job"], row["id"], row["after"], row["tasks"], [*row["runs"][:MOST_RUNS], *(["…"] if len(row["runs"]) > MOST_RUNS else [])]]
        for row in found
    ]
    print_table(["job", "id", "after", "tasks", "runs"], lines, title=title)


def print_findings(prepared: Prepared) -> None:
    """What was found out on the way, on standard error."""
    for finding in prepared.findings:
        print(f"labwright: {finding.severity} {finding.code} {finding.place}: {finding.text}", file=sys.stderr)


def _show(prepared: Prepared, *, as_json: bool) -> int:
    texts = prepared.texts()
    if as_json:
        print_json({"code": 0, "site": prepared.site.name, "jobs": table(prepared), "files": texts})
    else:
        print_findings(prepared)
        rows.print_texts(texts, prepared.place)
        if not texts:
            print(_NOTHING)
    return Exit.DONE


_NOTHING = "everything is done with these options; there is nothing to queue"


def _queue(prepared: Prepared, arguments: argparse.Namespace) -> int:
    from labwright.launch.prepare import begin, queue

    made = queue(prepared, begin(prepared)) if prepared.jobs else None
    found = table(prepared, made)
    if arguments.json:
        content = {"code": 0, "site": prepared.site.name, "submission": str(made.folder) if made else None, "jobs": found}
        print_json(content | {"findings": [finding._asdict() for finding in prepared.findings]})
        return Exit.DONE
    print_findings(prepared)
    if made is None:
        print(_NOTHING)
        return Exit.DONE
    print_jobs(found, f"queued on {prepared.site.name}; files in {rows.short(made.folder)}")
    study = " ".join(map(shlex.quote, arguments.study[:1]))
    if arguments.runs:
        study += f" --runs {shlex.quote(arguments.runs)}"
    print("\nnext:")
    for words in (f"status {study}", f"logs {study} {prepared.jobs[0].step} -f", f"watch {study}", f"cancel {study}"):
        print(f"  labwright {words}")
    return Exit.DONE

"""``labwright submit``: queue what is missing of a study, or of a sweep, and return."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labwright.cli import places, rows
from labwright.cli.main import describe
from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import CommandError, Exit
from labwright.study.plan import runs_folder

if TYPE_CHECKING:
    from labwright.launch.prepare import Prepared
    from labwright.launch.submission import Submission

HELLO_WITHIN_S = 900.0
"""How long a machine may take to answer; in a long queue one does not want to wait at all."""
MOST_RUNS = 3
"""Runs of a job that are named in the table."""


def run(arguments: argparse.Namespace) -> int:
    """Print what was queued, or with ``--dry-run`` the files; with ``--hello`` what a machine answered."""
    if arguments.hello:
        return _hello(arguments)
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
    from labwright.launch.prepare import taken

    texts = prepared.texts()
    refusal = taken(prepared)
    if as_json:
        content = {"code": 0, "site": prepared.site.name, "jobs": table(prepared), "files": texts}
        print_json(content | ({"refused": describe(refusal)} if refusal else {}))
    else:
        rows.print_refusal(refusal)
        print_findings(prepared)
        rows.print_texts(texts, prepared.place)
        if not texts:
            print(_NOTHING)
    return Exit.DONE


def _hello(arguments: argparse.Namespace) -> int:
    from labwright.launch.foreground import greet
    from labwright.launch.prepare import prepare_hello
    from labwright.launch.site import load_site

    study = places.resolved(arguments) if arguments.study else None
    site = load_site(arguments.on or (study.run.on.kind if study else "local"), study.folder if study else None)
    rows.say_file(site)
    runs = places.runs_option(arguments) or (runs_folder(study) if study else Path("runs"))
    prepared = prepare_hello(site, runs)
    if arguments.dry_run:
        return _show(prepared, as_json=arguments.json)
    print_findings(prepared)
    answer = greet(prepared, lambda line: print(line, file=sys.stderr, flush=True), HELLO_WITHIN_S)
    if arguments.json:
        print_json({"code": 0, "site": site.name, **answer})
    else:
        print_table(["what", "there"], list(_in_words(answer)), title=f"a machine of {site.name}")
    return Exit.DONE


def _in_words(answer: dict[str, Any]) -> Iterator[list[str]]:
    yield ["host", f"{answer['host']} ({answer['platform']})"]
    yield ["CPU", f"{answer['cpu']}, {answer['cores']} cores for this job"]
    yield ["memory", f"{answer['memory_bytes'] / 1e9:.1f} GB, {answer['available_bytes'] / 1e9:.1f} GB free"]
    for gpu in answer["gpus"] or [{"name": "none"}]:
        size = f", {gpu['memory_bytes'] / 1e9:.1f} GB" if gpu.get("memory_bytes") else ""
        yield ["GPU", f"{gpu['name']}{size}"]
    for disk in answer["disks"]:
        room = (
            "cannot be seen" if disk["free_bytes"] is None else f"{disk['free_bytes'] / 1e9:.1f} of {disk['total_bytes'] / 1e9:.1f} GB free"
        )
        yield ["disk", f"{disk['place']} {disk['path']}: {room}{'' if disk['writable'] else ', not writable'}"]
    yield ["Python", f"{answer['python']} ({answer['executable']}), labwright {answer['versions'].get('labwright', '?')}"]
    if answer["container"]:
        yield ["container", answer["container"]]


_NOTHING = "everything is done with these options; there is nothing to queue"


def _sent(prepared: Prepared) -> Submission:
    from labwright.launch.prepare import begun, queue

    with begun(prepared) as made:
        return queue(prepared, made)


def _queue(prepared: Prepared, arguments: argparse.Namespace) -> int:
    made = _sent(prepared) if prepared.jobs else None
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
    print("\nnext:")
    for words in _next(prepared, arguments):
        print(f"  labwright {words}")
    return Exit.DONE


def _next(prepared: Prepared, arguments: argparse.Namespace) -> Iterator[str]:
    """What one may want to type now."""
    runs = ["--runs", arguments.runs] if arguments.runs else []
    study = shlex.join([*arguments.study[:1], *runs])
    yield f"status {study}"
    # A step has many runs in a sweep, and only the name of one tells which is meant.
    array = next((job for job in prepared.jobs if len(job.runs) > 1), None)
    yield f"logs {study} {array.runs[0].name if array else prepared.jobs[0].step} -f"
    yield f"watch {study}"
    if arguments.sweep:
        options = {"--set": arguments.set, "--param": arguments.param, "--run": arguments.run, "--sweep": arguments.sweep}
        given = [word for flag, values in options.items() for value in values for word in (flag, value)]
        yield f"report {shlex.join([*arguments.study, *runs, *given])}"
    yield f"cancel {study}"

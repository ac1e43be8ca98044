"""``labwright logs``: what a run printed, attempt by attempt, and on as lines come; or what its job scripts did."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import places
from labwright.runs.errors import CommandError, Exit, MissingError
from labwright.runs.run import Run

if TYPE_CHECKING:
    from labwright.launch.status import Placed

POLL_S = 0.5
ASK_AGAIN_S = 10.0
"""How often the scheduler is asked."""
PATIENCE = 3
"""How often it may say nothing of a run that stopped early, before that is taken for its end."""
WORKING = ("running", "ready", "silent", "queued", "held", "resuming", "ending", "unknown")


def run(arguments: argparse.Namespace) -> int:
    """Print the logs; ``--follow`` goes on through queue and requeues, and ends with the run."""
    fitting = places.runs_named(arguments.place, arguments.name, places.runs_option(arguments))
    found = _at_work(fitting) if arguments.follow else fitting[0]
    last = None if arguments.lines is None else _count(arguments.lines)
    shown: dict[Path, int] = {}
    pieces = [(path, text) for path in _logs(found, arguments.job) if (text := _new(path, shown))]
    if last is not None:
        pieces = _tail(pieces, last)
    for path, text in pieces:
        _print(path, text)
    if not pieces and not arguments.follow:
        raise MissingError("nothing was printed yet", where=found.name, todo="Use --follow to wait for it.")
    if arguments.follow:
        _follow(found, arguments.job, shown, pieces[-1][0] if pieces else None)
    return Exit.DONE


def _at_work(runs: list[Run]) -> Run:
    """Of several runs that which works, else one that a job waits with, else the one last active; which it is, is said."""
    from labwright.launch.launcher import ENDING, RUNNING
    from labwright.launch.status import placed

    found = runs[0]
    if len(runs) > 1:
        tasks = placed(runs)
        states = {run.folder: [one.seen.state for one in tasks.get(run.folder.resolve(), ()) if one.is_living] for run in runs}
        working = (run for run in runs if run.state() == "running" or {RUNNING, ENDING} & set(states[run.folder]))
        waiting = (run for run in runs if states[run.folder])
        found = next(working, None) or next(waiting, None) or found
    beside = f", one of {len(runs)} runs that fit" if len(runs) > 1 else ""
    print(f"following {found.name}{beside}", file=sys.stderr, flush=True)
    return found


def _follow(found: Run, job: bool, shown: dict[Path, int], current: Path | None) -> None:
    from labwright.launch.launcher import RUNNING, launcher
    from labwright.launch.status import may_live, placed, standing

    tasks: list[Placed] = []
    told, ask_at, tail_at, unheard = "", 0.0, 0.0, 0
    while True:
        if time.monotonic() >= ask_at:
            tasks = placed([found]).get(found.folder.resolve(), [])
            ask_at = time.monotonic() + ASK_AGAIN_S
            unheard = unheard + 1 if any(may_live(one) and not one.is_living for one in tasks) else 0
        how = standing(found, tasks)
        if (
            tasks
            and how.state not in ("running", "done")
            and (line := f"{how.state}, job {', '.join(how.jobs)} {how.reason}".rstrip()) != told
        ):
            told = line
            print(f"{found.name}: {line}", file=sys.stderr, flush=True)
        elsewhere = next((one for one in tasks if one.seen.state == RUNNING and launcher(one.job.kind).tail(one.job, one.number)), None)
        if elsewhere and time.monotonic() >= tail_at:
            # Its files are on another machine; the scheduler's own command follows them until the job leaves that.
            subprocess.run(launcher(elsewhere.job.kind).tail(elsewhere.job, elsewhere.number) or [], check=False)
            # Only the scheduler knows whether the job goes on; the files that are here may be those of an earlier attempt.
            ask_at, tail_at = 0.0, time.monotonic() + ASK_AGAIN_S
        for path in _logs(found, job):
            if text := _new(path, shown):
                _print(path if path != current else None, text)
                current = path
        if how.state == "ready" and not any(may_live(one) for one in tasks):
            print(f"{found.name}: no process works on it, and no job has it", file=sys.stderr)
            return
        if how.state not in WORKING and not (ask_at == 0.0 or (how.state == "stopped" and 0 < unheard < PATIENCE)):
            return
        time.sleep(POLL_S)


def _count(text: str) -> int:
    if not text.isdigit():
        raise CommandError(f"{text!r} is not a number of lines", where="--lines")
    return int(text)


def _logs(run: Run, job: bool) -> list[Path]:
    """What the processes of the run printed; what its job scripts did, where that was asked for or nothing else is there."""
    own = [] if job else sorted((run.folder / "journal").glob("*.log"))
    printed = (path for ending in ("out", "err") for path in (run.folder / "jobs").glob(f"*.{ending}"))
    return own or sorted(printed, key=lambda path: [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", path.name)])


def _new(path: Path, shown: dict[Path, int]) -> str:
    """What was added to the file since the last call."""
    with path.open("rb") as stream:
        stream.seek(shown.get(path, 0))
        data = stream.read()
    shown[path] = shown.get(path, 0) + len(data)
    return data.decode("utf-8", errors="replace")


def _tail(pieces: list[tuple[Path, str]], count: int) -> list[tuple[Path, str]]:
    """The last ``count`` lines over all files."""
    kept: list[tuple[Path, str]] = []
    for path, text in reversed(pieces):
        lines = text.splitlines(keepends=True)[-count:] if count else []
        count -= len(lines)
        if lines:
            kept.insert(0, (path, "".join(lines)))
    return kept


def _print(path: Path | None, text: str) -> None:
    if path is not None:
        print(f"==> {path.name} <==")
    sys.stdout.write(text)
    sys.stdout.flush()

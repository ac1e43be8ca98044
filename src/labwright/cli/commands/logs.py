"""``labwright logs``: what a run printed, attempt by attempt, and on as lines come."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from labwright.cli import places
from labwright.runs.errors import CommandError, Exit, MissingError
from labwright.runs.run import Run
from labwright.study.messages import listed

POLL_S = 0.5
WORKING = ("running", "ready", "silent")


def run(arguments: argparse.Namespace) -> int:
    """Print the logs; ``--follow`` ends with the run."""
    found = _run(arguments)
    last = None if arguments.lines is None else _count(arguments.lines)
    shown: dict[Path, int] = {}
    pieces = [(path, _new(path, shown)) for path in _logs(found)]
    if last is not None:
        pieces = _tail(pieces, last)
    for path, text in pieces:
        _print(path, text)
    if not pieces and not arguments.follow:
        raise MissingError("nothing was printed yet", where=found.name, todo="Use --follow to wait for it.")
    current = pieces[-1][0] if pieces else None
    while arguments.follow:
        working = found.state() in WORKING
        for path in _logs(found):
            if text := _new(path, shown):
                _print(path if path != current else None, text)
                current = path
        if not working:
            break
        time.sleep(POLL_S)
    return Exit.DONE


def _run(arguments: argparse.Namespace) -> Run:
    """The run last active, of those whose name begins as was asked."""
    runs = places.runs_at(arguments.place, places.runs_option(arguments))
    fitting = [one for one in runs if one.name.startswith(arguments.name or "")]
    if not fitting:
        there = listed(one.name for one in runs) or "none"
        what = f"no run begins with {arguments.name!r}" if arguments.name else "there are no runs"
        raise MissingError(what, where=arguments.place, todo=f"There are: {there}.")
    return min(fitting, key=lambda one: age if (age := one.heartbeat_age_s()) is not None else float("inf"))


def _count(text: str) -> int:
    if not text.isdigit():
        raise CommandError(f"{text!r} is not a number of lines", where="--lines")
    return int(text)


def _logs(run: Run) -> list[Path]:
    return sorted((run.folder / "journal").glob("*.log"))


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

"""``labwright watch``: a live page about the runs of studies, on this machine alone.

The server lives long and has to stay small, so that studies are resolved and schedulers asked by processes of their own: both
need libraries that outweigh all else that it holds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labwright.cli import places
from labwright.runs.errors import CommandError, Exit, FaultError, LabwrightError, MissingError
from labwright.runs.run import Run

HIGHEST_PORT = 65535
_ASK_TIMEOUT_S = 120.0
_FOLDER = "from labwright.cli.commands.watch import print_folder; print_folder()"
_JOBS = "from labwright.cli.commands.watch import print_jobs; print_jobs()"


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    try:
        from labwright.watch import serve
        from labwright.watch.actions import stop
        from labwright.watch.board import Board
    except ModuleNotFoundError as error:
        raise MissingError(f"the live page needs {error.name}", todo="Install it with: pip install 'labwright[watch]'.") from error

    address = arguments.bind or serve.LOOPBACK
    if not serve.is_loopback(address) and not arguments.allow_remote:
        raise CommandError(
            f"{address} can be reached from other machines, and the page is not encrypted",
            where="--bind",
            todo="Use the ssh line that is printed instead, or add --allow-remote.",
        )
    studies = [Path(place) for place in arguments.place or ["."]]
    folders = [folder_of(place, places.runs_option(arguments)) for place in studies]
    files = [place for place in studies if place.is_file()]
    # A study file stands for its own runs, also where others have theirs in the same folder.
    own = (lambda one: not all(places.of_another_study(one, file) for file in files)) if len(files) == len(studies) else (lambda _: True)
    board = Board(folders, keep=own, jobs=jobs_in(folders))
    serve.serve(board, address=address, ports=ports(arguments.port), stop=stop if arguments.allow_actions else None, ready=serve.tell)
    return Exit.DONE


def ports(text: str | None) -> Sequence[int]:
    """``8000`` or ``8000-8010``; any free port by default.

    Raises:
        CommandError: it is neither.
    """
    first, dash, last = (text or "0").partition("-")
    numbers = [int(word) for word in (first, last or first) if word.isdigit()]
    if len(numbers) < 2 or (dash and not last) or not (0 <= numbers[0] <= numbers[1] <= HIGHEST_PORT):
        raise CommandError(f"{text!r} is neither a port nor a range of ports", where="--port", todo="For instance 8000 or 8000-8010.")
    return range(numbers[0], numbers[1] + 1)


def folder_of(place: Path, runs: Path | None) -> Path:
    """The run, or the folder of runs, that a word of the command line stands for; runs may still be to come.

    Raises:
        LabwrightError: it stands for nothing.
    """
    if (place / "step.json").is_file():
        return place
    if runs is not None or not (place.is_file() or (place / places.STUDY).is_file()):
        return places.runs_folder_at(place, runs)
    answer = _asked(_FOLDER, str(place))
    if "error" in answer:
        kind = next((one for one in LabwrightError.__subclasses__() if one.code == answer["code"]), FaultError)
        raise kind(**answer["error"])
    return Path(answer["folder"])


def jobs_in(folders: Sequence[Path]) -> Callable[[], Mapping[str, Mapping[str, Any]]]:
    """A function that asks the schedulers about all runs in these folders that were submitted."""

    def ask() -> Mapping[str, Mapping[str, Any]]:
        parents = {folder.parent if (folder / "step.json").is_file() else folder for folder in folders}
        submitted = [str(parent) for parent in sorted(parents) if any(parent.glob("jobs/*/submission.json"))]
        return dict(_asked(_JOBS, *submitted)) if submitted else {}

    return ask


def print_folder() -> None:
    """The child's side of :func:`folder_of`."""
    try:
        answer: dict[str, Any] = {"folder": str(places.runs_folder_at(Path(sys.argv[1])))}
    except LabwrightError as error:
        answer = {"code": int(error.code), "error": {"what": error.what, "where": error.where, "todo": error.todo}}
    print(json.dumps(answer))


def print_jobs() -> None:
    """The child's side of :func:`jobs_in`."""
    from labwright.launch.status import placed, telling
    from labwright.runs.run import runs_in

    runs: list[Run] = [one for folder in sys.argv[1:] for one in runs_in(Path(folder))]
    found = {str(folder): telling(tasks) for folder, tasks in placed(runs).items()}
    print(json.dumps({folder: {"id": seen.id, "state": seen.state, "reason": seen.reason} for folder, seen in found.items()}))


def _asked(code: str, *words: str) -> dict[str, Any]:
    """What a process of its own prints as JSON."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise FaultError("a process that had to look something up gave no answer", where=" ".join(words)) from error
    return answer

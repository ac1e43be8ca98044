"""An attempt: one process that works on a run, with its journal file, its log and its energy account."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labwright.runs import log, machine
from labwright.runs.energy import Energy
from labwright.runs.errors import Exit
from labwright.runs.journal import Journal
from labwright.runs.publish import disk_error
from labwright.runs.run import Run
from labwright.runs.usage import Sampler


class Attempt:
    """What one process writes about its work on a run. Open with :func:`attempt`."""

    def __init__(self, number: int, journal: Journal, energy: Energy, terminal: int | None) -> None:
        self.number = number
        self.journal = journal
        self.energy = energy
        self.terminal = terminal
        """A descriptor of the terminal for progress bars; None where nobody looks."""
        self.code = Exit.FAULT
        self.reason = "the process left without a word"

    def end(self, code: Exit, reason: str = "") -> None:
        """Set how the attempt ends; the record is written when the block is left."""
        self.code, self.reason = code, reason


@contextmanager
def attempt(run: Run, *, share: str = "0/1", rank: int = 0, quiet: bool = False) -> Iterator[Attempt]:
    """Open a new attempt on ``run``: journal, log, energy and usage run for the time of the block."""
    folder = run.folder / "journal"
    try:
        number, journal = _create(folder, share, rank)
    except OSError as error:
        raise disk_error(error, folder) from error
    energy = Energy(journal.record)
    sampler = Sampler(journal.record, energy)
    try:
        with log.kept(journal.path.with_suffix(".log"), show=not quiet) as before:
            current = Attempt(number, journal, energy, before if not quiet and os.isatty(before) else None)
            journal.record("start", attempt=number, share=share, rank=rank, pid=os.getpid(), host=socket.gethostname(), argv=sys.argv)
            _write_head(journal.path.with_suffix(".log"), run, number)
            sampler.start()
            try:
                yield current
            finally:
                # On a full disk the last records are lost, but not the sentence that says so.
                with contextlib.suppress(OSError):
                    sampler.stop()
                    energy.close()
                    journal.record("end", code=int(current.code), reason=current.reason)
    finally:
        journal.close()


def _create(folder: Path, share: str, rank: int) -> tuple[int, Journal]:
    worker = "" if (share, rank) == ("0/1", 0) else f"-{share.replace('/', 'of')}-{rank}"
    taken = [int(path.stem[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9]*.jsonl")]
    number = max(taken, default=0) + 1
    while True:
        try:
            return number, Journal(folder / f"{number:04d}{worker}.jsonl")
        except FileExistsError:
            number += 1


def _write_head(path: Path, run: Run, number: int) -> None:
    # Straight into the file: the head is for whoever reads the log later, not for the terminal.
    facts: dict[str, Any] = machine.describe()
    versions = " ".join(f"{name}={version}" for name, version in facts.get("versions", {}).items())
    lines = [
        f"# attempt {number} of {run.name}",
        f"# command: {' '.join(sys.argv)}",
        f"# host: {facts.get('host')} ({facts.get('platform')}), python {facts.get('python')}",
        f"# versions: {versions}",
        f"# options: {json.dumps(run.options, ensure_ascii=False)}",
        f"# seed: {run.description.get('seed')}",
    ]
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")

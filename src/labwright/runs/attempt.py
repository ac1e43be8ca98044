"""An attempt: one process that works on a run, with its journal file, its log and its energy account."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labwright.runs import log, machine
from labwright.runs.energy import Energy
from labwright.runs.errors import Exit
from labwright.runs.journal import Journal
from labwright.runs.patience import patiently
from labwright.runs.publish import disk_said
from labwright.runs.run import Run
from labwright.runs.usage import Sampler


class Attempt:
    """What one process writes about its work on a run. Open with :func:`attempt`."""

    def __init__(self, number: int, journal: Journal, energy: Energy) -> None:
        self.number = number
        self.journal = journal
        self.energy = energy
        self.terminal: int | None = None
        """A descriptor of the terminal for progress bars; None where nobody looks."""
        self.code = Exit.FAULT
        self.reason = "the process left without a word"

    def end(self, code: Exit, reason: str = "") -> None:
        """Set how the attempt ends; the record is written when the block is left."""
        self.code, self.reason = code, reason

    def note(self, text: str) -> None:
        """Write to the log and not to the terminal, where the log can be reached."""
        with contextlib.suppress(OSError):
            _append(self.journal.path.with_suffix(".log"), text)

    def write_end(self) -> None:
        """Write how the attempt ends; called when the block is left."""
        self.journal.record("end", code=int(self.code), reason=self.reason)

    def note_end(self) -> None:
        """The same in the log, after all that was printed."""
        self.note(f"# ended with exit code {int(self.code)}{': ' + self.reason if self.reason else ''}")


@contextmanager
def attempt(run: Run, *, share: str = "0/1", rank: int = 0, given: int | None = None, quiet: bool = False) -> Iterator[Attempt]:
    """Open a new attempt on ``run``: journal, log, energy and usage run for the time of the block.

    Args:
        run: the run folder.
        share: which parts this process works on.
        rank: of a process that trains together with others; all have the attempt's number, which the first one takes.
        given: the attempt's number; the next free one by default.
        quiet: keep the log, show nothing.

    Raises:
        FaultError: the disk is full.
        DeniedError: the folder cannot be written.
        Gone: the file system is away, and did not come back in time.
    """
    folder = run.folder / "journal"
    with contextlib.ExitStack() as stack:
        with disk_said(folder):
            number, journal = patiently(lambda: _create(folder, share, rank, given), folder)
            stack.callback(_without_disk, journal.close)
            kept = journal.path.with_suffix(".log")
            patiently(lambda: _append(kept, _head(run, number)), kept)
            # The first rank of a node reads its meters; they see the others too.
            energy = Energy(journal.record, meters=() if rank > 0 and os.environ.get("LOCAL_RANK", "0") != "0" else None)
            current = Attempt(number, journal, energy)
            stack.callback(current.note_end)
            before = stack.enter_context(log.kept(kept, show=not quiet))
            current.terminal = before if not quiet and os.isatty(before) else None
            sampler = Sampler(journal.record, energy)
            # Left in the other order; on a full disk the last records are lost, but not the sentence that says so.
            for last in (current.write_end, energy.close, sampler.stop):
                stack.callback(_without_disk, last)
            journal.record("start", attempt=number, share=share, rank=rank, pid=os.getpid(), host=socket.gethostname(), argv=sys.argv)
            sampler.start()
        yield current


def _create(folder: Path, share: str, rank: int, given: int | None) -> tuple[int, Journal]:
    worker = "" if (share, rank) == ("0/1", 0) else f"-{share.replace('/', 'of')}-{rank}"
    if given is not None:
        return given, Journal(folder / f"{given:04d}{worker}.jsonl")
    taken = [int(path.stem.partition("-")[0]) for path in folder.glob("[0-9]*.jsonl")]
    number = max(taken, default=0) + 1
    while True:
        try:
            return number, Journal(folder / f"{number:04d}{worker}.jsonl")
        except FileExistsError:
            number += 1


def _without_disk(write: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        write()


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text + "\n")


def _head(run: Run, number: int) -> str:
    facts = machine.describe()
    versions = " ".join(f"{name}={version}" for name, version in facts["versions"].items())
    lines = [
        f"# attempt {number} of {run.name}",
        f"# command: {shlex.join(sys.argv)}",
        f"# host: {facts['host']} ({facts['platform']}), python {facts['python']}",
        f"# versions: {versions}",
        f"# options: {json.dumps(run.options, ensure_ascii=False)}",
        f"# seed: {run.description.get('seed')}",
    ]
    return "\n".join(lines)

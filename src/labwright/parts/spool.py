"""What workers record, on its way into the journal of the process that started them.

A worker appends to a file of its own, so that there is no lock that a killed worker could keep, and a record is written when it is
made: whatever a killed worker had saved, what it had recorded before is there too.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from labwright.parts.shares import Share
from labwright.runs.journal import Journal

_AGAIN = ("metric",)
"""Kinds that may be brought over twice: nobody knows how far a killed process had come with it."""


def left_behind(folder: Path, record: Callable[..., None]) -> None:
    """Bring over what the workers of an earlier attempt had recorded when all of it was killed."""
    Spool(folder, record, _AGAIN).close()


def place(run: Path, share: Share) -> Path:
    """The folder of a share's workers."""
    return run / "journal" / f"workers-{str(share).replace('/', 'of')}"


def writer(folder: Path) -> Callable[..., None]:
    """For a worker: appends a record, kind and fields, to a new file."""
    # Progress of many at once tells nobody anything.
    journal = Journal(folder / f"{uuid.uuid4().hex}.records")
    return lambda kind, **fields: None if kind == "progress" else journal.record(kind, **fields)


class Spool:
    """For the process with the journal: ``carry`` brings over what is new.

    Args:
        folder: of the workers.
        record: appends to the journal: kind, then fields.
        kinds: of records to bring over; all by default.
    """

    def __init__(self, folder: Path, record: Callable[..., None], kinds: Collection[str] = ()) -> None:
        self._folder, self._record, self._kinds = folder, record, kinds
        self._read: dict[Path, int] = {}

    def carry(self) -> None:
        """Bring over the whole lines that were not brought over yet."""
        for path in sorted(self._folder.glob("*.records")):
            with path.open("rb") as stream:
                stream.seek(self._read.get(path, 0))
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    fields: dict[str, Any] = json.loads(line)
                    if not self._kinds or fields["kind"] in self._kinds:
                        self._record(**fields)
                    self._read[path] = self._read.get(path, 0) + len(line)

    def close(self) -> None:
        """Bring over the rest; no worker lives any more."""
        self.carry()
        shutil.rmtree(self._folder, ignore_errors=True)

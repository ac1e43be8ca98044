"""The journal: one append-only JSON-lines file for each process that worked on a run.

A record costs one ``write`` and no fsync; a kill tears at most the last line, which readers skip. While the file system is away
(``runs.patience``) records are kept in memory and appended in order once it is back: work goes on meanwhile.
Attempts make one continuous story, oldest first: of a metric that two attempts recorded for the same step the
newer attempt's value counts.

Record kinds, each with ``t`` (seconds since 1970) and ``kind``:
``start`` (attempt, share, rank, pid, host, argv), ``usage`` (the 10-second sample and heartbeat),
``energy`` (stage, joules, method, scope, coverage, seconds), ``metric`` (phase, step, epoch, values, part),
``source`` (name, size, mtime_ns, sha256 of a raw file), ``finding`` (code, severity, place, text, part),
``begin`` (part), ``part`` (id, figures, seconds), ``failed`` (part, reason), ``progress`` (title, done, total and more),
``checkpoint`` (part, step, best), ``finish`` (all parts are done), ``end`` (code, reason).
"""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from labwright.runs import patience
from labwright.runs.faults import armed
from labwright.runs.patience import gone, patiently
from labwright.runs.plain import encoder

KEPT_BYTES = 32 << 20
"""Records that may wait in memory; that is more than a training makes in the time for which it waits to save."""
AWAITED = ("part", "finish")
"""Records that others rely on once they are written: ``record`` waits until these, and all before, stand in the file."""
LAST_S = 5.0
"""How long closing waits for records that could not be written so far."""
_MEND_S = 1.0
_encode = encoder(separators=(",", ":"))
_TAIL_BYTES = 1 << 14


class Journal:
    """Writes one journal file; safe for several threads of one process."""

    def __init__(self, path: Path) -> None:
        """Create ``path`` exclusively; FileExistsError where another process has it."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._lock = threading.Lock()
        self._torn = b""
        self._size = 0
        self._waiting: deque[bytes] = deque()
        self._kept = 0
        self._mender: threading.Thread | None = None
        self._hurry = threading.Event()

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record. A float that is not finite is written as null.

        Raises:
            OSError: the disk is full.
            Gone: the file system is away, and the record is one of ``AWAITED`` or too many wait already.
        """
        line = _encode({"t": round(time.time(), 3), "kind": kind, **fields}) + b"\n"
        if armed("journal:mid-line"):
            os.write(self._descriptor, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        with self._lock:
            self._append(line)
        if kind in AWAITED:
            self._settle()

    def sync(self) -> None:
        """Make all records so far durable.

        Raises:
            Gone: the file system is away.
        """
        self._settle()
        patiently(lambda: os.fsync(self._descriptor), self.path)

    def close(self) -> None:
        """Make all records durable and let go of the file; may be called twice."""
        if self._descriptor >= 0:
            if not self._mended(LAST_S):
                return  # the attempts go on for as long as the process lives
            try:
                os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def _append(self, line: bytes) -> None:
        if self._mender is None:
            try:
                self._write(line)
            except OSError as error:
                if not gone(error):
                    raise
                self._mender = threading.Thread(target=self._mend, name="labwright-journal", daemon=True)
                self._keep(line)
                self._mender.start()
        elif self._kept + len(line) > KEPT_BYTES:
            raise patience.sentence(_away(self.path), self.path, " for so long that no more records can wait")
        else:
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        self._waiting.append(line)
        self._kept += len(line)

    def _written(self) -> None:
        self._kept -= len(self._waiting.popleft())

    def _write(self, line: bytes) -> None:
        data = self._torn + line
        written = os.write(self._descriptor, data)
        self._size += written
        if written < len(data):
            # A disk that filled up tears this line; it must not take the next one with it.
            self._torn = b"\n"
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._torn = b""

    def _mend(self) -> None:
        """Append what waits, once that works again; in a thread, since a try may block for long."""
        pause = patience.FIRST_PAUSE_S
        while True:
            self._hurry.wait(pause)
            self._hurry.clear()
            pause = _MEND_S
            with suppress(OSError):
                self._reopen()
                while True:
                    with self._lock:
                        if not self._waiting:
                            self._mender = None
                            return
                    self._write(self._waiting[0])
                    self._written()

    def _reopen(self) -> None:
        """Open the file anew, as a handle may have gone stale, and see how much of the line that failed is in it."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = descriptor
        landed, self._size = os.fstat(descriptor).st_size - self._size, os.fstat(descriptor).st_size
        if landed == len(self._torn + self._waiting[0]):
            self._written()
            self._torn = b""
        elif landed:
            self._torn = b"\n"

    def _settle(self) -> None:
        """Wait until all records so far stand in the file."""

        def settled() -> None:
            if not self._mended(_MEND_S):
                raise _away(self.path)

        patiently(settled, self.path)

    def _mended(self, within_s: float) -> bool:
        if (mender := self._mender) is not None:
            self._hurry.set()
            mender.join(within_s)
        return self._mender is None


def _away(path: Path) -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO), str(path))


def read_file(path: Path) -> Iterator[dict[str, Any]]:
    """The whole records of one journal file; a torn or foreign line is skipped."""
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n") and (record := _parsed(line)) is not None:
                yield record


def first(path: Path) -> dict[str, Any] | None:
    """The first whole record of a journal file."""
    return next(read_file(path), None)


def last(path: Path) -> dict[str, Any] | None:
    """The last whole record of a journal file, read from its end."""
    with path.open("rb") as stream:
        size, window = stream.seek(0, os.SEEK_END), _TAIL_BYTES
        while True:
            begin = max(0, size - window)
            stream.seek(begin)
            # What follows the last newline is torn, and the first line of a window may be cut.
            lines = stream.read(size - begin).split(b"\n")[1 if begin else 0 : -1]
            found = next((record for line in reversed(lines) if (record := _parsed(line)) is not None), None)
            if found is not None or begin == 0:
                return found
            window *= 8


def files(folder: Path) -> list[Path]:
    """The journal files in a folder, oldest attempt first; none where there is no folder."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except FileNotFoundError:
        return []


def read(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    """Records of all attempts in ``folder``, oldest attempt first, each with its ``file`` (stem) added."""
    records = []
    for path in files(folder):
        for record in read_file(path):
            if not kinds or record["kind"] in kinds:
                record["file"] = path.stem
                records.append(record)
    return records


def series(records: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[int, float]]:
    """Metric series by (part, phase, name) → {step: value}, those of one part together; the newest attempt wins a step twice recorded."""
    curves: dict[tuple[str, str, str], dict[int, float]] = {}
    for record in records:
        if record["kind"] == "metric":
            for name, value in record["values"].items():
                curves.setdefault((record.get("part", ""), record["phase"], name), {})[record["step"]] = value
    # Which of several workers recorded first is chance.
    return {key: dict(sorted(curves[key].items())) for key in sorted(curves, key=lambda key: key[0])}


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("kind"), str) and isinstance(record.get("t"), (int, float))
    return record if whole else None

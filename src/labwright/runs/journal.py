"""The journal: one append-only JSON-lines file for each process that worked on a run.

A record costs one ``write`` and no fsync; a kill tears at most the last line, which readers skip.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labwright.runs.faults import armed
from labwright.runs.plain import encoder

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

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record. A float that is not finite is written as null."""
        line = _encode({"t": round(time.time(), 3), "kind": kind, **fields}) + b"\n"
        if armed("journal:mid-line"):
            os.write(self._descriptor, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        with self._lock:
            data = self._torn + line
            if os.write(self._descriptor, data) < len(data):
                # A disk that filled up tears this line; it must not take the next one with it.
                self._torn = b"\n"
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            self._torn = b""

    def sync(self) -> None:
        """Make all records so far durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Make all records durable and let go of the file; may be called twice."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1


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


def read(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    """Records of all attempts in ``folder``, oldest attempt first, each with its ``file`` (stem) added."""
    records = []
    for path in sorted(folder.glob("*.jsonl")):
        for record in read_file(path):
            if not kinds or record["kind"] in kinds:
                record["file"] = path.stem
                records.append(record)
    return records


def series(records: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[int, float]]:
    """Metric series by (part, phase, name) → {step: value}; the newest attempt wins a step twice recorded."""
    curves: dict[tuple[str, str, str], dict[int, float]] = {}
    for record in records:
        if record["kind"] == "metric":
            for name, value in record["values"].items():
                curves.setdefault((record.get("part", ""), record["phase"], name), {})[record["step"]] = value
    return {key: dict(sorted(curve.items())) for key, curve in curves.items()}


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("kind"), str) and isinstance(record.get("t"), (int, float))
    return record if whole else None

"""The journal: one append-only JSON-lines file for each process that worked on a run.

A record costs one ``write`` and no fsync; a kill tears at most the last line, which readers skip.
Attempts make one continuous story: records are merged by time, and of a metric that two attempts
recorded for the same step the newer attempt's value counts.

Record kinds, each with ``t`` (seconds since 1970) and ``kind``:
``start`` (attempt, share, rank, pid, host, argv), ``usage`` (the 10-second sample and heartbeat),
``energy`` (stage, joules, method, scope, coverage, seconds), ``metric`` (phase, step, epoch, values, part),
``part`` (id, figures), ``finding`` (code, severity, place, text), ``checkpoint`` (part, step, best),
``note`` (text), ``finish`` (figures), ``end`` (code, reason).
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labwright.runs.faults import armed

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str).encode


class Journal:
    """Writes one journal file; safe for several threads of one process."""

    def __init__(self, path: Path) -> None:
        """Create ``path`` exclusively; FileExistsError where another process has it."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def record(self, kind: str, **fields: Any) -> None:
        """Append one record. A float that is not finite is written as null."""
        record = {"t": round(time.time(), 3), "kind": kind, **fields}
        try:
            line = _encode(record)
        except ValueError:
            line = _encode(_finite(record))
        data = (line + "\n").encode()
        if armed("journal:mid-line"):
            os.write(self._descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), 9)
        with self._lock:
            os.write(self._descriptor, data)

    def sync(self) -> None:
        """Make all records so far durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            self.sync()
            os.close(self._descriptor)
            self._descriptor = -1


def read_file(path: Path) -> Iterator[dict[str, Any]]:
    """The whole records of one journal file; a torn or foreign line is skipped."""
    with path.open("rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and "kind" in record:
                yield record


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


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value



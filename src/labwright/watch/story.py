"""What the journal of a run tells, folded record by record into little memory; a foreign record changes nothing."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from labwright.runs import energy
from labwright.watch.series import Series

Record = dict[str, Any]
MOST_SERIES, MOST_TOLD, MOST_SAMPLES, MOST_TITLES = 64, 100, 240, 16
"""Bounds of what is remembered: curves, findings and attempts, usage samples (40 minutes), kinds of progress."""
SHORT, FEW = 500, 20
"""Letters kept of a text, and fields of a progress record."""
LATEST_S = 1e11
"""A time after this is none."""


@dataclass
class Pace:
    """How one kind of work gets on: ``done`` of ``total``, with the last records of it."""

    title: str
    done: float
    total: float
    file: str
    """The attempt that told it."""
    fields: Record
    seen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=60))
    """(t, done) of this attempt."""


class Story:
    """Fold with :meth:`take`; everything else reads."""

    def __init__(self) -> None:
        self.version = 0
        """Raised by each record."""
        self.starts: dict[str, Record] = {}
        self.ends: dict[str, Record] = {}
        self.last: dict[str, Record] = {}
        """The last record of each journal file, by stem; kind, t, code and reason only."""
        self.curves: dict[tuple[str, str, str], Series] = {}
        self.first_steps: dict[str, float] = {}
        """The first step that each attempt recorded."""
        self.usage: deque[Record] = deque(maxlen=MOST_SAMPLES)
        self.energy: list[Record] = []
        """As ``runs.energy.rows``."""
        self.paces: dict[str, Pace] = {}
        self.parts: dict[str, str] = {}
        """Part id → done, begun or failed."""
        self.begun_in: dict[str, str] = {}
        """Part id → the attempt that works on it."""
        self.failures: dict[str, str] = {}
        self.best: dict[str, int] = {}
        """Part → step of its best checkpoint."""
        self.saved: Record | None = None
        """The newest checkpoint record."""
        self.findings: Counter[str] = Counter()
        self.found: deque[Record] = deque(maxlen=MOST_TOLD)

    def take(self, stem: str, record: Record) -> None:
        """Take in a record of the journal file ``stem``."""
        kind, t = record.get("kind"), record.get("t")
        if not isinstance(kind, str) or not isinstance(t, (int, float)) or not 0 <= t < LATEST_S:
            return
        self.version += 1
        # An end that lacks its code is none; a whole one is put in its place by its fold.
        self.last[stem] = {"kind": kind if kind != "end" else "", "t": t}
        try:
            fold = getattr(self, f"_{kind}", None) if kind in KINDS else None
            if fold is not None:
                fold(stem, record)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            # Of another version, or nobody's record at all: the rest of the story is still worth telling.
            return

    def newest(self) -> Record | None:
        """The start record of the newest attempt."""
        return self.starts[max(self.starts)] if self.starts else None

    def _start(self, stem: str, record: Record) -> None:
        self.starts[stem] = {
            "t": record["t"],
            "file": stem,
            "attempt": int(record["attempt"]),
            "share": str(record["share"]),
            "rank": int(record["rank"]),
            "pid": int(record["pid"]),
            "host": _short(record["host"]),
        }

    def _end(self, stem: str, record: Record) -> None:
        kept = {"t": record["t"], "kind": "end", "file": stem, "code": int(record["code"]), "reason": _short(record.get("reason", ""))}
        self.ends[stem] = self.last[stem] = kept

    def _metric(self, stem: str, record: Record) -> None:
        step = int(record["step"])
        self.first_steps.setdefault(stem, float(step))
        for name, value in record["values"].items():
            key = (str(record.get("part", "")), str(record["phase"]), str(name))
            if key not in self.curves and len(self.curves) >= MOST_SERIES:
                continue
            if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
                self.curves.setdefault(key, Series()).add(step, value, _order(stem))

    def _usage(self, stem: str, record: Record) -> None:
        use = {name: _number(record.get(name)) for name in ("seconds", "cpu_percent", "memory_bytes", "read_bytes", "written_bytes")}
        names = ("index", "utilisation_percent", "memory_bytes", "watts")
        gpus = [{name: _number(gpu.get(name)) for name in names} for gpu in record.get("gpus") or []]
        self.usage.append({"file": stem, "t": record["t"], "kind": "usage", **use, "gpus": gpus})

    def _energy(self, _stem: str, record: Record) -> None:
        self.energy = energy.rows([*({**row, "kind": "energy"} for row in self.energy), record])

    def _progress(self, stem: str, record: Record) -> None:
        title, done, total = _short(record["title"]), float(record["done"]), float(record["total"])
        if not (math.isfinite(done) and math.isfinite(total)):
            return
        pace = self.paces.pop(title, None)
        if pace is None or pace.file != stem:
            pace = Pace(title, done, total, stem, {})
        known = ("t", "kind", "title", "done", "total")
        pace.done, pace.total = done, total
        told = [(_short(name), value) for name, value in record.items() if name not in known]
        pace.fields = {name: _short(value) if isinstance(value, str) else _number(value) for name, value in told[:FEW]}
        pace.seen.append((record["t"], done))
        self.paces[title] = pace  # the newest last
        if len(self.paces) > MOST_TITLES:
            del self.paces[next(iter(self.paces))]

    def _begin(self, stem: str, record: Record) -> None:
        self.parts[str(record["part"])], self.begun_in[str(record["part"])] = "begun", stem

    def _part(self, _stem: str, record: Record) -> None:
        self.parts[str(record["id"])] = "done"

    def _failed(self, _stem: str, record: Record) -> None:
        self.parts[str(record["part"])], self.failures[str(record["part"])] = "failed", _short(record.get("reason", ""))

    def _checkpoint(self, stem: str, record: Record) -> None:
        self.saved = {"t": record["t"], "step": int(record["step"]), "file": stem}
        if record.get("best") is not None:
            self.best[str(record.get("part", ""))] = int(record["best"])

    def _finding(self, _stem: str, record: Record) -> None:
        self.findings[str(record["severity"])] += 1
        self.found.append({name: _short(record[name]) for name in ("code", "severity", "place", "text")})


KINDS = frozenset({"start", "end", "metric", "usage", "energy", "progress", "begin", "part", "failed", "checkpoint", "finding"})


def _short(value: Any) -> str:
    return str(value)[:SHORT]


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None


def _order(stem: str) -> int:
    """Attempts in the order of their files; within a number the share and rank decide."""
    number, _, worker = stem.partition("-")
    share, rank = worker.partition("of")[0] or "0", worker.rpartition("-")[2] or "0"
    return (int(number) << 32) + (int(share) << 12) + int(rank)

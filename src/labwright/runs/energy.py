"""Joules of one attempt by stage, and of a run over all its attempts.

Increments go to the journal, so what a killed attempt has used stays counted; a kill loses at most
what was measured since the last flush (10 s, the sampler's interval). Unlike methods stay apart in every
row and total; only :meth:`Energy.joules`, on which a budget can stop a training, adds them, and
:meth:`Energy.method` names what it added.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from labwright.runs.meters import Meter, find

OTHER = "other"
"""The stage of what is used outside any."""
NOT_MEASURED = "not measured"
_MEASURED_BY = "LABWRIGHT_MEASURED_BY"
_FLUSH_S = 1.0
_FRESH_S = 0.2


@dataclass
class _Amount:
    """What one meter gave for one stage since the last flush."""

    joules: float | None = None
    covered_s: float = 0.0
    seconds: float = 0.0


class Energy:
    """Charges what the meters read to the innermost open stage. Stages belong to the process, not to a thread.

    Args:
        record: writes a journal record, as ``Journal.record`` does.
        meters: what to read; by default the best that the machine has, or nothing where an ancestor process
            measures already. Nothing (``()``) says that another process measures this one too: none is recorded.
        clock: seconds, for tests.
    """

    def __init__(
        self, record: Callable[..., None], meters: Sequence[Meter] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._record, self._clock = record, clock
        if meters is None and not _measured_by_ancestor():
            self._meters, self._elsewhere = find().meters, False
            os.environ[_MEASURED_BY] = _me()
        else:
            self._meters, self._elsewhere = list(meters or ()), not meters
        self._lock = threading.RLock()
        self._stages = [OTHER]
        self._amounts: dict[tuple[str, int], _Amount] = {}
        self._totals: list[float | None] = [None] * len(self._meters)
        self._settled_at = self._flushed_at = clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what is used inside to ``name``. For stretches of seconds to hours: each change reads the meters."""
        self._change(lambda: self._stages.append(name))
        try:
            yield
        finally:
            self._change(self._stages.pop)

    def flush(self) -> None:
        """Write what was measured since the last flush to the journal."""
        with self._lock:
            self._settle()
            self._flushed_at = self._settled_at
            amounts, self._amounts = self._amounts, {}
            for (stage, number), amount in amounts.items():
                meter = self._meters[number] if number >= 0 else None
                self._record(
                    "energy",
                    stage=stage,
                    joules=None if amount.joules is None else round(amount.joules, 4),
                    method=meter.method if meter else NOT_MEASURED,
                    scope=meter.scope if meter else "",
                    coverage=round(min(1.0, amount.covered_s / amount.seconds), 4),
                    seconds=round(amount.seconds, 4),
                )

    def joules(self) -> float | None:
        """Joules of this attempt so far, over all meters (see :meth:`method`); None where nothing is measured.

        Meters are read at most five times a second, so that a loop may ask at each of its steps.
        """
        with self._lock:
            if self._clock() - self._settled_at >= _FRESH_S:
                self._settle()
            known = [total for total in self._totals if total is not None]
            return sum(known) if known else None

    def method(self) -> str:
        """How :meth:`joules` is measured: method and scope of each meter that counts in it."""
        measuring = [meter for meter, total in zip(self._meters, self._totals, strict=True) if total is not None]
        return " + ".join(f"{meter.method} ({meter.scope})" for meter in measuring) or NOT_MEASURED

    def close(self) -> None:
        """Flush and let go of the meters; may be called twice."""
        self.flush()
        with self._lock:
            for meter in self._meters:
                meter.close()
            self._meters, self._totals, self._elsewhere = [], [], True
        if os.environ.get(_MEASURED_BY) == _me():
            del os.environ[_MEASURED_BY]

    def _change(self, change: Callable[[], object]) -> None:
        with self._lock:
            self._settle()
            change()
            if self._settled_at - self._flushed_at >= _FLUSH_S:
                self.flush()

    def _settle(self) -> None:
        """Read all meters and charge the current stage."""
        now = self._clock()
        seconds, self._settled_at = now - self._settled_at, now
        if seconds <= 0:
            return
        stage = self._stages[-1]
        for number, meter in enumerate(self._meters):
            reading = meter.read()
            amount = self._amounts.setdefault((stage, number), _Amount())
            amount.seconds += seconds
            amount.covered_s += reading.coverage * seconds
            if reading.joules is not None:
                amount.joules = (amount.joules or 0.0) + reading.joules
                self._totals[number] = (self._totals[number] or 0.0) + reading.joules
        if not self._meters and not self._elsewhere:
            self._amounts.setdefault((stage, -1), _Amount()).seconds += seconds


def rows(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Energy of a run: journal records of all attempts merged by stage, method and scope, in order of appearance.

    Returns:
        Rows of ``stage``, ``method``, ``scope``, ``joules`` (None: not measured), ``seconds`` and ``coverage``
        (share of the seconds that the joules account for, 0 to 1).
    """
    merged: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in records:
        if record.get("kind") != "energy":
            continue
        key = (record["stage"], record["method"], record["scope"])
        row = merged.setdefault(key, {"stage": key[0], "method": key[1], "scope": key[2], "joules": None, "seconds": 0.0, "coverage": 0.0})
        if record["joules"] is not None:
            row["joules"] = (row["joules"] or 0.0) + record["joules"]
        seconds = row["seconds"] + record["seconds"]
        if seconds > 0:
            row["coverage"] = (row["coverage"] * row["seconds"] + record["coverage"] * record["seconds"]) / seconds
        row["seconds"] = seconds
    return list(merged.values())


def totals(merged: Iterable[dict[str, Any]]) -> dict[str, float | None]:
    """Joules by method over all stages and scopes of ``rows``; None: not measured."""
    sums: dict[str, float | None] = {}
    for row in merged:
        before = sums.setdefault(row["method"], None)
        if row["joules"] is not None:
            sums[row["method"]] = (before or 0.0) + row["joules"]
    return sums


def in_words(merged: Iterable[dict[str, Any]]) -> str:
    """The totals as one line, such as ``12.4 kJ by NVML counter and 310 J by RAPL``; unlike methods stay apart."""
    known = [f"{amount(joules)} by {method}" for method, joules in totals(merged).items() if joules is not None]
    return " and ".join(known) or NOT_MEASURED


def amount(joules: float | None) -> str:
    """Joules with three digits and a prefix."""
    if joules is None:
        return NOT_MEASURED
    for unit, size in (("GJ", 1e9), ("MJ", 1e6), ("kJ", 1e3)):
        if joules >= size:
            return f"{joules / size:.3g} {unit}" if joules < 1000 * size else f"{joules / size:.0f} {unit}"
    return f"{joules:.3g} J"


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _measured_by_ancestor() -> bool:
    host, _, pid = os.environ.get(_MEASURED_BY, "").rpartition(":")
    return host == socket.gethostname() and pid.isdigit() and int(pid) in {parent.pid for parent in psutil.Process().parents()}

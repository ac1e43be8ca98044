"""Events in memory: fixed-width arrays, a row an event, whatever file they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.data.findings import Finding
from labwright.events.flags import FLAGS

FloatArray = NDArray[np.floating[Any]]

BITS: Mapping[str, int] = {name: 1 << place for place, name in enumerate(FLAGS)}
"""The flags and the bits of ``flags`` that stand for them."""
PADDING = -1.0
"""``is_selected`` of a slot of ``other_jets`` that holds no jet."""
PT, ETA, PHI, MASS, SELECTED = range(5)
"""Columns of the jets; GeV and radians."""


WHOLE = ("extra", "files", "dropped_jets", "findings")
"""Fields that are not an array of N."""


@dataclass(frozen=True)
class EventTable:
    """N events.

    Args:
        can_jets: float32 (N, 4, 4): pt, eta, phi, mass of the four chosen jets, by falling pt.
        other_jets: float32 (N, M, 5): pt, eta, phi, mass, is_selected (1 or 0) of the others; an empty slot is 0, 0, 0, 0, ``PADDING``.
        run, lumi, event: identity, uint32, uint32, uint64 (N,).
        weight: float64 (N,), as the file has it.
        flags: uint16 (N,), bits of ``BITS``.
        file: uint16 (N,), index into ``files``.
        row: int64 (N,), the event's row in its file's tree.
        extra: further columns by name, (N,) each.
        files: names of the files.
        dropped_jets: jets that found no slot, of all events.
        findings: what was seen while reading; events in error are not in the arrays.
    """

    can_jets: NDArray[np.float32]
    other_jets: NDArray[np.float32]
    run: NDArray[np.uint32]
    lumi: NDArray[np.uint32]
    event: NDArray[np.uint64]
    weight: NDArray[np.float64]
    flags: NDArray[np.uint16]
    file: NDArray[np.uint16]
    row: NDArray[np.int64]
    extra: Mapping[str, FloatArray] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    dropped_jets: int = 0
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.event)

    def has(self, name: str) -> NDArray[np.bool_]:
        """Which events have a flag; ``!SR`` is the opposite of ``SR``."""
        found: NDArray[np.bool_] = (self.flags & BITS[name.removeprefix("!")]) != 0
        return ~found if name.startswith("!") else found

    def column(self, name: str) -> FloatArray:
        """``weight`` or one of the further columns; KeyError where there is none."""
        return self.weight if name == "weight" else self.extra[name]

    def take(self, rows: NDArray[Any]) -> EventTable:
        """The events at these indices, or where a mask is true."""
        changed = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name not in WHOLE}
        return replace(self, **changed, extra={name: values[rows] for name, values in self.extra.items()})

"""A pack of events as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwright.data.packs import MappedArray, Pack
from labwright.events.flags import FLAGS
from labwright.events.identity import Identity
from labwright.events.packing.bind import EVENTS, PACK
from labwright.events.packing.classes import NONE
from labwright.runs.errors import DataError, MissingError
from labwright.runs.run import Run
from labwright.study.messages import listed, nearest


@dataclass(frozen=True)
class PackedEvents:
    """N events in memory; row i of each is the same event, and row i of ``events.parquet``.

    Args:
        can_jets: float32 (N, 4, 4): pt, eta, phi, mass [GeV].
        other_jets: float32 (N, M, 5): pt, eta, phi, mass, is_selected; −1 marks an empty place.
        ancillary: float32 (N, A), in the order of ``ancillary_names``.
        weight: float32 (N,), normalised; 0 for events of no class.
        label: uint8 (N,), index into ``classes``, ``NONE`` (255) for events of no class: to be scored, never trained on.
        flags: int32 (N,), bits by place in ``flags.FLAGS``.
        identity: run, lumi, event.
        classes: names.
        ancillary_names: names of the further inputs.
        files: name, tree, tags, uuid and entries of each source file.
        folder: of the run.
    """

    can_jets: Tensor
    other_jets: Tensor
    ancillary: Tensor
    weight: Tensor
    label: Tensor
    flags: Tensor
    identity: Identity
    classes: tuple[str, ...]
    ancillary_names: tuple[str, ...]
    files: tuple[Mapping[str, Any], ...]
    folder: Path

    @property
    def n(self) -> int:
        return len(self.label)

    @property
    def labelled(self) -> Tensor:
        """Which events are of a class, bool (N,)."""
        return self.label != NONE

    def has(self, flag: str) -> Tensor:
        """Which events have a flag of ``flags.FLAGS``, bool (N,)."""
        return (self.flags & (1 << FLAGS.index(flag))) != 0

    def column(self, name: str) -> NDArray[Any]:
        """A column of ``events.parquet``, (N,); NaN where an event's file has no such column.

        Raises:
            DataError: there is none of that name.
        """
        path = self.folder / "output" / EVENTS
        there = parquet.read_schema(path).names
        if name not in there:
            near = nearest(name, there)
            raise DataError(
                f"the pack has no column {name!r}",
                where=str(path),
                todo=f"Did you mean {near!r}?" if near else f"It has {listed(there, 60)}.",
            )
        # A copy, since Arrow's own memory must not be written.
        return np.array(parquet.read_table(path, columns=[name]).column(name).to_numpy())


def load(run: Run) -> PackedEvents:
    """The events of a run of pack.

    Raises:
        MissingError: there is no pack.
        DataError: it is damaged.
    """
    pack = Pack.open(run.output(PACK))
    if not run.output(EVENTS).is_file():
        raise MissingError("the table of the pack's events is not there", where=str(run.output(EVENTS)), todo="Run the pack step again.")
    told = pack.attributes
    events = int(told["events"])
    who = parquet.read_table(run.output(EVENTS), columns=list(Identity._fields))
    if who.num_rows != events:
        raise DataError(
            f"the table has {who.num_rows} events, the arrays have {events}", where=str(run.output(EVENTS)), todo="Run the pack step again."
        )
    none = torch.zeros(events, 0)
    return PackedEvents(
        **{name: _tensor(pack.arrays[name], events) for name in ("can_jets", "other_jets", "weight", "label", "flags")},
        ancillary=_tensor(pack.arrays["ancillary"], events) if told["ancillary"] else none,
        identity=Identity(*(np.array(who.column(name).to_numpy()) for name in Identity._fields)),
        classes=tuple(told["classes"]),
        ancillary_names=tuple(told["ancillary"]),
        files=tuple(told["files"]),
        folder=run.folder,
    )


def _tensor(array: MappedArray, events: int) -> Tensor:
    """Chunks joined, (events, …); copied out of the mapped file, since it is read in random order again and again."""
    chunk = array.shape[1]
    # Torch does little with unsigned numbers of 16 bits.
    dtype = np.dtype(np.int32) if array.dtype == np.uint16 else array.dtype.newbyteorder("=")
    out = np.empty((events, *array.shape[2:]), dtype)
    for number, start in enumerate(range(0, events, chunk)):
        stop = min(start + chunk, events)
        out[start:stop] = array[number][: stop - start]
    return torch.from_numpy(out)

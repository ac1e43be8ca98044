"""What parts of a pack leave for its end: tables of events on disk, mapped, out of which rows are gathered in any order.

A piece is a folder with ``can_jets.npy``, ``other_jets.npy``, ``ancillary.npy`` and ``columns.arrow``. It is complete when it is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labwright.events.packing.classes import Assigned
from labwright.events.packing.repeats import content_number
from labwright.events.table import PADDING, SELECTED, EventTable

OWN = ("run", "lumi", "event", "file", "row", "flags")
ADDED = ("label", "fate", "raw_weight", "content")
TABLES = ("can_jets", "other_jets", "ancillary")
COLUMNS = "columns.arrow"


def write_piece(folder: Path, table: EventTable, found: Assigned, ancillary: NDArray[np.float32]) -> None:
    """Write events into ``folder``, which is made.

    Args:
        folder: a temporary one, for ``publish``.
        table: the events.
        found: their classes.
        ancillary: (N, A).
    """
    folder.mkdir()
    others = table.other_jets
    if not others.shape[1]:
        # A pack has no array without bytes, and a network needs one place at least.
        others = np.zeros((len(table), 1, 5), np.float32)
        others[..., SELECTED] = PADDING
    for name, array in zip(TABLES, (table.can_jets, others, ancillary), strict=True):
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, np.float32), allow_pickle=False)
    added = (found.label, found.fate, found.weight, content_number(table.can_jets))
    columns: dict[str, NDArray[Any]] = {name: getattr(table, name) for name in OWN} | dict(zip(ADDED, added, strict=True))
    columns |= {further_name(name): values for name, values in table.extra.items()}
    content = pa.table(columns)
    with pa.OSFile(str(folder / COLUMNS), "wb") as sink, pa.ipc.new_file(sink, content.schema) as writer:
        writer.write_table(content)


def further_name(name: str) -> str:
    """The name of a further column in tables; a file's own column that is called like one of ours gets a longer one."""
    return f"file_{name}" if name in (*OWN, *ADDED, "weight") else name


class Pieces:
    """All pieces of a pack, as one table in the order of the files and their rows.

    Args:
        folders: of the pieces; at least one.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._columns = [_mapped(folder / COLUMNS) for folder in folders]
        self._tables = {name: [np.load(folder / f"{name}.npy", mmap_mode="r") for folder in folders] for name in TABLES}
        self._starts = np.cumsum([0, *(table.num_rows for table in self._columns)])
        schemas = pa.unify_schemas([table.schema for table in self._columns])
        self.further = tuple(name for name in schemas.names if name not in (*OWN, *ADDED))
        """Columns of the files that are not ours; not every file has each."""

    def __len__(self) -> int:
        return int(self._starts[-1])

    def shape(self, table: str) -> tuple[int, ...]:
        """Of one event in one of ``TABLES``."""
        return tuple(self._tables[table][0].shape[1:])

    def column(self, name: str) -> NDArray[Any]:
        """One of ``OWN`` and ``ADDED`` of all events, in memory."""
        return np.concatenate([table.column(name).to_numpy() for table in self._columns])

    def gather(self, table: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Events at these rows, in this order, of one of ``TABLES``."""
        out = np.empty((len(rows), *self.shape(table)), np.float32)
        for piece, places, within in self._parted(rows):
            out[places] = self._tables[table][piece][within]
        return out

    def gather_further(self, rows: NDArray[np.int64]) -> pa.Table:
        """The further columns at these rows, in this order, float64; null where the event's file has no such column."""
        schema = pa.schema([(name, pa.float64()) for name in self.further])
        taken = [schema.empty_table()]
        order = [np.zeros(0, np.int64)]
        for piece, places, within in self._parted(rows):
            own = self._columns[piece]
            there = [name for name in self.further if name in own.column_names]
            part = own.select(there).take(pa.array(within))
            taken.append(pa.table([column.cast(pa.float64()) for column in part.columns], names=there))
            order.append(places)
        back = np.argsort(np.concatenate(order), kind="stable")
        # A table without columns has no rows to take.
        return pa.concat_tables(taken, promote_options="default").take(pa.array(back)) if self.further else pa.table({})

    def _parted(self, rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """(piece, places among ``rows``, rows within the piece) for each piece that holds some of them."""
        of = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(of, kind="stable")
        edges = np.flatnonzero(np.diff(of[order], prepend=-1))
        parts = np.split(order, edges[1:]) if len(order) else []
        return [(int(of[places[0]]), places, rows[places] - self._starts[of[places[0]]]) for places in parts]


def _mapped(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        table: pa.Table = pa.ipc.open_file(source).read_all()
    return table

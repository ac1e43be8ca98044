"""Write scores: ``scores.parquet`` in the order of the pack, a file for each model, and friends in the order of the source files.

Scores come as blocks of rows of the pack, which may be mapped files; no more than a block and a few columns of the pack's table are in
memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.data.packs import Pack
from labwright.events.pack_options import PackOptions
from labwright.events.packing.bind import COPIES, EVENTS, PACK
from labwright.events.reading.addresses import placed
from labwright.events.scoring import friend_files
from labwright.events.scoring.friend_files import Source
from labwright.events.scoring.scores import COUNT, MEMBERS, TABLE
from labwright.events.source import listing
from labwright.runs.errors import Stopped
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Job

FRIENDS = "friends"
Floats = NDArray[np.float32]


class Blocks:
    """Scores of consecutive rows of the pack.

    Args:
        arrays: float32 (n, columns) each.
        names: of the columns; ``n_models`` is kept as a number like the others.
    """

    def __init__(self, arrays: Sequence[Floats], names: Sequence[str]) -> None:
        self.arrays, self.names = list(arrays), tuple(names)
        self._starts = np.cumsum([0, *map(len, self.arrays)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def scored(self) -> NDArray[np.bool_]:
        """Which rows have a score, (n,)."""
        place = self.names.index(COUNT)
        return np.concatenate([one[:, place] > 0 for one in self.arrays])

    def columns(self, values: Floats) -> dict[str, NDArray[Any]]:
        """(n, columns) → by name."""
        found: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(values[:, place]) for place, name in enumerate(self.names)}
        found[COUNT] = found[COUNT].astype(np.uint8)
        return found

    def gather(self, index: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Columns at these rows of the pack; −1 stands for none: NaN, and no model."""
        out = np.full((len(index), len(self.names)), np.nan, np.float32)
        out[:, self.names.index(COUNT)] = 0
        of = np.searchsorted(self._starts, index, side="right") - 1
        for number in np.unique(of[index >= 0]):
            places = np.flatnonzero((of == number) & (index >= 0))
            out[places] = self.arrays[number][index[places] - self._starts[number]]
        return self.columns(out)


class Places(NamedTuple):
    """Which row of the pack each row of the source files is."""

    sources: list[Source]
    file: NDArray[np.uint16]
    row: NDArray[np.int64]
    packed: NDArray[np.int64]
    """Row of the pack. All three are by file and row."""

    def of(self, source: int, start: int, stop: int) -> NDArray[np.int64]:
        """Of rows of a file, int64 (stop − start,); −1 for those that were not packed."""
        begin, end = np.searchsorted(self.file, [source, source + 1])
        first, last = begin + np.searchsorted(self.row[begin:end], [start, stop])
        found = np.full(stop - start, -1)
        found[self.row[first:last] - start] = self.packed[first:last]
        return found


def places(pack: Run) -> Places:
    """Where the events of a pack come from; copies of an event point at the one that was packed."""
    table = parquet.read_table(pack.output(EVENTS), columns=["file", "row"])
    file, row = (table.column(name).to_numpy() for name in ("file", "row"))
    index = np.arange(len(row))
    if pack.output(COPIES).is_file():
        copies = parquet.read_table(pack.output(COPIES))
        file, row, index = (
            np.concatenate([own, copies.column(name).to_numpy()]) for own, name in ((file, "file"), (row, "row"), (index, "of"))
        )
    order = np.lexsort((row, file))
    return Places(_sources(pack), file[order], row[order], index[order])


def _sources(pack: Run) -> list[Source]:
    """The files of a pack; the address matters for those without a UUID only, which friends know by it."""
    files = Pack.open(pack.output(PACK)).attributes["files"]
    options = PackOptions.model_validate(pack.options).source
    if all(file["uuid"] or not file["entries"] for file in files):
        addresses = [placed(file["name"], Path(os.path.abspath(options.path))) for file in files]
    else:
        addresses = [file.address for file in listing(options).files]
    return [
        Source(file["name"], address, file["uuid"], file["tree"], int(file["entries"]))
        for file, address in zip(files, addresses, strict=True)
    ]


def write_table(job: Job[Any], blocks: Blocks) -> None:
    """Publish ``output/scores.parquet``; a row group for each block."""
    with job.output(TABLE) as path:
        _write(path, (pa.table(blocks.columns(one)) for one in blocks.arrays))


def write_member(job: Job[Any], name: str, columns: Sequence[str], pieces: Iterable[tuple[NDArray[np.int64], Floats]]) -> None:
    """Publish ``output/members/<name>.parquet``.

    Args:
        job: of the step.
        name: of the member.
        columns: ``base_columns``.
        pieces: packed rows, rising, and their columns, (n, columns).
    """
    with job.output(f"{MEMBERS}/{name}.parquet") as path:
        _write(
            path,
            (pa.table({"index": index, **dict(zip(columns, np.ascontiguousarray(values.T), strict=True))}) for index, values in pieces),
        )


def _write(path: Path, tables: Iterable[pa.Table]) -> None:
    """At least one table; each becomes a row group."""
    with ExitStack() as stack:
        writer: parquet.ParquetWriter | None = None
        for table in tables:
            writer = writer or stack.enter_context(parquet.ParquetWriter(path, table.schema, compression="zstd"))
            writer.write_table(table)


def write_friends(
    job: Job[Any], blocks: Blocks, where: Places, name: str, formats: Sequence[str], rows_per_file: int
) -> list[dict[str, Any]]:
    """Publish ``output/friends``: files of ``rows_per_file`` rows, then ``<name>.json``, which names those of the first format.

    Files that are there already are of an earlier attempt and stay.

    Returns:
        For each source file: name, rows, and how many of them have a score.

    Raises:
        Stopped: a stop was asked for between two files.
    """
    planned = friend_files.plan(name, where.sources, rows_per_file)
    count = f"{name}_{COUNT}"

    def reader(source: int) -> friend_files.Read:
        def read(start: int, stop: int) -> Mapping[str, NDArray[Any]]:
            found = blocks.gather(where.of(source, start, stop))
            return {count if column == COUNT else column: values for column, values in found.items()}

        return read

    for number, one in enumerate(planned):
        for form in formats:
            final = f"{FRIENDS}/{one.stem}.{form}"
            if job.run.output(final).is_file():
                continue
            if job.stopping():
                raise Stopped("stopped between two friend files", where=job.run.name, todo="Run the same command again to go on.")
            with job.output(final) as path:
                if form == "root":
                    friend_files.write_root(path, one, reader(one.source), job.run.fingerprint)
                else:
                    friend_files.write_parquet(path, one, reader(one.source))
        job.progress(number + 1, len(planned), f"{job.run.step}: friends")
    branches = [count if column == COUNT else column for column in blocks.names]
    document = friend_files.document(name, branches, where.sources, planned, formats[0], job.run.fingerprint)
    write_json(job.run.output(f"{FRIENDS}/{name}.json"), document, "output")
    having = np.bincount(where.file[blocks.scored()[where.packed]], minlength=len(where.sources)).tolist()
    return [{"file": one.name, "rows": one.entries, "scored": scored} for one, scored in zip(where.sources, having, strict=True)]

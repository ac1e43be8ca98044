"""Pieces → the pack: repeated events out, weights normalised, all in random order, arrays by chunks and a table of who they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.data.findings import Finding
from labwright.data.sampler import generator
from labwright.data.write import ArraySpec, finish_pack, shards, write_shard
from labwright.events.findings import finding
from labwright.events.flags import FLAGS
from labwright.events.identity import Identity
from labwright.events.pack_options import PackOptions
from labwright.events.packing.classes import KEPT, NONE, UNCLAIMED, UNWEIGHED, ClassFigures, figures, normalised
from labwright.events.packing.pieces import TABLES, Pieces
from labwright.events.packing.repeats import repeats
from labwright.runs.errors import Stopped
from labwright.study.step import Job

PACK = "pack.zarr"
EVENTS = "events.parquet"
COPIES = "copies.parquet"
"""Rows that hold an event which is packed from elsewhere: ``file``, ``row``, and ``of``, the packed row; there where there are any."""
SHARD_CHUNKS = 32
"""Chunks in a file: 85 MB of the widest array at the chunk size that is given."""
Files = Sequence[Mapping[str, Any]]


class Bound(NamedTuple):
    """What is in a pack."""

    events: int
    repeated: int
    """Events left out because they are there already."""
    classes: list[ClassFigures]
    ancillary: list[dict[str, Any]]
    """Name, least and greatest value of each further input."""
    bytes: int
    findings: list[Finding]


class Columns(NamedTuple):
    """Of all events of the pieces, in the order in which they were read."""

    identity: Identity
    file: NDArray[np.uint16]
    row: NDArray[np.int64]
    flags: NDArray[np.uint16]
    label: NDArray[np.uint8]
    fate: NDArray[np.uint8]
    raw_weight: NDArray[np.float64]


def bind(job: Job[PackOptions], pieces: Pieces, files: Files) -> Bound:
    """Write ``output/pack.zarr``, ``output/events.parquet`` and, where events are there twice, ``output/copies.parquet``.

    Args:
        job: of the pack step.
        pieces: all events that were read.
        files: name and tags of each file.
    """
    options = job.options
    classes = options.classes
    read = Columns(Identity(*(pieces.column(name) for name in Identity._fields)), *(pieces.column(name) for name in Columns._fields[1:]))
    twice = repeats(read.identity, pieces.column("content"))
    copied = twice.copy_of != np.arange(len(pieces))
    fate = np.where(copied, np.uint8(UNCLAIMED), read.fate)
    found = [*_repeat_findings(read, twice.copy_of, twice.namesake & ~copied, files), *_fate_findings(read, copied, files, options)]
    tags = [frozenset(file["tags"]) for file in files]
    weight, sums = normalised(read.label, fate, read.file, read.raw_weight, tags, classes)
    told = figures(np.where(copied, np.uint8(NONE), read.label), fate, read.raw_weight, weight, classes)
    rows = np.flatnonzero(~copied if options.unlabelled == "keep" else fate == KEPT)
    if options.shuffle:
        # Raw numbers of Philox are the same in every version of NumPy; its permutations need not be.
        rows = rows[np.argsort(generator(job.seed, "pack").bit_generator.random_raw(len(rows)), kind="stable")]
    read = read._replace(label=np.where(fate == KEPT, read.label, np.uint8(NONE)), fate=fate)
    ancillary = _write(job, pieces, read, weight, rows, files) if len(rows) else []
    if copied.any():
        _write_copies(job, read, twice.copy_of, rows)
    size = sum(path.stat().st_size for path in job.run.output(PACK).rglob("*") if path.is_file())
    heavy = [finding("EVT036", one.name, f"{one.heavy:,} events") for one in told if one.heavy]
    return Bound(len(rows), int(np.count_nonzero(copied)), told, ancillary, size, [*found, *heavy, *sums])


def _write(
    job: Job[PackOptions], pieces: Pieces, read: Columns, weight: NDArray[np.float64], rows: NDArray[np.int64], files: Files
) -> list[dict[str, Any]]:
    """Write arrays and table, a few chunks at a time; the range of each further input."""
    options = job.options
    chunk = options.chunk_events if options.chunks is None else -(-len(rows) // options.chunks)
    count = -(-len(rows) // chunk)
    kinds = {name: ((chunk, *pieces.shape(name)), "float32") for name in TABLES if name != "ancillary" or options.ancillary}
    kinds |= {"weight": ((chunk,), "float32"), "label": ((chunk,), "uint8"), "flags": ((chunk,), "uint16")}
    specs = [ArraySpec(name, (count, *shape), dtype, SHARD_CHUNKS) for name, (shape, dtype) in kinds.items()]
    least, most = np.full(len(options.ancillary), np.inf), np.full(len(options.ancillary), -np.inf)
    with job.output(EVENTS) as temporary:
        writer: parquet.ParquetWriter | None = None
        for number, first in enumerate(range(0, count, SHARD_CHUNKS)):
            if job.stopping():
                raise Stopped("stopped while the pack was put together", where=job.run.name, todo="Run the same command again to go on.")
            some = rows[first * chunk : (first + SHARD_CHUNKS) * chunk]
            arrays = {name: pieces.gather(name, some) for name in TABLES}
            if len(options.ancillary):
                least, most = np.minimum(least, arrays["ancillary"].min(axis=0)), np.maximum(most, arrays["ancillary"].max(axis=0))
            values: dict[str, NDArray[Any]] = {
                **arrays,
                "weight": weight[some].astype(np.float32),
                "label": read.label[some],
                "flags": read.flags[some],
            }
            for spec in specs:
                shard = shards(spec)[number]
                write_shard(
                    job.run.output(PACK) / shard.file, spec, shard.start, _chunked(values[spec.name], shard.stop - shard.start, chunk)
                )
            table = _table(pieces, read, weight, some)
            writer = writer or parquet.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
            job.progress(number + 1, -(-count // SHARD_CHUNKS), "pack: files")
        if writer:
            writer.close()
    attributes = {
        "recipe": "events",
        "events": len(rows),
        "chunk_events": chunk,
        "classes": list(options.classes),
        "ancillary": list(options.ancillary),
        "flags": list(FLAGS),
        "files": [{name: file[name] for name in ("name", "tree", "tags", "uuid", "entries")} for file in files],
    }
    finish_pack(job.run.output(PACK), specs, _items(len(rows), chunk), attributes)
    pairs = zip(options.ancillary, least.tolist(), most.tolist(), strict=True)
    return [{"name": name, "least": low, "greatest": high} for name, low, high in pairs]


def _write_copies(job: Job[PackOptions], read: Columns, copy_of: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    place = np.full(len(copy_of), -1)
    place[rows] = np.arange(len(rows))
    copies = np.flatnonzero(copy_of != np.arange(len(copy_of)))
    copies = copies[place[copy_of[copies]] >= 0]
    with job.output(COPIES) as temporary:
        parquet.write_table(pa.table({"file": read.file[copies], "row": read.row[copies], "of": place[copy_of[copies]]}), temporary)


def _chunked(values: NDArray[Any], count: int, chunk: int) -> NDArray[Any]:
    """(n, …) → (count, chunk, …), zeros after the last event."""
    whole = np.zeros((count * chunk, *values.shape[1:]), values.dtype)
    whole[: len(values)] = values
    return whole.reshape(count, chunk, *values.shape[1:])


def _table(pieces: Pieces, read: Columns, weight: NDArray[np.float64], rows: NDArray[np.int64]) -> pa.Table:
    """A row of ``events.parquet`` for each event."""
    own = {name: getattr(read.identity, name)[rows] for name in Identity._fields}
    own |= {name: getattr(read, name)[rows] for name in ("file", "row", "flags", "label")}
    further = pieces.gather_further(rows)
    table = pa.table({**own, "weight": weight[rows], "raw_weight": read.raw_weight[rows]})
    for name in further.column_names:
        table = table.append_column(name, further.column(name))
    return table


def _items(events: int, chunk: int) -> pa.Table:
    starts = np.arange(0, events, chunk)
    counts = np.minimum(chunk, events - starts)
    return pa.table({"identity": [f"chunk {number}" for number in range(len(starts))], "start": starts, "events": counts})


def _repeat_findings(read: Columns, copy_of: NDArray[np.int64], namesake: NDArray[np.bool_], files: Files) -> Iterator[Finding]:
    """Events that are there twice, by the file that brings them again; and all that only share a number, together."""
    copies = np.flatnonzero(copy_of != np.arange(len(copy_of)))
    for file, first, count in zip(*np.unique(read.file[copies], return_index=True, return_counts=True), strict=True):
        row = copies[first]
        other = files[read.file[copy_of[row]]]["name"]
        text = f"{count:,} events are there already, the first is {_event(read, row)} of {other}; they are left out"
        yield finding("EVT030", files[file]["name"], text)
    if namesake.any():
        first = int(np.argmax(namesake))
        text = f"{np.count_nonzero(namesake):,} events, the first is {_event(read, first)}"
        yield finding("EVT039", files[read.file[first]]["name"], text)


def _fate_findings(read: Columns, copied: NDArray[np.bool_], files: Files, options: PackOptions) -> Iterator[Finding]:
    """By file: events of no class, and weights that are no numbers; by class: events that weigh too much."""
    names = list(options.classes)
    of_file = np.bincount(read.file[~copied], minlength=len(files))
    unclaimed = np.bincount(read.file[~copied & (read.fate == UNCLAIMED)], minlength=len(files))
    for file, events, without in zip(files, of_file.tolist(), unclaimed.tolist(), strict=True):
        if without and without == events:
            tags = f"its tags are {', '.join(file['tags'])}" if file["tags"] else "it has no tags"
            yield finding("EVT002", file["name"], f"none of its {events:,} events is of a class; {tags}")
        elif without:
            yield finding("EVT032", file["name"], f"{without:,} of {events:,} events")
    bad = np.flatnonzero(~copied & (read.fate == UNWEIGHED))
    pairs = read.file[bad].astype(np.int64) * NONE + read.label[bad]
    for pair, first, count in zip(*np.unique(pairs, return_index=True, return_counts=True), strict=True):
        name = names[pair % NONE]
        product = " × ".join(options.classes[name].weight)
        yield finding(
            "EVT017", files[pair // NONE]["name"], f"{product} of {count:,} events of class {name}, first in row {read.row[bad[first]]}"
        )


def _event(read: Columns, row: int) -> str:
    run, lumi, event = (int(column[row]) for column in read.identity)
    return f"run {run}, lumi {lumi}, event {event}"

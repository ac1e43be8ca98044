"""Write columns as a friend tree: row-aligned to each source file, in files of so many rows, as ROOT and as Parquet.

``friends.py`` reads the document; uproot and pyarrow read the files by themselves. Row ``i`` of a file for the rows from ``start`` on is
row ``start + i`` of the source file. What they hold is a function of the columns and of the run, UUIDs inside ROOT files too; Parquet files
are the same byte for byte, while ROOT writes the moment into each of its keys.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as parquet
import uproot
from numpy.typing import NDArray

from labwright.events.reading.friends import described

TREE = "Events"
BLOCK_ROWS = 131_072
"""Rows of one basket and of one row group, and what is held in memory."""
Columns = Mapping[str, NDArray[Any]]
Read = Callable[[int, int], Columns]
"""The columns of the rows ``start`` up to but without ``stop`` of a source file."""


class Source(NamedTuple):
    """A file that gets friends."""

    name: str
    address: str
    uuid: str
    tree: str
    entries: int


class FriendFile(NamedTuple):
    """The rows ``start`` up to but without ``stop`` of a source, by its place in the list."""

    source: int
    start: int
    stop: int
    stem: str


def plan(name: str, sources: Sequence[Source], rows_per_file: int) -> list[FriendFile]:
    """The files of a friend: ``<name>_<number>_<source>_<start>_<stop>``; a source without rows has none."""
    digits = len(str(len(sources) - 1))
    return [
        FriendFile(number, start, stop, f"{name}_{number:0{digits}d}_{_plain(one.name)}_{start}_{stop}")
        for number, one in enumerate(sources)
        for start in range(0, one.entries, rows_per_file)
        for stop in (min(start + rows_per_file, one.entries),)
    ]


def document(name: str, branches: Sequence[str], sources: Sequence[Source], files: Iterable[FriendFile], form: str, key: str) -> Any:
    """What ``<name>.json`` says, to be given as ``<name>.json@@<name>`` to ``source.groups.friends``.

    Args:
        name: of the friend.
        branches: its columns.
        sources: the files that it is for.
        files: as :func:`plan` gave them.
        form: ``root`` or ``parquet``, that of the files which the document names.
        key: as for :func:`write_root`.
    """
    pieces: dict[int, list[dict[str, Any]]] = {}
    for one in files:
        own = str(identifier(key, one)) if form == "root" else ""
        chunk = {"path": f"{one.stem}.{form}", "uuid": own, "name": TREE, "num_entries": one.stop - one.start}
        pieces.setdefault(one.source, []).append({"start": one.start, "stop": one.stop, "chunk": chunk})
    data, known = [], set()
    for number, found in pieces.items():
        of = sources[number]
        # A file that is listed under two names has one UUID, and its rows may be claimed once.
        if not of.uuid or of.uuid not in known:
            known.add(of.uuid)
            data.append(({"path": of.address, "uuid": of.uuid, "name": of.tree, "num_entries": of.entries}, found))
    return {name: described(name, branches, data)}


def identifier(key: str, one: FriendFile) -> uuid.UUID:
    """The UUID of a ROOT file: the same for the same rows of the same run."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{key}/{one.stem}")


def write_root(path: Path, one: FriendFile, read: Read, key: str) -> None:
    """Write a TTree.

    Args:
        path: of the file.
        one: which rows.
        read: gives them.
        key: tells the run from others, for the UUID.
    """
    # Given a path, uproot would write the name of a temporary file into it.
    with path.open("w+b") as raw, uproot.recreate(raw, uuid_function=lambda: identifier(key, one)) as file:
        for start, stop in _blocks(one):
            columns = read(start, stop)
            if start == one.start:
                file.mktree(TREE, {name: values.dtype for name, values in columns.items()})
            file[TREE].extend(dict(columns))


def write_parquet(path: Path, one: FriendFile, read: Read) -> None:
    """Write a Parquet file; arguments as :func:`write_root`."""
    writer: parquet.ParquetWriter | None = None
    try:
        for start, stop in _blocks(one):
            table = pa.table(dict(read(start, stop)))
            writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def _blocks(one: FriendFile) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK_ROWS, one.stop)) for start in range(one.start, one.stop, BLOCK_ROWS)]


def _plain(name: str) -> str:
    """The stem of a file's name, of letters that may stand in every file's name."""
    return re.sub(r"[^\w.-]", "_", Path(name).name.rsplit(".", 1)[0], flags=re.ASCII) or "file"

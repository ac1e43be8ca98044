"""Trees of events as columns, whatever the format: ROOT, Parquet, HDF5; here, or behind an address.

A column is an awkward array with an entry an event: a number, or a list with a number for each jet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import awkward as ak
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import uproot

from labwright.events.findings import BadFile
from labwright.events.reading.addresses import content
from labwright.runs.errors import LabwrightError, MissingError
from labwright.runs.remote import file_system, is_remote

Columns = dict[str, ak.Array]
TIMEOUT_SECONDS = 60
"""A server that does not answer for so long counts as gone; XRootD itself would wait for ever."""
NUMBERS = frozenset(
    ["bool", "float", "double", *(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)), "char", "unsigned char"]
)
"""ROOT's types of one number."""


class Source(Protocol):
    """What a format gives; its errors are its library's own."""

    entries: int
    names: tuple[str, ...]
    uuid: str

    def scalars(self) -> Sequence[str]: ...
    def read(self, names: Sequence[str], start: int, stop: int) -> Columns: ...


class Tree:
    """An open tree. ``names`` are its columns; ``uuid`` is a ROOT file's, else empty."""

    def __init__(self, source: Source, address: str) -> None:
        self.address = address
        self.entries, self.names, self.uuid = source.entries, source.names, source.uuid
        self._source = source

    def scalars(self) -> frozenset[str]:
        """The columns with one number an event."""
        return frozenset(self._source.scalars())

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        """The columns of rows ``start`` up to but without ``stop``.

        Raises:
            BadFile: they cannot be read (EVT010); says which.
        """
        try:
            return self._source.read(names, start, stop)
        except Exception as error:
            raise self._damage(names, start, stop, error) from error

    def _damage(self, names: Sequence[str], start: int, stop: int, error: Exception) -> BadFile:
        for name in names:
            try:
                self._source.read([name], start, stop)
            except Exception as one:
                return BadFile(
                    "EVT010", f"rows {start} to {stop - 1} of {name} cannot be read ({_words(one, self.address)})", where=self.address
                )
        return BadFile("EVT010", f"rows {start} to {stop - 1} cannot be read ({_words(error, self.address)})", where=self.address)


@contextmanager
def opened(address: str, tree: str) -> Iterator[Tree]:
    """The tree of a file.

    Args:
        address: path, or address as ``root://…``.
        tree: name of the tree, or of the group in an HDF5 file; a Parquet file has but one.

    Raises:
        MissingError: there is no such file, or the package for the address is not installed.
        BadFile: it is no such file or is damaged (EVT010), or lacks the tree (EVT011).
    """
    kinds = {".parquet": _parquet, ".h5": _hdf5, ".hdf5": _hdf5}
    kind = kinds.get(Path(address).suffix.lower(), _root)
    with ExitStack() as stack:
        try:
            if not is_remote(address) and not Path(address).stat().st_size:
                raise BadFile("EVT010", "the file has no bytes", where=address)
            source = kind(stack, address, tree)
        except (LabwrightError, MemoryError):
            raise
        except FileNotFoundError:
            raise MissingError("there is no such file", where=address, todo="Correct source.groups, or put the file there.") from None
        except PermissionError:
            raise MissingError("the file cannot be read", where=address, todo="Ask its owner for permission.") from None
        except Exception as error:
            # What the libraries raise on bytes that are no file of theirs is open-ended: struct, zlib, index and key errors among others.
            what = _stranger(kind, address) or f"the file cannot be opened ({_words(error, address)})"
            raise BadFile("EVT010", what, where=address) from error
        yield Tree(source, address)


class _Root:
    def __init__(self, tree: Any, uuid: str) -> None:
        self._tree = tree
        self.entries, self.uuid = int(tree.num_entries), uuid
        self.names: tuple[str, ...] = tuple(tree.keys())

    def scalars(self) -> Sequence[str]:
        return [name for name, kind in self._tree.typenames().items() if kind in NUMBERS]

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        wanted = set(names)
        # A filter and not expressions: a name is looked up, never evaluated.
        arrays = self._tree.arrays(filter_name=lambda name: name in wanted, entry_start=start, entry_stop=stop, library="ak")
        return {name: arrays[name] for name in names}


def _root(stack: ExitStack, address: str, tree: str) -> Source:
    if is_remote(address):
        file_system(address)
    # As a key the address is taken whole; as a text it would be cut at a colon.
    file = stack.enter_context(uproot.open({address: None}, object_cache=None, array_cache=None, timeout=TIMEOUT_SECONDS))
    trees = file.classnames(cycle=False)
    if tree not in trees:
        if not trees:
            raise BadFile("EVT010", "the file holds nothing at all", where=address)
        raise _no_tree(tree, sorted(name for name, kind in trees.items() if "Tree" in kind or "RNTuple" in kind), address)
    return _Root(file[tree], str(file.file.uuid))


class _Parquet:
    def __init__(self, file: BinaryIO) -> None:
        self.uuid = ""
        self._file = parquet.ParquetFile(file)
        self.entries = int(self._file.metadata.num_rows)
        self.names: tuple[str, ...] = tuple(self._file.schema_arrow.names)

    def scalars(self) -> Sequence[str]:
        single = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
        return [one.name for one in self._file.schema_arrow if any(holds(one.type) for holds in single)]

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        metadata = self._file.metadata
        ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)], dtype=np.int64)
        first, last = np.searchsorted(ends, start, side="right"), np.searchsorted(ends, max(stop - 1, 0), side="right")
        before = int(ends[first - 1]) if first else 0
        groups = range(int(first), min(int(last) + 1, len(ends)))
        table = self._file.read_row_groups(groups, columns=list(names)).slice(start - before, stop - start)
        return {name: ak.from_arrow(table.column(name)) for name in names}


def _parquet(stack: ExitStack, address: str, tree: str) -> Source:
    return _Parquet(stack.enter_context(content(address)))


class _Hdf5:
    def __init__(self, group: Any) -> None:
        self._group, self.uuid = group, ""
        self.names: tuple[str, ...] = tuple(name for name, item in group.items() if getattr(item, "ndim", 0) >= 1)
        lengths = {name: len(group[name]) for name in self.names}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"its columns have unequal lengths: {lengths}")
        self.entries: int = next(iter(lengths.values()), 0)

    def scalars(self) -> Sequence[str]:
        return [name for name in self.names if self._group[name].ndim == 1 and self._group[name].dtype.kind in "biuf"]

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        return {name: ak.from_numpy(self._group[name][start:stop]) for name in names}


def _hdf5(stack: ExitStack, address: str, tree: str) -> Source:
    file = stack.enter_context(h5py.File(stack.enter_context(content(address)), "r"))
    if not isinstance(file.get(tree), h5py.Group):
        there: list[str] = []
        file.visititems(lambda name, item: there.append(name) if isinstance(item, h5py.Group) else None)
        raise _no_tree(tree, there, address)
    return _Hdf5(file[tree])


Open = Callable[[ExitStack, str, str], Source]
BEGINNINGS: dict[Open, tuple[str, bytes]] = {
    _root: ("ROOT", b"root"),
    _parquet: ("Parquet", b"PAR1"),
    _hdf5: ("HDF5", b"\x89HDF\r\n\x1a\n"),
}
"""The first bytes of each kind of file."""


def _stranger(kind: Open, address: str) -> str:
    """That a file here is no such file by its first bytes; nothing where it is one, or lies on a server."""
    if is_remote(address) or not Path(address).is_file():
        return ""
    name, beginning = BEGINNINGS[kind]
    with open(address, "rb") as file:
        first = file.read(16)
    return "" if first.startswith(beginning) else f"this is no {name} file: it begins with {repr(first)[1:]}"


def _no_tree(tree: str, there: Sequence[str], address: str) -> BadFile:
    return BadFile("EVT011", f"there is no {tree!r}; there is {', '.join(there) or 'none at all'}", where=address)


def _words(error: Exception, address: str) -> str:
    """A library's message on one line, not too long, with the name of the file and not its place."""
    words = " ".join(str(error).replace(address, Path(address).name).split()) or type(error).__name__
    return words if len(words) <= 160 else f"{words[:157]}…"

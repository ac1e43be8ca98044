"""Read a pack: its items as a table, its arrays as memory-mapped views of single items."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, SupportsIndex

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.data.layout import (
    CHECKSUM_BYTES,
    FORMAT,
    FORMAT_VERSION,
    INDEX_ENTRY,
    ITEMS,
    MANIFEST,
    METADATA,
    Layout,
    read_layout,
    shard_file,
)
from labwright.runs.errors import DataError, MissingError
from labwright.runs.publish import verify

AGAIN = "Run the pack step again."


class MappedArray:
    """One array of a pack; ``array[i]`` is item ``i``, read-only.

    Where the pack is uncompressed the view lies on the mapped file: nothing is read before it is touched,
    and a slice of it costs only the pages it spans. Otherwise Zarr decodes the item. Safe for several threads.
    """

    def __init__(self, folder: Path, name: str, layout: Layout) -> None:
        self.name = name
        self.shape = layout.shape
        self.dtype = layout.dtype
        self._folder = folder
        self._layout = layout
        # Two threads may map the same shard at once; both maps are good and one is dropped.
        self._blocks: dict[int, NDArray[Any] | None] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: SupportsIndex) -> NDArray[Any]:
        number = operator.index(index)
        if number < 0:
            number += self.shape[0]
        if not 0 <= number < self.shape[0]:
            raise IndexError(f"item {operator.index(index)} of an array with {self.shape[0]} items")
        shard, within = divmod(number, self._layout.shard_items)
        if shard not in self._blocks:
            self._blocks[shard] = self._map(shard) if self._layout.mappable else None
        block = self._blocks[shard]
        return self._decode(number) if block is None else block[within, ...]

    def __repr__(self) -> str:
        return f"MappedArray({self.name}: {self.dtype} {self.shape})"

    def _map(self, shard: int) -> NDArray[Any] | None:
        """The items of a shard as one view of its file; None where they do not lie one after the other in it."""
        path = self._folder / shard_file(self.name, shard, len(self.shape))
        content = map_file(path)
        offsets, lengths = read_index(content, self._layout.shard_items, path)
        count = min(self._layout.shard_items, self.shape[0] - shard * self._layout.shard_items)
        item_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        first = int(offsets[0])
        regular = first + item_bytes * np.arange(count, dtype=np.uint64)
        if not (np.array_equal(offsets[:count], regular) and (lengths[:count] == item_bytes).all()):
            return None
        if first + count * item_bytes > content.size:
            raise DataError("the index points past the end of the file", where=str(path), todo=AGAIN)
        return np.ndarray((count, *self.shape[1:]), self.dtype, buffer=content, offset=first)

    @cached_property
    def _zarr(self) -> Any:
        import zarr  # mapped packs, the normal ones, do without

        return zarr.open_array(self._folder / self.name, mode="r")

    def _decode(self, number: int) -> NDArray[Any]:
        try:
            item = np.asarray(self._zarr[number])
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(f"item {number} cannot be decoded ({error})", where=str(self._folder / self.name), todo=AGAIN) from error
        item.flags.writeable = False
        return item


class Pack:
    """An immutable data set made for training; opened by ``Pack.open``."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any], attributes: Mapping[str, Any], arrays: Mapping[str, MappedArray]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.attributes = attributes
        self.arrays = arrays

    @classmethod
    def open(cls, folder: Path) -> Pack:
        """Open the pack in ``folder``; the sizes of all its files are compared with its manifest.

        Raises:
            MissingError: there is no pack, or not a complete one.
            DataError: the files are not those of the manifest.
        """
        manifest = read_manifest(folder)
        problems = verify(folder, manifest["files"], checksums=False)
        if problems:
            raise DataError(f"the pack is damaged: {_first(problems)}", where=str(folder), todo=AGAIN)
        arrays: dict[str, MappedArray] = {}
        attributes: Mapping[str, Any] = {}
        for file in manifest["files"]:
            if PurePosixPath(file).name != METADATA:
                continue
            name = str(PurePosixPath(file).parent)
            node = _read_json(folder / file)
            if node.get("node_type") != "group":
                arrays[name] = _array(folder, name, node, manifest["files"])
            elif name == ".":
                attributes = node.get("attributes", {})
        return cls(folder, manifest, MappingProxyType(dict(attributes)), MappingProxyType(arrays))

    @cached_property
    def items(self) -> pa.Table:
        """A row for each item: identity, split, labels, statistics."""
        return parquet.read_table(self.folder / ITEMS)

    def verify(self, *, checksums: bool = False) -> list[str]:
        """What is wrong with the files, a sentence each; ``checksums`` reads them all."""
        return verify(self.folder, self.manifest["files"], checksums=checksums)

    def __reduce__(self) -> tuple[Any, ...]:
        # Maps cannot travel to another process; the folder can.
        return Pack.open, (self.folder,)

    def __repr__(self) -> str:
        megabytes = sum(entry["size"] for entry in self.manifest["files"].values()) / 1e6
        return f"Pack({self.folder}: {self.items.num_rows} items, {len(self.arrays)} arrays, {megabytes:.1f} MB)"


def map_file(path: Path) -> pa.Buffer:
    """The mapped bytes of a file. The descriptor is closed at once, so that open files do not bound the shards of a pack."""
    try:
        # Python's own mmap would keep a duplicate of the descriptor for as long as the map lives.
        with pa.memory_map(str(path)) as file:
            return file.read_buffer()
    except FileNotFoundError as error:
        raise DataError("the shard is missing", where=str(path), todo=AGAIN) from error


def read_index(content: pa.Buffer, shard_items: int, path: Path) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Offsets and lengths in bytes, uint64 (shard_items,), from the end of a shard; 2**64 - 1 where an item has no bytes."""
    size = shard_items * INDEX_ENTRY.itemsize
    start = content.size - size - CHECKSUM_BYTES
    if start < 0:
        raise DataError("the file is too short for its index", where=str(path), todo=AGAIN)
    stored = int.from_bytes(content[start + size :].to_pybytes(), "little")
    if google_crc32c.value(content[start : start + size].to_pybytes()) != stored:
        raise DataError("the index differs from its checksum", where=str(path), todo=AGAIN)
    index = np.frombuffer(content, INDEX_ENTRY, shard_items, start)
    return index["offset"], index["length"]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the pack in ``folder``, its names checked to lie below it; errors as ``Pack.open``."""
    path = folder / MANIFEST
    if not path.is_file():
        what = "the pack is not finished" if (folder / METADATA).exists() else "there is no pack"
        raise MissingError(what, where=str(folder), todo="Run the pack step, or name the folder that holds manifest.json.")
    manifest = _read_json(path)
    if manifest.get("format") != FORMAT:
        raise DataError("this is no Labwright pack", where=str(path), todo="Name the folder of a pack.")
    if manifest.get("format_version") != FORMAT_VERSION:
        version = manifest.get("format_version")
        raise DataError(f"pack format {version!r} is not known here", where=str(path), todo="Update Labwright, or pack again.")
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(_sound(name, entry) for name, entry in files.items()) or ITEMS not in files:
        raise DataError("the manifest is damaged", where=str(path), todo=AGAIN)
    return manifest


def _sound(name: str, entry: Any) -> bool:
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts != ()
    return inside and isinstance(entry, dict) and isinstance(entry.get("size"), int) and isinstance(entry.get("sha256"), str)


def _array(folder: Path, name: str, node: Mapping[str, Any], files: Mapping[str, Any]) -> MappedArray:
    try:
        layout = read_layout(node)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("the array's metadata cannot be read", where=str(folder / name / METADATA), todo=AGAIN) from error
    count = -(-layout.shape[0] // layout.shard_items)
    absent = [file for file in (shard_file(name, number, len(layout.shape)) for number in range(count)) if file not in files]
    if absent:
        raise DataError(f"the manifest lacks {_first(absent)}", where=str(folder / MANIFEST), todo=AGAIN)
    return MappedArray(folder, name, layout)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError("the file cannot be read as JSON", where=str(path), todo=AGAIN) from error
    if not isinstance(value, dict):
        raise DataError("the file holds no JSON object", where=str(path), todo=AGAIN)
    return value


def _first(problems: list[str]) -> str:
    return problems[0] if len(problems) == 1 else f"{problems[0]} and {len(problems) - 1} more"

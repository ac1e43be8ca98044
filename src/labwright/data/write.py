"""Write a pack: shards one by one in any order, then the metadata, the items and the manifest last.

A pack is a Zarr v3 group. In each array the first axis counts items; an inner chunk is one item and a
shard, a file, is ``shard_items`` of them. ``docs/reference/packs.md`` gives the format. A shard's bytes
are a pure function of its data, so that any engine and any number of workers make the same pack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from labwright.data.layout import FORMAT, FORMAT_VERSION, ITEMS, MANIFEST, shard_file
from labwright.runs.errors import DataError, FaultError
from labwright.runs.publish import manifest, publish, write_json

ZSTD_LEVEL = 3


@dataclass(frozen=True)
class ArraySpec:
    """One array of a pack.

    Args:
        name: path of the array in the group, ``images/01``; no part empty or beginning with ``.`` or ``__`` (Zarr keeps those).
        shape: items first, then the axes of one item; the item may have none (a label each).
        dtype: NumPy name of a bool, integer, float or complex type.
        shard_items: items in one file. Some 64 MB a file is a good size.
        compression: None, so that readers map the bytes, or ``zstd`` for slow disks and object stores.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    shard_items: int
    compression: Literal["zstd"] | None = None

    def __post_init__(self) -> None:
        if not all(part and not part.startswith((".", "__")) for part in self.name.split("/")):
            raise ValueError(f"{self.name!r} cannot name an array of a pack")
        if np.dtype(self.dtype).kind not in "biufc":
            raise ValueError(f"array {self.name}: {self.dtype} has no place in a pack")
        if not self.shape or min((*self.shape[1:], 1)) < 1 or self.shard_items < 1:
            raise ValueError(f"array {self.name}: shape {self.shape} with {self.shard_items} items a shard is not possible")


class Shard(NamedTuple):
    """Items ``start`` up to but without ``stop``, and the file within the pack that holds them."""

    start: int
    stop: int
    file: str


def shards(spec: ArraySpec) -> list[Shard]:
    """The shards of an array in order; the last may hold fewer items."""
    count, step = spec.shape[0], spec.shard_items
    starts = range(0, count, step)
    return [Shard(start, min(start + step, count), shard_file(spec.name, start // step, len(spec.shape))) for start in starts]


def write_shard(path: Path, spec: ArraySpec, start: int, data: NDArray[Any]) -> None:
    """Publish the shard that begins at item ``start`` as the file ``path``.

    Args:
        path: where the file shall be; in a finished pack ``folder / shard.file``.
        spec: the array.
        start: first item, a multiple of ``spec.shard_items``.
        data: the items of this shard, (stop - start, …) in exactly the array's dtype.
    """
    content = shard_bytes(spec, start, data)
    with publish(path, "shard") as temporary:
        temporary.write_bytes(content)


def shard_bytes(spec: ArraySpec, start: int, data: NDArray[Any]) -> bytes:
    """The bytes of one shard, the same for the same data always; arguments as ``write_shard``."""
    stop = min(start + spec.shard_items, spec.shape[0])
    if start % spec.shard_items or data.shape != (stop - start, *spec.shape[1:]) or data.dtype != np.dtype(spec.dtype):
        raise ValueError(f"array {spec.name}: {data.dtype} {data.shape} is not its shard at item {start}")
    store: dict[str, Buffer] = {}
    _declare(store, spec)[start:stop] = data
    return store[shard_file(spec.name, start // spec.shard_items, len(spec.shape))].to_bytes()


def finish_pack(folder: Path, specs: Sequence[ArraySpec], items: pa.Table, attributes: Mapping[str, Any]) -> None:
    """Make the shards in ``folder`` a pack: Zarr metadata, ``items.parquet`` and, last, ``manifest.json``.

    Args:
        folder: holds every shard of ``specs`` already.
        specs: the arrays.
        items: a row for each item, its ``identity`` unique; ``docs/reference/packs.md`` lists the other columns.
        attributes: JSON values for the group's attributes (pixel size, channel names, …).

    Raises:
        FaultError: a shard is missing.
        DataError: two items have the same identity.
    """
    files = [shard.file for spec in specs for shard in shards(spec)]
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        raise FaultError(
            f"{len(absent)} of {len(files)} shards are missing", where=str(folder / absent[0]), todo="Run the pack step again."
        )
    _check_identities(items)
    store: dict[str, Buffer] = {}
    zarr.create_group(store=MemoryStore(store), attributes=json.loads(json.dumps(attributes, sort_keys=True)))
    for spec in specs:
        _declare(store, spec)
    for name, content in store.items():
        with publish(folder / name, "pack") as temporary:
            temporary.write_bytes(content.to_bytes())
    with publish(folder / ITEMS, "pack") as temporary:
        # One chunk a column: page borders, and with them the bytes, must not tell how the table was put together.
        parquet.write_table(items.combine_chunks(), temporary, compression="zstd")
    wanted = {*files, *store, ITEMS}
    listed = {name: entry for name, entry in manifest(folder).items() if name in wanted}
    write_json(folder / MANIFEST, {"format": FORMAT, "format_version": FORMAT_VERSION, "files": listed}, "pack")


def content_digest(*arrays: NDArray[Any]) -> str:
    """What an item's column ``digest`` holds: SHA-256 in hex over type, shape and bytes of its arrays (raw image first)."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def _check_identities(items: pa.Table) -> None:
    if "identity" not in items.column_names:
        raise ValueError("the items of a pack need a column 'identity'")
    counts = items.column("identity").value_counts().to_pylist()
    twice = [entry["values"] for entry in counts if entry["counts"] > 1]
    if twice:
        raise DataError(f"{len(twice)} items appear more than once", where=str(twice[0]), todo="Give every item an identity of its own.")


def _declare(store: dict[str, Buffer], spec: ArraySpec) -> zarr.Array[Any]:
    """Put the array's metadata into ``store`` and give the array."""
    item = spec.shape[1:]
    return zarr.create_array(
        store=MemoryStore(store),
        name=spec.name,
        shape=spec.shape,
        chunks=(1, *item),
        shards=(spec.shard_items, *item),
        dtype=np.dtype(spec.dtype).newbyteorder("<"),
        compressors=ZstdCodec(level=ZSTD_LEVEL) if spec.compression else None,
        filters=None,
        fill_value=0,
        # Otherwise an all-zero item has no bytes, and nothing can be mapped.
        config={"write_empty_chunks": True},
    )

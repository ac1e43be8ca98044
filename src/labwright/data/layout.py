"""Where things lie in a pack: file names, and what of an array's Zarr metadata allows mapping its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

FORMAT = "labwright-pack"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ITEMS = "items.parquet"
METADATA = "zarr.json"
INDEX_ENTRY = np.dtype([("offset", "<u8"), ("length", "<u8")])
CHECKSUM_BYTES = 4
"""After the entries of a shard's index: their CRC32C, little endian."""


class Layout(NamedTuple):
    """What readers need of an array: ``shape`` counts items first, ``mappable`` says that a chunk is one item's plain bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    shard_items: int
    mappable: bool


def shard_file(name: str, number: int, rank: int) -> str:
    """The file of shard ``number`` of the array ``name`` with ``rank`` axes, within the pack."""
    return "/".join([name, "c", str(number), *["0"] * (rank - 1)])


def read_layout(metadata: Mapping[str, Any]) -> Layout:
    """The layout that an array's ``zarr.json`` describes.

    Raises:
        KeyError, TypeError, ValueError: this is no Zarr v3 array with items along its first axis.
    """
    shape = tuple(int(length) for length in metadata["shape"])
    dtype = np.dtype(metadata["data_type"])
    outer = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    if metadata["zarr_format"] != 3 or not shape or outer[1:] != shape[1:] or dtype.kind not in "biufc":
        raise ValueError("not an array of items")
    codecs = metadata["codecs"]
    sharding = codecs[0]["configuration"] if [codec["name"] for codec in codecs] == ["sharding_indexed"] else {}
    mappable = (
        metadata["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
        and tuple(sharding.get("chunk_shape", ())) == (1, *shape[1:])
        and [codec["name"] for codec in sharding["codecs"]] == ["bytes"]
        and sharding["codecs"][0].get("configuration", {}).get("endian", "little") == "little"
        and [codec["name"] for codec in sharding["index_codecs"]] == ["bytes", "crc32c"]
        and sharding.get("index_location", "end") == "end"
    )
    return Layout(shape, dtype.newbyteorder("<"), int(outer[0]), mappable)

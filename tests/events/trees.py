"""Small trees of events for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.events.source import Chunk, Listing, chunks, listing, read
from labwright.events.source_options import SourceOptions
from labwright.events.table import WHOLE, EventTable
from labwright.testing.trees import Columns


def flat_jets(four: NDArray[np.float64]) -> Columns:
    """Columns of a flat tree with exactly these jets: (N, K, 4) pt, eta, phi, mass."""
    return {f"jet_{name}": ak.from_numpy(four[..., place]) for place, name in enumerate(("pt", "eta", "phi", "mass"))}


def write_parquet(path: Path, columns: Mapping[str, Any], rows: int = 7) -> Path:
    """Row groups of ``rows`` events."""
    arrays = {name: ak.to_arrow(ak.Array(values), extensionarray=False) for name, values in columns.items()}
    parquet.write_table(pa.table(arrays), path, row_group_size=rows)
    return path


def source(folder: Path, *files: str, tags: str = "label:data,year:UL18", **options: Any) -> SourceOptions:
    return SourceOptions.model_validate({"path": folder, "groups": [{"tags": tags, "files": files}], **options})


def read_all(options: SourceOptions, rows: int = 10) -> EventTable:
    """Every event, read in pieces."""
    listed = listing(options)
    return concatenated([read(listed, chunk, options) for chunk in chunks(listed, rows)])


def listed_chunks(options: SourceOptions, rows: int = 10) -> tuple[Listing, list[Chunk]]:
    listed = listing(options)
    return listed, chunks(listed, rows)


def concatenated(tables: Sequence[EventTable]) -> EventTable:
    """All events in order, with the columns that all tables have."""
    first = tables[0]
    names = [name for name in first.extra if all(name in one.extra for one in tables)]
    arrays = [one.name for one in fields(first) if one.name not in WHOLE]
    return EventTable(
        **{name: np.concatenate([getattr(one, name) for one in tables]) for name in arrays},
        extra={name: np.concatenate([one.extra[name] for one in tables]) for name in names},
        files=max((one.files for one in tables), key=len),
        dropped_jets=sum(one.dropped_jets for one in tables),
        findings=tuple(found for one in tables for found in one.findings),
    )

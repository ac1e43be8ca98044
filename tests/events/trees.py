"""Small trees of events for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import uproot
from numpy.typing import NDArray

from labwright.events.source import Chunk, Listing, chunks, listing, read
from labwright.events.source_options import SourceOptions
from labwright.events.table import EventTable, concatenated

Columns = dict[str, Any]


def events(count: int = 24, jets: tuple[int, int] = (4, 7), seed: int = 0) -> Columns:
    """Columns of a flat tree: ``count`` events with so many jets (from, to), all of them well above 40 GeV and inside 2.4."""
    random = np.random.default_rng(seed)
    lengths = random.integers(jets[0], jets[1] + 1, count)
    total = int(lengths.sum())
    parts = {
        "pt": 45 + random.exponential(60, total),
        "eta": random.uniform(-2.3, 2.3, total),
        "phi": random.uniform(-np.pi, np.pi, total),
        "mass": random.uniform(1, 15, total),
    }
    columns: Columns = {f"jet_{name}": ak.unflatten(values.astype(np.float32), lengths) for name, values in parts.items()}
    columns |= {
        "run": np.full(count, 7, np.uint32),
        "luminosityBlock": np.ones(count, np.uint32),
        "event": np.arange(count, dtype=np.uint64) + np.uint64(1000 * seed),
        "weight": np.linspace(0.5, 1.5, count).astype(np.float32),
    }
    return columns


def flat_jets(four: NDArray[np.float64]) -> Columns:
    """Columns of a flat tree with exactly these jets: (N, K, 4) pt, eta, phi, mass."""
    return {f"jet_{name}": ak.from_numpy(four[..., place]) for place, name in enumerate(("pt", "eta", "phi", "mass"))}


def write_root(path: Path, columns: Mapping[str, Any], tree: str = "Events") -> Path:
    """Each column a branch of its own, so that their lengths may disagree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        types = {name: getattr(values, "type", None) or np.asarray(values).dtype for name, values in columns.items()}
        file.mktree(tree, types, counter_name=lambda name: f"n_{name}")
        if len(next(iter(columns.values()))):
            file[tree].extend(dict(columns))
    return path


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

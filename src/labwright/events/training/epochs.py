"""What a training leaves of each validation: loss, area and ROC of each member, on events that it trains on and on those it does not,
beside what it was trained with at that time. ``output/epochs.parquet`` of train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.events.metrics.auc import auc
from labwright.events.metrics.curves import roc, tpr_at

EPOCHS = "epochs.parquet"
FPR = np.unique(np.concatenate(([0.0], np.geomspace(1e-4, 0.1, 31), np.linspace(0.1, 1.0, 91))))
"""Where the curve of each validation is kept, so that all of them have the same places: (121,)."""
FIGURES = ("loss", "auc", "tpr")
SETS = {"validation": "", "training": "train_"}
"""Which events were judged, and what stands before the names of their figures in a validation."""
PACE = ("epoch", "learning_rate", "batch_size", "ghosts")
"""What a member was trained with up to a validation."""


def judged(score: NDArray[np.float64], positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> tuple[float, list[float]]:
    """The area, and the share of positives at each of ``FPR``; NaN where a side has no weight. All (N,)."""
    curve = roc(score, positive, weight)
    return auc(score, positive, weight), (np.full(len(FPR), np.nan) if curve is None else tpr_at(curve, FPR)).tolist()


def write_epochs(path: Path, members: Mapping[str, Sequence[tuple[int, Mapping[str, Any]]]]) -> None:
    """A row for each member, validation and set.

    Args:
        path: the file.
        members: of each the validations: step, and ``FIGURES`` of each of ``SETS`` and ``PACE`` by name.
    """
    rows = [
        {
            "member": member,
            "step": step,
            "events": events,
            **{name: figures[name] for name in PACE},
            **{name: figures[prefix + name] for name in FIGURES},
            "fpr": FPR.tolist(),
        }
        for member, validations in members.items()
        for step, figures in validations
        for events, prefix in SETS.items()
    ]
    kinds: dict[str, pa.DataType] = {"member": pa.string(), "step": pa.int64(), "events": pa.string()}
    kinds |= {name: pa.float64() for name in (*PACE, "loss", "auc")}
    schema = pa.schema([*kinds.items(), *((name, pa.list_(pa.float32())) for name in ("tpr", "fpr"))])
    parquet.write_table(pa.Table.from_pylist(rows, schema), path, compression="zstd")


def read_epochs(path: Path) -> list[dict[str, Any]]:
    """The rows of :func:`write_epochs`."""
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows

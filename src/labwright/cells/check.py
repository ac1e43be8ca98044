"""The check step: stop bad data before training.

What pack found while it read counts here too; then the splits are looked at as a whole: leaks between them, what
they lack, masks that do not look like masks of cells.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from labwright.cells.pack import NEED_LABELS, PACK
from labwright.cells.recipe import CheckOptions
from labwright.data.checked import report, take_over
from labwright.data.packs import Pack
from labwright.data.splits import coverage, leaks
from labwright.study.step import Figures, Job, Part


def parts(job: Job[CheckOptions]) -> list[Part]:
    return [Part("pack")]


def work(job: Job[CheckOptions], part: Part) -> Figures:
    """Record the findings of the pack and of its splits."""
    source = job.inputs["pack"]
    take_over(job, source)
    pack = Pack.open(source.output(PACK))
    items = with_marks(pack.items)
    selectors = source.options["split"]
    with job.stage("check"):
        for found in [*coverage(items, selectors, NEED_LABELS), *leaks(items, job.options.min_gap_frames)]:
            job.finding(found.code, found.place, found.text, found.severity)
        specks = _specks(pack, job.options.min_cell_px)
    return {"items": items.num_rows, "specks": specks}


def finish(job: Job[CheckOptions]) -> Figures:
    return report(job, "pack")


def with_marks(items: pa.Table) -> pa.Table:
    """The items with the columns that split checks read: ``labelled`` and ``constant``; those set aside left out."""
    items = items.filter(compute.is_null(items.column("aside")))
    constant = compute.equal(items.column("minimum"), items.column("maximum"))
    return items.append_column("labelled", compute.is_valid(items.column("n_instances"))).append_column("constant", constant)


def _specks(pack: Pack, min_cell_px: int) -> int:
    """How many labels are smaller than a cell can be: dirt left by a brush or by a resampled mask."""
    count = 0
    for row in pack.items.to_pylist():
        if row["n_instances"]:
            areas = np.unique(pack.arrays[f"labels/{row['array']}"][row["index"]], return_counts=True)
            count += int(((areas[1] < min_cell_px) & (areas[0] > 0)).sum())
    return count

"""What predict tells: counts, mean scores by class, joules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.events.packing.classes import NONE
from labwright.events.scoring.scores import COUNT
from labwright.events.table import BITS
from labwright.events.training.losses import BLIND
from labwright.runs import sections
from labwright.study.step import Figures

ENOUGH_MODELS = 2
"""So many give a spread."""


def shown(objective: str, classes: Sequence[str]) -> list[str]:
    """The columns of which means are given."""
    wanted = [*(f"p_{name}" for name in classes), "FvT" if objective == "fvt" else "p_sig"]
    return list(dict.fromkeys(wanted))


def blinded(objective: str, classes: Sequence[str], label: NDArray[np.uint8], flags: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Which events no figure may show: for ``fvt`` four-tag data of the signal region.

    They are of class ``d4``, or of no class where the study keeps them out of all; there anything that is not three-tag may be such.

    Args:
        objective: of the training.
        classes: names in the order of the labels.
        label, flags: (n,).

    Returns:
        bool (n,).
    """
    if objective != "fvt":
        return np.zeros(len(label), bool)
    signal_region, three_tag = ((flags & BITS[name]) != 0 for name in ("SR", "three_tag"))
    hidden: NDArray[np.bool_] = signal_region & ((label == classes.index(BLIND)) | ((label == NONE) & ~three_tag))
    return hidden


def sums(
    found: Mapping[str, NDArray[Any]], label: NDArray[np.uint8], names: Sequence[str], hidden: NDArray[np.bool_]
) -> dict[str, dict[str, Any]]:
    """By label: events, those scored and those scored by several models; sums of the columns and of their spreads over these.

    Args:
        found: columns of ``scores.parquet``, (n,).
        label: (n,).
        names: the columns.
        hidden: events that count nowhere, (n,).
    """
    told = {}
    for number in np.unique(label[~hidden]).tolist():
        own = (label == number) & ~hidden
        once, often = (own & (found[COUNT] >= least) for least in (1, ENOUGH_MODELS))
        told[str(number)] = {
            "events": int(np.count_nonzero(own)),
            "scored": int(once.sum()),
            "spread": int(often.sum()),
            "sums": [float(found[name][once].sum(dtype=np.float64)) for name in names],
            "sums_std": [float(found[f"{name}_std"][often].sum(dtype=np.float64)) for name in names],
        }
    return told


def report(
    content: Mapping[str, Any], results: Sequence[Mapping[str, Any]], energy: Sequence[Mapping[str, Any]]
) -> tuple[Figures, list[sections.Section]]:
    """Figures and report sections.

    Args:
        content: ``scores.json``.
        results: figures of the parts, in order.
        energy: as ``Run.energy``.
    """
    rows = _by_class(content, results)
    used = [row for row in energy if row["joules"]]
    joules = sum(row["joules"] for row in used)
    events = content["events"]
    figures = {
        "events": events,
        "scored": sum(one["scored"] for one in results),
        "models": len(content["members"]),
        "rows": sum(file["rows"] for file in content["files"]),
        "rows_without_score": sum(file["rows"] - file["scored"] for file in content["files"]),
        "device": results[0]["device"],
        "joules": joules if used else None,
        "joules_per_event": joules / events if used else None,
    }
    method = " and ".join(sorted({row["method"] for row in used}))
    items = [sections.figure(name.replace("_", " "), value, method=method if "joules" in name else "") for name, value in figures.items()]
    names = shown(content["objective"], content["classes"])
    note = (
        "Means over events, each of weight 1; the spread is the mean of the sample deviation over the models of an event. Rows without a "
        "score are events that are not in the pack, as those with fewer than four selected jets: they hold NaN."
    )
    if content["objective"] == "fvt":
        note += " Four-tag data of the signal region are blinded: they are left out here."
    made = [
        sections.figures("Prediction", items, note=f"Friend {content['name']}; every score is by models that never saw the event."),
        sections.table(
            "Mean scores by class",
            ["class", "events", "scored", *(column for name in names for column in (name, f"spread of {name}"))],
            [[name, row["events"], row["scored"], *_means(row)] for name, row in rows.items()],
            note,
        ),
        sections.table(
            "Friends", ["file", "rows", "with a score"], [[file["file"], file["rows"], file["scored"]] for file in content["files"]]
        ),
    ]
    return figures, made


def _by_class(content: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sums of all parts, by the name of the class."""
    names = {str(number): name for number, name in enumerate(content["classes"])} | {str(NONE): "none"}
    found = {}
    for label, name in names.items():
        own = [one["classes"][label] for one in results if label in one["classes"]]
        if own:
            counts = {key: sum(one[key] for one in own) for key in ("events", "scored", "spread")}
            totals = {key: np.sum([one[key] for one in own], axis=0).tolist() for key in ("sums", "sums_std")}
            found[name] = counts | totals
    return found


def _means(row: Mapping[str, Any]) -> list[float | None]:
    """Mean and mean spread of each column; None where nothing has one."""
    return [
        total / row[count] if row[count] else None
        for pair in zip(row["sums"], row["sums_std"], strict=True)
        for total, count in zip(pair, ("scored", "spread"), strict=True)
    ]

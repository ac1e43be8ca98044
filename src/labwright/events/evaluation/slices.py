"""Areas by slices of the events: by year, region, class, tag, or ranges of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.events.evaluation.contests import Contest, plain, play
from labwright.events.evaluation.scored import Scored
from labwright.events.packing.bind import EVENTS
from labwright.events.recipe import EvaluateOptions
from labwright.runs.errors import StudyError
from labwright.study.messages import listed, nearest

Mask = NDArray[np.bool_]
MOST_VALUES = 12
"""A column with more is cut into quarters."""
REGIONS = ("SR", "SB", "CR", "HHSR", "ZHSR", "ZZSR")


def slices(scored: Scored, by: str) -> Iterator[tuple[str, Mask]]:
    """Name and events, bool (N,), of each slice; slices of regions overlap, as regions do, and empty ones are left out.

    Raises:
        StudyError: there is nothing of that name.
    """
    packed = scored.packed
    if by == "region":
        for region in REGIONS:
            inside = packed.has(region).numpy()
            if inside.any():
                yield region, inside
        yield "no region", ~np.logical_or.reduce([packed.has(region).numpy() for region in REGIONS])
        return
    columns = parquet.read_schema(packed.folder / "output" / EVENTS).names
    tags = _tags(packed.files)
    if by in columns:
        yield from _values(by, packed.column(by), scored.shown)
    elif by in tags:
        file = packed.column("file")
        for value, files in tags[by].items():
            yield f"{by} {value}", np.isin(file, files)
    elif by != "year":
        # Every study is asked for years, though some have none.
        there = ["region", "class", *tags, *columns]
        near = nearest(by, there)
        todo = f"Did you mean {near!r}?" if near else f"There are {listed(there, 60)}."
        raise StudyError(f"the pack has no column and no tag {by!r}", where="evaluate.slices", todo=todo)


def _tags(files: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[int]]]:
    """Key of a tag → value → files that have it."""
    found: dict[str, dict[str, list[int]]] = {}
    for number, file in enumerate(files):
        for tag in file["tags"]:
            key, _, value = tag.partition(":")
            found.setdefault(key, {}).setdefault(value, []).append(number)
    return found


def _values(name: str, values: NDArray[Any], shown: Mask) -> Iterator[tuple[str, Mask]]:
    known = shown & ~np.isnan(values) if values.dtype.kind == "f" else shown
    there = np.unique(values[known])
    if len(there) <= MOST_VALUES:
        for value in there.tolist():
            yield f"{name} {value:g}", known & (values == value)
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, 5)))
        for number, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            inside = (values >= low) & ((values <= high) if number == len(edges) - 2 else (values < high))
            yield f"{name} {low:.4g} to {high:.4g}", known & inside
    if not known[shown].all():
        yield f"{name} unknown", shown & ~known


def table(scored: Scored, contests: Sequence[Contest], options: EvaluateOptions, seed: int) -> list[dict[str, Any]]:
    """A row for each slice: its name, events and sums of weights on both sides, and the area with its interval.

    ``class`` gives each class against the other side of the first contest, or against all others where it is on none.

    Args:
        scored: events and scores.
        contests: the first is played in each slice.
        options: of evaluate.
        seed: of the bootstrap.
    """
    rows = []
    main = contests[0]
    for by in options.slices:
        if by == "class":
            chosen: list[tuple[str, Contest, Mask | None]] = [
                (f"class {name}", _against(name, main, scored.classes), None) for name in scored.classes
            ]
        else:
            chosen = [(name, main, inside) for name, inside in slices(scored, by)]
        rows += [_row(name, scored, contest, options, seed, inside) for name, contest, inside in chosen]
    return [row for row in rows if row["positives"] or row["negatives"] or row["left_out"]]


def _against(name: str, main: Contest, classes: Sequence[str]) -> Contest:
    """The class as one side, what it has to be told from as the other."""
    if name in main.positive:
        return Contest(name, (name,), main.negative)
    if name in main.negative:
        return Contest(name, main.positive, (name,))
    return Contest(name, (name,), tuple(one for one in classes if one != name))


def _row(name: str, scored: Scored, contest: Contest, options: EvaluateOptions, seed: int, inside: Mask | None) -> dict[str, Any]:
    among = np.ones(len(scored.label), bool) if inside is None else inside
    sides = [scored.of_class(side) & among for side in (contest.positive, contest.negative)]
    used = [side & scored.compared for side in sides]
    counts = [int(np.count_nonzero(side)) for side in used]
    row: dict[str, Any] = {
        "slice": name,
        "contest": f"{'+'.join(contest.positive)} vs {'+'.join(contest.negative)}",
        "positives": counts[0],
        "negatives": counts[1],
        "sum_positive": float(scored.weight[used[0]].sum()),
        "sum_negative": float(scored.weight[used[1]].sum()),
        "left_out": sum(int(np.count_nonzero(side & scored.shown)) for side in sides) - sum(counts),
    }
    none = {"auc": None, "auc_low": None, "auc_high": None}
    if row["left_out"] and not any(counts):
        return {**row, **none, "note": "not compared: four-tag data are not looked at here"}
    if min(counts) < options.least_events:
        return {**row, **none, "note": f"too few events: fewer than {options.least_events} on a side"}
    area = play(scored, contest, options, seed, among).auc
    note = "" if area.value == area.value else "the weights of a side add up to nothing or less"
    found: dict[str, Any] = plain({**row, "auc": area.value, "auc_low": area.low, "auc_high": area.high, "note": note})
    return found

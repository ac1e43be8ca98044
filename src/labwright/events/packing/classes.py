"""Which class an event is of, and how much it weighs.

A class takes the events of files with its tags that fulfil its conditions. The weight is a product of columns; a prescale
thins a class out by a hash of the event and multiplies what is left, and ``norm`` scales the sum over a class, which needs all events
and so comes after all are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.data.findings import Finding
from labwright.events.findings import BadFile, finding
from labwright.events.flags import condition
from labwright.events.identity import Identity, draw
from labwright.events.pack_options import ClassOptions
from labwright.events.source import applies, tags_of
from labwright.events.table import EventTable
from labwright.study.messages import listed, nearest

NONE = 255
"""Label of an event of no class."""
KEPT, UNCLAIMED, AMBIGUOUS, UNWEIGHED, HEAVY, PRESCALED = range(6)
"""What became of an event: it is of a class; no class wants it, or several do; its weight is no number, or too great; or the prescale
took it."""
LEAST_SHARE = 1e-9
"""A sum of weights that is less than this of the sum of their absolute values counts as nothing."""
Classes = Mapping[str, ClassOptions]
Tags = Sequence[frozenset[str]]
"""Of each file."""


class Assigned(NamedTuple):
    """N events."""

    label: NDArray[np.uint8]
    """(N,) the class that wants the event, by its place; the first of several; ``NONE`` for none."""
    fate: NDArray[np.uint8]
    """(N,) ``KEPT`` where the event is of the class, or why it is not."""
    weight: NDArray[np.float64]
    """(N,) before any norm; 0 for all that are not kept."""
    clashes: Mapping[tuple[str, str], int]
    """Events that two classes want."""


def assigned(table: EventTable, tags: Tags, classes: Classes) -> Assigned:
    """The class of each event.

    Raises:
        BadFile: a column of the weight is absent (EVT012).
    """
    count = len(table)
    label, fate, weight = np.full(count, NONE, np.uint8), np.full(count, UNCLAIMED, np.uint8), np.zeros(count)
    clashes: dict[tuple[str, str], int] = {}
    identity = Identity(table.run, table.lumi, table.event)
    for number, (name, options) in enumerate(classes.items()):
        rows = np.flatnonzero(_wanted(table, tags, options))
        taken = label[rows] != NONE
        for other, clashing in zip(*np.unique(label[rows[taken]], return_counts=True), strict=True):
            clashes[list(classes)[other], name] = int(clashing)
        fate[rows[taken]] = AMBIGUOUS
        rows = rows[~taken]
        label[rows], fate[rows] = number, KEPT
        if len(rows):
            weight[rows] = _product(table, rows, name, options)
        finite = np.isfinite(weight[rows])
        fate[rows[~finite]] = UNWEIGHED
        rows = rows[finite]
        if options.max_weight is not None:
            heavy = np.abs(weight[rows]) > options.max_weight
            fate[rows[heavy]] = HEAVY
            rows = rows[~heavy]
        if options.prescale > 1:
            fate[rows[draw(identity.of(rows), "prescale") % options.prescale != 0]] = PRESCALED
            weight[rows] *= options.prescale
    weight[fate != KEPT] = 0.0
    return Assigned(label, fate, weight, clashes)


@dataclass(frozen=True)
class ClassFigures:
    """What is in a class, for reports and checks."""

    name: str
    events: int
    negative: int
    """Events of negative weight."""
    raw_sum: float
    """Sum of weights before the norm."""
    raw_absolute: float
    """Sum of their absolute values."""
    negative_share: float
    """Of that, the share of negative weights."""
    sum: float
    """Sum of weights after the norm."""
    effective: float
    """(Σw)² / Σw², events of equal weight that would be as precise."""
    heavy: int
    prescaled: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def normalised(
    label: NDArray[np.uint8], fate: NDArray[np.uint8], file: NDArray[np.uint16], weight: NDArray[np.float64], tags: Tags, classes: Classes
) -> tuple[NDArray[np.float64], list[Finding]]:
    """The weights after the norm, float64 (N,), and what is wrong with the sums (EVT033, EVT034).

    Args:
        label, fate, weight: as ``assigned`` gives them, of all events.
        file: index of each event's file.
        tags: of each file.
        classes: the classes.
    """
    together, of = _groups(tags, classes)
    kept = np.flatnonzero(fate == KEPT)
    group = of[label[kept], file[kept]]
    sums = np.bincount(group, weight[kept], minlength=len(together))
    absolute = np.bincount(group, np.abs(weight[kept]), minlength=len(together))
    found = [
        finding("EVT033", name, nothing(name, classes[name], tags))
        for number, name in enumerate(classes)
        if not (label[kept] == number).any()
    ]
    factors = np.ones(len(together))
    for place, (name, value) in enumerate(together):
        if not np.any(group == place):
            continue
        if sums[place] <= LEAST_SHARE * absolute[place]:
            where = f"{name}, {classes[name].norm_per}:{value}" if value else name
            found.append(
                finding("EVT034", where, f"the weights add up to {sums[place]:.6g}, their absolute values to {absolute[place]:.6g}")
            )
        elif (norm := classes[name].norm) is not None:
            factors[place] = norm / sums[place]
    scaled = np.zeros(len(weight))
    scaled[kept] = weight[kept] * factors[group]
    return scaled, found


def figures(
    label: NDArray[np.uint8], fate: NDArray[np.uint8], raw: NDArray[np.float64], weight: NDArray[np.float64], classes: Classes
) -> list[ClassFigures]:
    """The figures of each class; arrays as in ``normalised``, ``raw`` before the norm and ``weight`` after."""
    found = []
    for number, name in enumerate(classes):
        mine = label == number
        kept = mine & (fate == KEPT)
        before, after = raw[kept], weight[kept]
        absolute, negative = float(np.abs(before).sum()), before < 0
        squares = float((after**2).sum())
        found.append(
            ClassFigures(
                name=name,
                events=len(before),
                negative=int(np.count_nonzero(negative)),
                raw_sum=float(before.sum()),
                raw_absolute=absolute,
                negative_share=float(np.abs(before[negative]).sum() / absolute) if absolute else 0.0,
                sum=float(after.sum()),
                effective=float(after.sum() ** 2 / squares) if squares else 0.0,
                heavy=int(np.count_nonzero(mine & (fate == HEAVY))),
                prescaled=int(np.count_nonzero(mine & (fate == PRESCALED))),
            )
        )
    return found


def _wanted(table: EventTable, tags: Tags, options: ClassOptions) -> NDArray[np.bool_]:
    """Which events have the tags and fulfil the conditions of a class."""
    wanted: NDArray[np.bool_] = np.array([applies(options.tags, own) for own in tags], bool)[table.file]
    for text in options.where:
        wanted = wanted & np.logical_or.reduce([table.has(flag) == value for flag, value in condition(text)])
    return wanted


def _product(table: EventTable, rows: NDArray[np.int64], name: str, options: ClassOptions) -> NDArray[np.float64]:
    weight = np.ones(len(rows))
    for column in options.weight:
        if column != "weight" and column not in table.extra:
            near = nearest(column, ["weight", *table.extra])
            text = f"there is no column {column!r} for the weight of class {name}"
            raise BadFile("EVT012", f"{text}; did you mean {near!r}" if near else text, where=table.files[table.file[rows[0]]])
        weight = weight * table.column(column)[rows]
    return weight


def _groups(tags: Tags, classes: Classes) -> tuple[list[tuple[str, str]], NDArray[np.int64]]:
    """What is scaled together: (class that has the norm, value of its ``norm_per`` tag); and by class and file which of them counts."""
    together: dict[tuple[str, str], int] = {}
    of = np.zeros((len(classes), len(tags)), np.int64)
    for number, (name, options) in enumerate(classes.items()):
        leader = options.norm_with or name
        per = classes[leader].norm_per
        for file, own in enumerate(tags):
            value = next((tag.removeprefix(f"{per}:") for tag in sorted(own) if per and tag.startswith(f"{per}:")), "")
            of[number, file] = together.setdefault((leader, value), len(together))
    return list(together), of


def nothing(name: str, options: ClassOptions, tags: Tags) -> str:
    """Why a class has no events."""
    files = sum(applies(options.tags, own) for own in tags)
    if files:
        where = f" that fulfils {listed(options.where)}" if options.where else ""
        return f"{files} {'file has' if files == 1 else 'files have'} its tags {options.tags!r}, but no event is left{where}"
    there = sorted(set().union(*tags))
    near = [nearest(tag, there) for tag in sorted(tags_of(options.tags) - set(there))]
    guess = f"; did you mean {listed(one for one in near if one)}" if any(near) else ""
    return f"no file has all of its tags {options.tags!r}{guess}; the tags are {listed(there) or 'none'}"

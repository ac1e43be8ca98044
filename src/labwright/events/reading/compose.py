"""Columns of a file → an ``EventTable``: lists padded to arrays, bad events set aside, four jets chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from labwright.data.findings import Finding
from labwright.events.findings import BadFile, finding
from labwright.events.physics.four_vectors import Real, mass_from_energy
from labwright.events.physics.jcm import pseudo_tag_weight
from labwright.events.physics.jets import CANDIDATES, Jets, Mask, Selection, candidates, others, select
from labwright.events.physics.top import top_variables
from labwright.events.reading.files import Columns
from labwright.events.reading.layouts import LAYOUTS, Found
from labwright.events.source_options import CombinatoricOptions, SourceOptions
from labwright.events.table import BITS, EventTable

LEAST_MASS_GEV = -1.0
"""Packing into few bits leaves jets of slightly negative mass; they count as massless."""
MOST_ABS_ETA = 20.0
IDENTITY = {"run": np.uint32, "lumi": np.uint32, "event": np.uint64}


@dataclass(frozen=True)
class Place:
    """Where columns come from: the file, its index among ``files``, their first row, and the year of its tags."""

    file: int
    files: tuple[str, ...]
    start: int
    year: int | None

    @property
    def name(self) -> str:
        return self.files[self.file]


def composed(columns: Columns, found: Found, place: Place, options: SourceOptions) -> EventTable:
    """The four-jet events among these rows; ``findings`` tells of the others.

    Raises:
        BadFile: a column is not what it should be (EVT013).
    """
    scalars = {ours: numbers(columns[theirs], theirs, place.name) for ours, theirs in {**found.further, **found.events}.items()}
    rows = len(next(iter(columns.values())))
    weight = scalars.get("weight", np.ones(rows)).astype(np.float64)
    if found.others:
        jets, selection, unequal = _prepared(columns, found, place)
    else:
        jets, unequal = _jets(columns, found.jets, place)
        layout, cuts = LAYOUTS[options.kind], options.jets
        selection = select(
            jets,
            layout.min_pt_gev if cuts.min_pt_gev is None else cuts.min_pt_gev,
            layout.max_abs_eta if cuts.max_abs_eta is None else cuts.max_abs_eta,
            cuts.b_threshold,
        )
    # What a row without four jets holds beside them is of no use to anyone.
    bad = {"EVT014": unequal, "EVT016": _impossible(jets) & ~unequal, "EVT017": ~np.isfinite(weight) & selection.enough}
    aside: Mask = np.logical_or.reduce(list(bad.values()))
    bad["EVT018"] = ~selection.enough & ~aside
    kept = np.flatnonzero(selection.enough & ~aside)

    jets = jets.take(kept)
    jets = jets._replace(mass=np.maximum(jets.mass, 0.0))
    selection = Selection._make(array[kept] for array in selection)
    scalars = {name: values[kept] for name, values in scalars.items()}
    four = candidates(jets, selection)
    rest, dropped = others(jets, selection, options.jets.max_others, options.jets.min_other_pt_gev)
    flags = _flags(scalars, selection, with_tags=jets.tag is not None)
    identity = {name: scalars[name].astype(kind) for name, kind in IDENTITY.items() if name in scalars}
    if "event" not in identity:
        identity = {"event": _hashed(four)}
    extra = {name: scalars[name].astype(np.float64) for name in found.further}
    extra.setdefault("year", np.full(len(kept), float(place.year or 0)))
    extra.setdefault("n_selected", selection.n_selected.astype(np.float64))
    extra |= {"n_tagged": selection.n_tagged.astype(np.float64), "n_dropped": dropped.astype(np.float64)}
    if not {"xW", "xbW"} <= set(extra):
        extra["xW"], extra["xbW"] = top_variables(jets, selection)
    if options.combinatoric_model is not None:
        extra["pseudo_tag_weight"] = _pseudo_tag_weight(options.combinatoric_model, extra["n_selected"], flags)
    return EventTable(
        can_jets=four,
        other_jets=rest,
        run=identity.get("run", np.zeros(len(kept), np.uint32)),
        lumi=identity.get("lumi", np.zeros(len(kept), np.uint32)),
        event=identity["event"],
        weight=weight[kept],
        flags=flags,
        file=np.full(len(kept), place.file, np.uint16),
        row=place.start + kept,
        extra=extra,
        files=place.files,
        dropped_jets=int(dropped.sum()),
        findings=(*_told(bad, place), *_remarks(found, place, dropped)),
    )


def _jets(columns: Columns, names: Mapping[str, str], place: Place) -> tuple[Jets, Mask]:
    """All jets, and in which events their columns disagree in length."""
    arrays, there, unequal = _padded(columns, names, place)
    if "mask" in arrays:
        there = there & (arrays["mask"] != 0)
    # Some producers fill a fixed number of places; a jet without momentum is such a place.
    there = there & (arrays["pt"] != 0)
    mass = arrays["mass"] if "mass" in arrays else mass_from_energy(arrays["pt"], arrays["eta"], arrays["energy"])
    return Jets(arrays["pt"], arrays["eta"], arrays["phi"], mass, there, arrays.get("tag"), arrays.get("factor")), unequal


def _prepared(columns: Columns, found: Found, place: Place) -> tuple[Jets, Selection, Mask]:
    """Jets that an analysis chose already: the four first, then the others."""
    four, unequal = _jets(columns, found.jets, place)
    names = {ours: theirs for ours, theirs in found.others.items() if ours != "selected"}
    rest, more = _jets(columns, names, place)
    flags, _, odd = _padded(columns, {"pt": found.others["pt"], "selected": found.others["selected"]}, place)
    four = Jets._make(None if array is None else array[:, :CANDIDATES] for array in four)
    jets = Jets._make(
        None if one is None or other is None else np.concatenate([one, other], axis=1) for one, other in zip(four, rest, strict=True)
    )
    enough: Mask = np.all(four.there, axis=1)
    selected = np.concatenate([four.there, (flags["selected"] == 1) & rest.there], axis=1)
    count = selected.sum(axis=1)
    order = np.argsort(~selected, axis=1, kind="stable")
    return jets, Selection(order, selected, enough, count, np.zeros_like(count)), unequal | more | odd


def _padded(columns: Columns, names: Mapping[str, str], place: Place) -> tuple[dict[str, Real], Mask, Mask]:
    """Lists of each event as rows of float64 (N, W), W at least four; which places are filled; which events disagree in length."""
    lists = {ours: _lists(columns[theirs], theirs, place) for ours, theirs in names.items()}
    counts = lists["pt"][0]
    width = max([CANDIDATES, *(int(count.max(initial=0)) for count, _ in lists.values())])
    spaces = np.arange(width)
    arrays = {}
    for ours, (count, flat) in lists.items():
        arrays[ours] = np.zeros((len(count), width))
        arrays[ours][spaces < count[:, None]] = flat
    unequal = np.logical_or.reduce([count != counts for count, _ in lists.values()])
    return arrays, spaces < counts[:, None], unequal


def _lists(column: ak.Array, name: str, place: Place) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Lengths and flat values of a column with a list an event."""
    if column.ndim != 2:
        raise BadFile("EVT013", f"{name} should have a number for each jet, but is {_type(column)}", where=place.name)
    if "?" in _type(column):
        column = ak.fill_none(ak.fill_none(column, [], axis=0), np.nan, axis=-1)
    return ak.to_numpy(ak.num(column)), _plain(ak.flatten(column), name, place.name)


def numbers(column: ak.Array, name: str, where: str) -> NDArray[Any]:
    """A column with a number an event as (N,); ``name`` of the column and ``where`` it lies for the message.

    Raises:
        BadFile: it has something else (EVT013).
    """
    if column.ndim != 1:
        raise BadFile("EVT013", f"{name} should have one number for each event, but is {_type(column)}", where=where)
    return _plain(ak.fill_none(column, np.nan) if "?" in _type(column) else column, name, where)


def _plain(column: ak.Array, name: str, where: str) -> NDArray[Any]:
    try:
        values = np.asarray(ak.to_numpy(column, allow_missing=False))
    except (TypeError, ValueError) as error:
        raise BadFile("EVT013", f"{name} should hold numbers, but is {_type(column)}", where=where) from error
    if values.dtype.kind not in "biuf":
        raise BadFile("EVT013", f"{name} should hold numbers, but is {_type(column)}", where=where)
    return values


def _type(column: ak.Array) -> str:
    return str(column.type).partition(" * ")[2]


def _impossible(jets: Jets) -> Mask:
    """Events with a jet that is not finite, or has negative pt or mass, or lies where no detector is."""
    finite = np.isfinite(jets.pt) & np.isfinite(jets.eta) & np.isfinite(jets.phi) & np.isfinite(jets.mass)
    fine = finite & (jets.pt > 0) & (jets.mass > LEAST_MASS_GEV) & (np.abs(jets.eta) < MOST_ABS_ETA)
    found: Mask = np.any(jets.there & ~fine, axis=1)
    return found


def _told(bad: Mapping[str, Mask], place: Place) -> list[Finding]:
    return [
        finding(code, place.name, f"{_count(mask.sum(), 'event')}, the first in row {place.start + int(np.argmax(mask))}")
        for code, mask in bad.items()
        if mask.any()
    ]


def _remarks(found: Found, place: Place, dropped: NDArray[np.int64]) -> Iterator[Finding]:
    """What concerns the whole file is said with its first rows."""
    if dropped.any():
        yield finding("EVT019", place.name, f"{_count(dropped.sum(), 'jet')} of {_count(np.count_nonzero(dropped), 'event')}")
    if place.start == 0 and "event" not in found.events:
        yield finding("EVT003", place.name, "it has no column of event numbers")
    if place.start == 0 and place.year is None and "year" not in found.further:
        yield finding("EVT004", place.name, "no tag like year:UL18")


def _count(number: np.integer[Any] | int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _pseudo_tag_weight(model: CombinatoricOptions, n_selected: Real, flags: NDArray[np.uint16]) -> Real:
    """The combinatoric weight of three-tag events, 1 for the others."""
    free = np.maximum(n_selected.astype(np.int64) - 3, 0)
    weight = pseudo_tag_weight(free, model.probability, model.fraction, model.enhancement, model.decay)
    return np.where((flags & BITS["three_tag"]) != 0, weight, 1.0)


def _flags(scalars: Mapping[str, NDArray[Any]], selection: Selection, *, with_tags: bool) -> NDArray[np.uint16]:
    """Bits of the file's flags; without flags for the number of tags they follow from the tags."""
    flags = np.zeros(len(selection.enough), np.uint16)
    masks = {"four_tag": selection.n_tagged >= 4, "three_tag": selection.n_tagged == 3} if with_tags else {}
    masks |= {name: scalars[name] != 0 for name in BITS if name in scalars}
    for name, mask in masks.items():
        flags |= np.where(mask, np.uint16(BITS[name]), np.uint16(0))
    return flags


def _hashed(four: NDArray[np.float32]) -> NDArray[np.uint64]:
    """An event number made from the bits of the four jets: equal jets have equal numbers, in whatever file they lie.

    Each word is mixed into the number with the constants of MurmurHash3's 64-bit finaliser.
    """
    number = np.zeros(len(four), np.uint64)
    with np.errstate(over="ignore"):
        for word in four.reshape(-1, 4 * CANDIDATES).view(np.uint32).T:
            number = (number ^ word) * np.uint64(0xFF51AFD7ED558CCD)
            number ^= number >> np.uint64(33)
            number = number * np.uint64(0xC4CEB9FE1A85EC53)
            number ^= number >> np.uint64(29)
    return number

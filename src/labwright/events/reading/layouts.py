"""What the columns of each kind of file are called.

Names are ours → the names that files use, the first that is there counts. ``source.columns`` goes before all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from labwright.events.findings import BadFile
from labwright.events.source_options import SourceOptions

Names = Mapping[str, tuple[str, ...]]

FLAG_NAMES: Names = {
    **{name: (name,) for name in ("SB", "SR", "CR", "HHSR", "ZHSR", "ZZSR")},
    "four_tag": ("fourTag", "four_tag"),
    "three_tag": ("threeTag", "three_tag"),
    "pass_hlt": ("passHLT", "pass_hlt"),
}
EVENT_NAMES: Names = {"run": ("run",), "lumi": ("luminosityBlock", "lumi"), "event": ("event",)}
FURTHER_NAMES: Names = {
    "year": ("year",),
    "n_selected": ("nSelJets", "n_selected"),
    "xW": ("xW",),
    "xbW": ("xbW",),
    "pseudo_tag_weight": ("pseudoTagWeight", "pseudo_tag_weight"),
}


@dataclass(frozen=True)
class Layout:
    """Names of one kind of file."""

    tree: str
    jets: Names
    """A number a jet: ``pt``, ``eta``, ``phi``, and ``mass`` or ``energy``; ``tag`` and ``mask`` where there are such."""
    events: Names = field(default_factory=dict)
    """A number an event."""
    others: Names = field(default_factory=dict)
    """The jets beside the four, where the file keeps them apart."""
    all_further: bool = True
    """Whether every other number of an event is read too."""
    min_pt_gev: float = 0.0
    max_abs_eta: float = float("inf")
    """What makes a selected jet unless the study says."""


def _jets(prefix: str, *parts: str) -> Names:
    return {part: (f"{prefix}{part}",) for part in parts}


LAYOUTS: Mapping[str, Layout] = {
    "flat": Layout(
        tree="Events",
        jets={**_jets("jet_", "pt", "eta", "phi", "mass", "energy"), "tag": ("jet_btag", "jet_b_tag")},
        events={"weight": ("weight",)},
    ),
    "nanoaod": Layout(
        tree="Events",
        jets={
            **_jets("Jet_", "pt", "eta", "phi", "mass"),
            # From the newest tagger to the oldest; an era keeps the older ones for a while.
            "tag": ("Jet_btagUParTAK4B", "Jet_btagPNetB", "Jet_btagRobustParTAK4B", "Jet_btagDeepFlavB", "Jet_btagDeepB", "Jet_btagCSVV2"),
        },
        events={"weight": ("genWeight",)},
        all_further=False,
        min_pt_gev=40.0,
        max_abs_eta=2.4,
    ),
    "spanet": Layout(
        tree="INPUTS/Source",
        jets={**_jets("", "pt", "eta", "phi", "mass"), "tag": ("btag",), "mask": ("MASK",)},
        all_further=False,
    ),
    "prepared": Layout(
        tree="Events",
        jets=_jets("CanJet_", "pt", "eta", "phi", "mass"),
        others={**_jets("NotCanJet_", "pt", "eta", "phi", "mass"), "selected": ("NotCanJet_isSelJet",)},
        events={"weight": ("weight",)},
    ),
}


@dataclass(frozen=True)
class Found:
    """Which columns of one file are read: ours → the file's."""

    jets: Mapping[str, str]
    others: Mapping[str, str]
    events: Mapping[str, str]
    """Identity, weight and flags."""
    further: Mapping[str, str]

    def columns(self) -> list[str]:
        return list(dict.fromkeys([*self.jets.values(), *self.others.values(), *self.events.values(), *self.further.values()]))


def match(options: SourceOptions, names: Sequence[str], scalars: Callable[[], Sequence[str]], where: str) -> Found:
    """The columns to read of a file that has these.

    Args:
        options: of the source.
        names: all columns of the file and its friends.
        scalars: gives those of them with one number an event; asked only where they count, because that is slow for a thousand columns.
        where: the file, for messages.

    Raises:
        BadFile: a column that is needed is absent (EVT012); names the nearest.
    """
    layout = LAYOUTS[options.kind]
    given = dict(options.columns)
    if options.jets.b_tag:
        given["tag"] = options.jets.b_tag
    if options.jets.b_regression:
        given["factor"] = options.jets.b_regression
    there = frozenset(names)
    for ours, theirs in given.items():
        if theirs not in there:
            raise _absent(f"{theirs!r}, which the study names for {ours}", theirs, names, where)

    def found(known: Names) -> dict[str, str]:
        first = {ours: next((name for name in theirs if name in there), "") for ours, theirs in known.items()}
        return {ours: name for ours, name in {**first, **{ours: given[ours] for ours in known if ours in given}}.items() if name}

    jets = found({**layout.jets, "factor": ()})
    if "mass" in jets:
        jets.pop("energy", None)
    for ours in ("pt", "eta", "phi", "mass"):
        if ours not in jets and not (ours == "mass" and "energy" in jets):
            raise _absent(f"{ours} of the jets ({' or '.join(layout.jets[ours])})", layout.jets[ours][0], names, where)
    if "tag" not in jets and options.kind == "nanoaod":
        raise _absent("a b tag of the jets", layout.jets["tag"][0], names, where)
    others = found(layout.others)
    if layout.others and set(others) != set(layout.others):
        ours = next(name for name in layout.others if name not in others)
        raise _absent(f"{ours} of the other jets", layout.others[ours][0], names, where)
    events = found({**EVENT_NAMES, **FLAG_NAMES, **layout.events, "weight": layout.events.get("weight", ())})
    further = found(FURTHER_NAMES)
    further |= {ours: theirs for ours, theirs in given.items() if ours not in {**jets, **others, **events, **FURTHER_NAMES}}
    if layout.all_further:
        used = {*jets.values(), *others.values(), *events.values(), *further.values()}
        further |= {name: name for name in scalars() if name not in used}
    return Found(jets, others, events, further)


def known(options: SourceOptions) -> frozenset[str]:
    """The names of all columns that mean something by themselves, or that the study names."""
    layout = LAYOUTS[options.kind]
    of_kind = [layout.jets, layout.others, layout.events, EVENT_NAMES, FLAG_NAMES, FURTHER_NAMES]
    given = [*options.columns.values(), options.jets.b_tag, options.jets.b_regression]
    return frozenset(name for names in of_kind for one in names.values() for name in one) | frozenset(filter(None, given))


def _absent(what: str, wanted: str, names: Sequence[str], where: str) -> BadFile:
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    return BadFile(
        "EVT012", f"there is no column {what}; near to it: {', '.join(near)}" if near else f"there is no column {what}", where=where
    )

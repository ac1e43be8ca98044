"""The hostile corpus of events: bad trees, each with the exit code of ``labwright check`` and the finding it has to give.

The first case of each code has the whole line of its finding, which is also the example on the code's page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from labwright.events.reading.friends import described
from labwright.runs.errors import Exit
from labwright.testing.hostile import Hostile
from labwright.testing.trees import BACKGROUND, SIGNAL, Columns, events, events_study, tiny_columns, tiny_trees, write_root

Spoil = Callable[[Path], object]
"""Does something bad to ``signal.root`` in this folder, or to the folder."""
CLASSES = {"B": {"tags": "label:B"}, "S": {"tags": "label:S", "norm": 1}}
FRIENDS = {"tags": "label:S", "friends": ["friend.json"]}


def _case(
    name: str,
    code: str,
    spoil: Spoil,
    expect: Exit = Exit.DATA,
    *,
    says: str = "",
    classes: Mapping[str, Any] = CLASSES,
    groups: Sequence[Mapping[str, Any]] = (),
    **steps: Any,
) -> Hostile:
    def make(folder: Path) -> Path:
        spoil(tiny_trees(folder / "data"))
        return events_study(folder, classes, groups, **steps)

    return Hostile(name, "data", make, expect, code, f"{code} {says}" if says else "")


def _columns(change: Callable[[Columns], object]) -> Spoil:
    """Another signal file, whose columns ``change`` altered."""

    def spoil(data: Path) -> None:
        columns = tiny_columns(SIGNAL, 1)
        change(columns)
        write_root(data / "signal.root", columns)

    return spoil


def _replaced(**columns: Any) -> Spoil:
    return _columns(lambda all_columns: all_columns.update(columns))


def _bytes(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(data: Path) -> None:
        path = data / "signal.root"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _damaged_basket(data: Path) -> None:
    path = data / "signal.root"
    with uproot.open(path) as file:
        seek = int(file["Events"]["jet_eta"].member("fBasketSeek")[0])
    content = bytearray(path.read_bytes())
    content[seek : seek + 20] = b"\xff" * 20
    path.write_bytes(content)


def _first_jet(name: str, value: float) -> Spoil:
    def change(columns: Columns) -> None:
        flat = ak.to_numpy(ak.flatten(columns[name])).copy()
        flat[0] = value
        columns[name] = ak.unflatten(flat, ak.num(columns[name]))

    return _columns(change)


def _shorter(columns: Columns) -> None:
    phi = columns["jet_phi"]
    columns["jet_phi"] = ak.where(np.arange(SIGNAL) == 0, phi[:, 1:], phi)


def _emptied(columns: Columns) -> None:
    columns.update({name: values[:0] for name, values in columns.items()})


def _jets(fewest: int, most: int) -> Spoil:
    """A signal with so many jets an event."""
    return _columns(lambda columns: columns.update({**events(SIGNAL, (fewest, most), seed=1), "weight": np.ones(SIGNAL)}))


def _without(*names: str) -> Spoil:
    return _columns(lambda columns: [columns.pop(name) for name in names])


def _friend(*ranges: tuple[int, int], uuid: str = "") -> Spoil:
    """A friend of the signal that holds these rows."""

    def spoil(data: Path) -> None:
        with uproot.open(data / "signal.root") as file:
            target = {"path": "signal.root", "uuid": uuid or str(file.file.uuid), "name": "Events", "num_entries": SIGNAL}
        pieces = []
        for start, stop in ranges:
            name = f"friend_{start}_{stop}.root"
            write_root(data / name, {"FvT": np.ones(stop - start)})
            pieces.append({"start": start, "stop": stop, "chunk": {"path": name, "name": "Events", "num_entries": stop - start}})
        (data / "friend.json").write_text(json.dumps(described("FvT", ["FvT"], [(target, pieces)])), encoding="utf-8")

    return spoil


def _two_friends(data: Path) -> None:
    """Two friends of the signal that both weigh it."""
    with uproot.open(data / "signal.root") as file:
        target = {"path": "signal.root", "uuid": str(file.file.uuid), "name": "Events", "num_entries": SIGNAL}
    for name in ("one", "two"):
        write_root(data / f"{name}.root", {"weight": np.ones(SIGNAL)})
        piece = {"start": 0, "stop": SIGNAL, "chunk": {"path": f"{name}.root", "name": "Events", "num_entries": SIGNAL}}
        (data / f"{name}.json").write_text(json.dumps(described(name, ["weight"], [(target, [piece])])), encoding="utf-8")


def _two_taggers(data: Path) -> None:
    for name, column, count, seed in (("signal", "jet_b_tag", SIGNAL, 1), ("background", "jet_btag", BACKGROUND, 2)):
        columns = tiny_columns(count, seed)
        write_root(data / f"{name}.root", {**columns, column: ak.ones_like(columns["jet_pt"])})


def _copy(data: Path) -> None:
    """The signal again under another name."""
    (data / "signal_copy.root").write_bytes((data / "signal.root").read_bytes())


def _renumbered(data: Path) -> None:
    """Other events with the numbers of the background."""
    numbers = events(BACKGROUND, seed=2)["event"][:SIGNAL]
    write_root(data / "signal.root", {**tiny_columns(SIGNAL, 1), "event": numbers})


def _one_year(data: Path) -> None:
    for name, count, seed in (("signal", SIGNAL, 1), ("background", BACKGROUND, 2)):
        write_root(data / f"{name}.root", {**tiny_columns(count, seed), "year": np.full(count, 18.0)})


def _nothing(data: Path) -> None:
    """The data are good; it is the study that asks for something odd."""


_ONE_NAN = np.where(np.arange(SIGNAL) == 0, np.nan, 1.0)
_SIGNS = np.where(np.arange(SIGNAL) % 2, 1.0, -1.0)
CORPUS: tuple[Hostile, ...] = (
    _case(
        "friends of no file",
        "EVT001",
        _friend((0, SIGNAL)),
        Exit.DONE,
        groups=[{**FRIENDS, "tags": "label:T"}],
        says="label:T: no file has all of these tags: friend.json unused",
    ),
    _case(
        "file of no class",
        "EVT002",
        _nothing,
        Exit.DONE,
        classes={"B": {"tags": "label:B"}},
        says="signal.root: none of its 300 events is of a class; its tags are label:S",
    ),
    _case(
        "no event numbers",
        "EVT003",
        _without("run", "luminosityBlock", "event"),
        Exit.DONE,
        says="signal.root: it has no column of event numbers",
    ),
    _case("no year", "EVT004", _without("year"), Exit.DONE, says="signal.root: no tag like year:UL18"),
    _case(
        "b taggers of two eras",
        "EVT005",
        _two_taggers,
        Exit.DONE,
        says="source.jets.b_tag: jet_b_tag in 1 file, as signal.root; jet_btag in 1 file, as background.root; all are cut at 0.6",
    ),
    _case("empty file", "EVT010", _bytes(lambda content: b""), says="signal.root: the file has no bytes"),
    _case("truncated file", "EVT010", _bytes(lambda content: content[: len(content) // 3])),
    _case("text in place of a file", "EVT010", _bytes(lambda content: b"<html>404 Not Found</html>" * 20)),
    _case("damaged basket", "EVT010", _damaged_basket),
    _case(
        "tree of another name",
        "EVT011",
        lambda data: write_root(data / "signal.root", events(SIGNAL), tree="Tree"),
        says="signal.root: there is no 'Events'; there is Tree",
    ),
    _case(
        "absent branch",
        "EVT012",
        _without("jet_eta"),
        says="signal.root: there is no column eta of the jets (jet_eta); near to it: jet_pt, n_jet_pt, jet_mass",
    ),
    _case(
        "branch of the wrong type",
        "EVT013",
        _replaced(jet_eta=np.zeros(SIGNAL)),
        says="signal.root: jet_eta should have a number for each jet, but is float64",
    ),
    _case("jagged counts that disagree", "EVT014", _columns(_shorter), says="signal.root: 1 event, the first in row 0"),
    _case("empty tree", "EVT015", _columns(_emptied), says="signal.root: the tree Events has no rows"),
    _case("NaN jet", "EVT016", _first_jet("jet_pt", np.nan), says="signal.root: 1 event, the first in row 0"),
    _case("infinite jet", "EVT016", _first_jet("jet_eta", np.inf)),
    _case("NaN weight", "EVT017", _replaced(weight=_ONE_NAN), says="signal.root: 1 event, the first in row 0"),
    _case("events of three jets", "EVT018", _jets(3, 5), Exit.DONE, says="signal.root: 97 events, the first in row 4"),
    _case("more other jets than places", "EVT019", _jets(13, 15), Exit.DONE, says="signal.root: 612 jets of 300 events"),
    _case(
        "friend with missing rows",
        "EVT020",
        _friend((0, 100), (120, SIGNAL)),
        groups=[FRIENDS],
        says="signal.root: friend.json lacks rows 100 to 119",
    ),
    _case(
        "friend with rows given twice",
        "EVT021",
        _friend((0, 100), (90, SIGNAL)),
        groups=[FRIENDS],
        says="signal.root: friend.json gives rows 90 to 99 twice",
    ),
    _case(
        "friend of another file",
        "EVT022",
        _friend((0, SIGNAL), uuid="b91ff8d8-e536-11f1-9c7b-02fc00000001"),
        groups=[FRIENDS],
        says="signal.root: friend.json was made for a file of another UUID",
    ),
    _case("NaN in a further input", "EVT023", _replaced(year=_ONE_NAN), says="signal.root: year of 1 events, first in row 0"),
    _case(
        "friends of one column",
        "EVT024",
        _two_friends,
        groups=[{"tags": "label:S", "friends": ["one.json", "two.json"]}],
        says="one.json and two.json: both have weight, taken from none of them",
    ),
    _case(
        "events in two files",
        "EVT030",
        _copy,
        says="signal_copy.root: 300 events are there already, the first is run 7, lumi 1, event 1000 of signal.root; they are left out",
    ),
    _case(
        "event of two classes",
        "EVT031",
        _nothing,
        classes={**CLASSES, "T": {"tags": "label:S"}},
        says="S, T: 300 events fulfil what both ask for",
    ),
    _case(
        "events of no class",
        "EVT032",
        _nothing,
        Exit.DONE,
        classes={**CLASSES, "B": {"tags": "label:B", "where": ["SB"]}},
        says="background.root: 355 of 400 events",
    ),
    _case("class without events", "EVT033", _columns(_emptied), says="S: 1 file has its tags 'label:S', but no event is left"),
    _case("all weights NaN", "EVT033", _replaced(weight=np.full(SIGNAL, np.nan))),
    _case("all weights zero", "EVT034", _replaced(weight=np.zeros(SIGNAL)), says="S: the weights add up to 0, their absolute values to 0"),
    _case("weights that cancel", "EVT034", _replaced(weight=_SIGNS)),
    _case(
        "many negative weights",
        "EVT035",
        _replaced(weight=np.where(_SIGNS < 0, -0.9, 1.0)),
        Exit.DONE,
        check={"max_negative": 0.4},
        says="S: 47.4% of the absolute weight is negative, in 150 of 300 events",
    ),
    _case(
        "events of great weight",
        "EVT036",
        _replaced(weight=np.where(np.arange(SIGNAL) == 0, 726.0, 1.0)),
        Exit.DONE,
        classes={**CLASSES, "S": {"tags": "label:S", "max_weight": 100}},
        says="S: 1 events",
    ),
    _case("single year", "EVT038", _one_year, Exit.DONE, says="year: it is 18 in all events"),
    _case(
        "other events of the same numbers",
        "EVT039",
        _renumbered,
        Exit.DONE,
        says="background.root: 300 events, the first is run 7, lumi 1, event 2000",
    ),
)

"""Bad trees through the command line: the right code, the finding with what to do, no traceback, and the good events packed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
import pytest
import uproot

from labwright.cli.main import main
from labwright.events.findings import CATALOGUE
from labwright.events.friends import described
from labwright.runs.errors import Exit
from labwright.runs.run import runs_in
from tests.events.studies import study, tree
from tests.events.trees import events, write_root

SIGNAL, BACKGROUND = 300, 400


class Case(NamedTuple):
    """One bad thing: what it does to ``data/signal.root``, or else to the folder of data, and what has to come of it."""

    name: str
    code: str
    spoil: Callable[[Path], object]
    exit: Exit = Exit.DATA
    packed: int = BACKGROUND
    """Events that are good."""
    groups: tuple[dict[str, Any], ...] = ()
    """Further groups of the source."""


def signal(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """A signal file whose columns ``change`` altered."""

    def spoil(data: Path) -> None:
        columns = {**events(SIGNAL, (4, 9), seed=1), "weight": np.ones(SIGNAL), "year": np.full(SIGNAL, 18.0)}
        change(columns)
        write_root(data / "signal.root", columns)

    return spoil


def bytes_of(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def spoil(data: Path) -> None:
        path = data / "signal.root"
        path.write_bytes(change(path.read_bytes()))

    return spoil


def damaged_basket(data: Path) -> None:
    path = data / "signal.root"
    with uproot.open(path) as file:
        branch = file["Events"]["jet_eta"]
        seek = int(branch.member("fBasketSeek")[0])
    content = bytearray(path.read_bytes())
    content[seek : seek + 20] = b"\xff" * 20
    path.write_bytes(content)


def first_jet(name: str, value: float) -> Callable[[dict[str, Any]], None]:
    """The first jet of the first event."""

    def change(columns: dict[str, Any]) -> None:
        flat = ak.to_numpy(ak.flatten(columns[name])).copy()
        flat[0] = value
        columns[name] = ak.unflatten(flat, ak.num(columns[name]))

    return change


def shorter(columns: dict[str, Any]) -> None:
    phi = columns["jet_phi"]
    columns["jet_phi"] = ak.where(np.arange(SIGNAL) == 0, phi[:, 1:], phi)


def weights(values: Any) -> Callable[[Path], object]:
    return signal(lambda columns: columns.update(weight=np.asarray(values)))


def friend(*ranges: tuple[int, int]) -> Callable[[Path], object]:
    """A friend of the signal that holds these rows."""

    def spoil(data: Path) -> None:
        path = data / "signal.root"
        with uproot.open(path) as file:
            target = {"path": "signal.root", "uuid": str(file.file.uuid), "name": "Events", "num_entries": SIGNAL}
        pieces = []
        for start, stop in ranges:
            name = f"friend_{start}_{stop}.root"
            write_root(data / name, {"FvT": np.ones(stop - start)})
            pieces.append({"start": start, "stop": stop, "chunk": {"path": name, "name": "Events", "num_entries": stop - start}})
        (data / "friend.json").write_text(json.dumps(described("FvT", ["FvT"], [(target, pieces)])))

    return spoil


def copy(data: Path) -> None:
    """The signal again, as another name of the same file."""
    (data / "signal_copy.root").write_bytes((data / "signal.root").read_bytes())


FRIENDS = {"tags": "label:S", "friends": ["friend.json"]}
CASES = (
    Case("truncated file", "EVT010", bytes_of(lambda content: content[: len(content) // 3])),
    Case("text in place of a file", "EVT010", bytes_of(lambda content: b"<html>404 Not Found</html>" * 20)),
    Case("empty file", "EVT010", bytes_of(lambda content: b"")),
    Case("damaged basket", "EVT010", damaged_basket),
    Case("tree of another name", "EVT011", lambda data: write_root(data / "signal.root", events(SIGNAL), tree="Tree")),
    Case("absent branch", "EVT012", signal(lambda columns: columns.pop("jet_eta"))),
    Case("branch of the wrong type", "EVT013", signal(lambda columns: columns.update(jet_eta=np.zeros(SIGNAL)))),
    Case("jagged counts that disagree", "EVT014", signal(shorter), packed=BACKGROUND + SIGNAL - 1),
    Case("NaN jet", "EVT016", signal(first_jet("jet_pt", np.nan)), packed=BACKGROUND + SIGNAL - 1),
    Case("infinite jet", "EVT016", signal(first_jet("jet_eta", np.inf)), packed=BACKGROUND + SIGNAL - 1),
    Case("NaN weight", "EVT017", weights(np.where(np.arange(SIGNAL) == 0, np.nan, 1.0)), packed=BACKGROUND + SIGNAL - 1),
    Case("all weights NaN", "EVT033", weights(np.full(SIGNAL, np.nan))),
    Case("all weights zero", "EVT034", weights(np.zeros(SIGNAL)), packed=BACKGROUND + SIGNAL),
    Case("weights that cancel", "EVT034", weights(np.where(np.arange(SIGNAL) % 2, 1.0, -1.0)), packed=BACKGROUND + SIGNAL),
    Case("empty tree", "EVT015", signal(lambda columns: columns.update({name: one[:0] for name, one in columns.items()}))),
    Case("class without events", "EVT033", signal(lambda columns: columns.update({name: one[:0] for name, one in columns.items()}))),
    Case("friend with missing rows", "EVT020", friend((0, 100), (120, SIGNAL)), groups=(FRIENDS,)),
    Case("friend with rows given twice", "EVT021", friend((0, 100), (90, SIGNAL)), groups=(FRIENDS,)),
    Case("events in two files", "EVT030", copy, packed=BACKGROUND + SIGNAL),
    Case("single year", "EVT038", lambda data: None, Exit.DONE, packed=BACKGROUND + SIGNAL),
    Case(
        "no other jets",
        "EVT038",
        signal(lambda columns: columns.update(events(SIGNAL, (4, 4), seed=1))),
        Exit.DONE,
        packed=BACKGROUND + SIGNAL,
    ),
    Case(
        "more other jets than places",
        "EVT019",
        signal(
            lambda columns: columns.update({name: one for name, one in events(SIGNAL, (13, 15), seed=1).items() if name.startswith("jet_")})
        ),
        Exit.DONE,
        packed=BACKGROUND + SIGNAL,
    ),
    Case("friend of no file", "EVT001", friend((0, SIGNAL)), Exit.DONE, BACKGROUND + SIGNAL, ({**FRIENDS, "tags": "label:T"},)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_trees_become_a_finding_and_good_events_are_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Case, record_property: Callable[[str, object], None]
) -> None:
    data = tmp_path / "data"
    tree(data / "signal.root", SIGNAL, seed=1)
    tree(data / "background.root", BACKGROUND, seed=2)
    groups = [
        {"tags": "label:S", "files": ["signal*.root"]},
        {"tags": "label:B", "files": ["background.root"]},
        *case.groups,
    ]
    path = study(tmp_path, groups, {"B": {"tags": "label:B"}, "S": {"tags": "label:S", "norm": 1}})
    case.spoil(data)
    code = main(["check", str(path), "--set", "run.on.workers=1"])
    said = capsys.readouterr()
    clear = case.code in said.out and "Traceback" not in said.out + said.err
    record_property("hostile", "clear" if clear and code == case.exit else "silent")
    assert code == case.exit, said
    assert "Traceback" not in said.out + said.err
    pack, check = (next(run for run in runs_in(tmp_path / "runs") if run.step == step) for step in ("pack", "check"))
    found = [one for one in check.findings() if one["code"] == case.code]
    assert found, check.findings()
    assert all(one["place"] and one["text"] for one in found)
    assert CATALOGUE[case.code].severity != "error" or CATALOGUE[case.code].todo in said.out
    assert pack.state() == "done"
    assert pack.figures()["events"] == case.packed


def test_a_file_that_is_not_there_is_missing_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path / "data" / "signal.root", 100)
    path = study(tmp_path, [{"files": ["signal.root", "backgruond.root"]}], {"S": {}, "B": {}})
    assert main(["check", str(path)]) == Exit.MISSING
    said = capsys.readouterr().err
    assert "backgruond.root: there is no such file" in said
    assert "source.groups" in said
    assert len(said.strip().splitlines()) == 1

"""Bad trees: each gives its finding, whatever is good beside it is read, and nothing is a traceback."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from labwright.events.findings import CATALOGUE, BadFile
from labwright.events.source import read
from labwright.events.table import EventTable
from labwright.runs.errors import Exit, LabwrightError
from labwright.testing.trees import Columns, events, write_root
from tests.events.trees import listed_chunks, source, write_parquet

ROWS = 24


def outcome(folder: Path, name: str = "a.root", **options: Any) -> tuple[list[EventTable], list[BadFile]]:
    """What can be read of a file in three pieces, and what cannot."""
    chosen = source(folder, name, **options)
    listed, pieces = listed_chunks(chosen, rows=8)
    tables, bad = [], []
    for piece in pieces:
        try:
            tables.append(read(listed, piece, chosen))
        except BadFile as error:
            bad.append(error)
    return tables, bad


def spoil_list(name: str, value: float) -> Callable[[Columns], None]:
    def change(columns: Columns) -> None:
        flat = ak.to_numpy(ak.flatten(columns[name])).copy()
        counts = ak.num(columns[name])
        flat[int(ak.sum(counts[:10]))] = value  # the first jet of row 10
        columns[name] = ak.unflatten(flat, counts)

    return change


def spoil_weight(value: float) -> Callable[[Columns], None]:
    def change(columns: Columns) -> None:
        columns["weight"] = np.where(np.arange(ROWS) == 10, np.float32(value), columns["weight"])

    return change


def shorten(columns: Columns) -> None:
    phi = columns["jet_phi"]
    columns["jet_phi"] = ak.where(np.arange(ROWS) == 10, phi[:, 1:], phi)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (spoil_list("jet_pt", np.nan), "EVT016"),
        (spoil_list("jet_phi", np.inf), "EVT016"),
        (spoil_list("jet_pt", -50.0), "EVT016"),
        (spoil_list("jet_mass", -20.0), "EVT016"),
        (spoil_list("jet_eta", 1e30), "EVT016"),
        (spoil_weight(np.nan), "EVT017"),
        (spoil_weight(-np.inf), "EVT017"),
        (shorten, "EVT014"),
    ],
)
@pytest.mark.parametrize("form", ["root", "parquet"])
def test_a_bad_event_is_set_aside_and_told(tmp_path: Path, change: Callable[[Columns], None], code: str, form: str) -> None:
    columns = events(ROWS, jets=(5, 7))
    change(columns)
    (write_root if form == "root" else write_parquet)(tmp_path / f"a.{form}", columns)
    tables, bad = outcome(tmp_path, f"a.{form}")
    assert bad == []
    assert [row for table in tables for row in table.row.tolist()] == [row for row in range(ROWS) if row != 10]
    (told,) = [one for table in tables for one in table.findings]
    assert (told.code, told.severity, told.place) == (code, "error", f"a.{form}")
    assert told.text == "1 event, the first in row 10"


def test_jets_of_slightly_negative_mass_are_massless(tmp_path: Path) -> None:
    columns = events(ROWS)
    spoil_list("jet_mass", -0.01)(columns)
    write_root(tmp_path / "a.root", columns)
    tables, _ = outcome(tmp_path)
    assert sum(map(len, tables)) == ROWS
    assert min(table.can_jets[..., 3].min() for table in tables) >= 0


def no_pt(columns: Columns) -> None:
    columns["Jet_pT"] = columns.pop("jet_pt")


def scalar_pt(columns: Columns) -> None:
    columns["jet_pt"] = ak.to_numpy(ak.max(columns["jet_pt"], axis=1))


def list_weight(columns: Columns) -> None:
    columns["weight"] = columns["jet_pt"]


def nested_pt(columns: Columns) -> None:
    columns["jet_pt"] = ak.singletons(columns["jet_pt"], axis=1)


def words_pt(columns: Columns) -> None:
    columns["jet_pt"] = ak.Array([["80 GeV"] * len(jets) for jets in columns["jet_eta"]])


@pytest.mark.parametrize(
    ("change", "code", "says", "forms"),
    [
        (no_pt, "EVT012", "jet_pt", ("root", "parquet")),
        (scalar_pt, "EVT013", "jet_pt should have a number for each jet", ("root", "parquet")),
        (list_weight, "EVT013", "weight should have one number for each event", ("root", "parquet")),
        (nested_pt, "EVT013", "jet_pt should have a number for each jet", ("parquet",)),
        (words_pt, "EVT013", "jet_pt should", ("parquet",)),
    ],
)
def test_a_column_that_is_absent_or_of_the_wrong_type_is_named(
    tmp_path: Path, change: Callable[[Columns], None], code: str, says: str, forms: tuple[str, ...]
) -> None:
    columns = events(ROWS)
    change(columns)
    for form in forms:
        (write_root if form == "root" else write_parquet)(tmp_path / f"a.{form}", columns)
        tables, bad = outcome(tmp_path, f"a.{form}")
        assert tables == []
        assert {error.finding for error in bad} == {code}
        assert says in str(bad[0])
        assert str(bad[0]).startswith(f"a.{form}")
        assert bad[0].code == Exit.DATA


def test_a_column_that_the_study_names_wrongly_is_answered_with_what_is_near(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(ROWS))
    _, bad = outcome(tmp_path, columns={"weight": "wieght"})
    assert {error.finding for error in bad} == {"EVT012"}
    assert "'wieght', which the study names for weight; near to it: weight" in str(bad[0])


def test_another_tree_says_which_there_are(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(ROWS), tree="Tree")
    _, (bad,) = outcome(tmp_path)
    assert bad.finding == "EVT011"
    assert "there is no 'Events'; there is Tree" in str(bad)


def garbage(path: Path) -> None:
    path.write_bytes(b"root" + bytes(200))


def words(path: Path) -> None:
    path.write_text("this is no tree\n" * 40)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [garbage, words, empty, half])
@pytest.mark.parametrize("form", ["root", "parquet", "h5"])
def test_a_damaged_file_is_one_finding(tmp_path: Path, spoil: Callable[[Path], None], form: str) -> None:
    path = tmp_path / f"a.{form}"
    (write_root if form == "root" else write_parquet)(path, events(ROWS))
    spoil(path)
    tables, bad = outcome(tmp_path, path.name)
    assert tables == []
    assert {(error.finding, error.where) for error in bad} == {("EVT010", str(path))}
    assert not any("\n" in str(error) for error in bad)


@pytest.mark.parametrize(("form", "kind"), [("root", "ROOT"), ("parquet", "Parquet"), ("h5", "HDF5")])
@pytest.mark.parametrize("text", ["an event\n", "this is no tree\n" * 40])
def test_a_file_of_another_kind_is_told_by_its_first_bytes(tmp_path: Path, form: str, kind: str, text: str) -> None:
    (tmp_path / f"a.{form}").write_text(text)
    _, bad = outcome(tmp_path, f"a.{form}")
    assert f"this is no {kind} file: it begins with {text[:16]!r}" in str(bad[0])


@pytest.mark.parametrize("part", ["header", "content"])
def test_of_a_damaged_basket_only_its_rows_are_lost(tmp_path: Path, part: str) -> None:
    path, rows = tmp_path / "a.root", 900
    columns = events(rows)
    columns["jet_eta"] = ak.round(columns["jet_eta"])  # so that it is stored compressed
    with uproot.recreate(path) as file:
        types = {name: getattr(values, "type", None) or values.dtype for name, values in columns.items()}
        file.mktree("Events", types, counter_name=lambda name: f"n_{name}")
        for start in range(0, rows, 300):
            file["Events"].extend({name: values[start : start + 300] for name, values in columns.items()})
    with uproot.open(path) as file:
        branch = file["Events"]["jet_eta"]
        seek, size = int(branch.member("fBasketSeek")[1]), int(branch.member("fBasketBytes")[1])
    content = bytearray(path.read_bytes())
    damage = slice(seek, seek + 20) if part == "header" else slice(seek + size // 2, seek + size)
    content[damage] = b"\xff" * len(content[damage])
    path.write_bytes(content)
    chosen = source(tmp_path, "a.root")
    listed, pieces = listed_chunks(chosen, rows=300)
    assert len(read(listed, pieces[0], chosen)) == len(read(listed, pieces[2], chosen)) == 300
    with pytest.raises(BadFile, match="rows 300 to 599 of jet_eta cannot be read") as caught:
        read(listed, pieces[1], chosen)
    assert caught.value.finding == "EVT010"


def test_a_folder_in_place_of_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.root").mkdir()
    with pytest.raises(LabwrightError) as caught:
        outcome(tmp_path)
    assert caught.value.code == Exit.MISSING


def test_an_error_travels_between_processes_with_its_code() -> None:
    error = BadFile("EVT014", "3 events", where="a.root")
    again = copy.copy(error)  # taken apart and put together as a pool does
    assert (again.finding, str(again)) == ("EVT014", str(error))


def test_every_code_says_why_and_what_to_do() -> None:
    for name, code in CATALOGUE.items():
        assert name == code.code
        assert code.why.endswith(".")
        assert code.todo.endswith(".")
        assert not code.title.endswith(".")

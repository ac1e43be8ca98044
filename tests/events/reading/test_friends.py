from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from labwright.events.findings import BadFile
from labwright.events.reading.friends import described
from labwright.events.source import listing, raw_files
from labwright.events.source_options import SourceOptions
from labwright.events.table import EventTable
from labwright.runs.errors import DataError, MissingError
from labwright.study.fingerprint import effective
from labwright.testing.trees import events, write_root
from tests.events.trees import read_all, source, write_parquet
from tests.watch.made import run_folder

ROWS = 30
SCORES = np.linspace(-1, 1, ROWS)
Document = dict[str, Any]


def file_of(path: Path) -> dict[str, Any]:
    if path.suffix != ".root":
        return {"path": str(path), "uuid": "", "name": "Events", "num_entries": ROWS}
    with uproot.open(path) as file:
        return {"path": str(path), "uuid": str(file.file.uuid), "name": "Events", "num_entries": int(file["Events"].num_entries)}


def piece(folder: Path, name: str, start: int, stop: int, columns: dict[str, Any]) -> dict[str, Any]:
    path = write_root(folder / name, {key: values[start:stop] for key, values in columns.items()})
    return {"start": start, "stop": stop, "chunk": {**file_of(path), "path": name}}


def study(tmp_path: Path, form: str = "root", change: Callable[[Document], None] = lambda document: None) -> SourceOptions:
    """A file with a friend FvT in three pieces, out of order; ``change`` spoils its document."""
    target = tmp_path / f"a.{form}"
    (write_root if form == "root" else write_parquet)(target, events(ROWS))
    columns = {"FvT": SCORES, "FvT_std": SCORES / 10}
    pieces = [piece(tmp_path / "friends", f"{start}.root", start, stop, columns) for start, stop in ((20, 30), (0, 7), (7, 20))]
    document = described("FvT", list(columns), [(file_of(target), pieces)])
    change(document)
    (tmp_path / "friends" / "friend.json").write_text(json.dumps({"FvT": document, "other": {"name": "other", "branches": [], "data": []}}))
    group = {"tags": "label:data,year:UL18", "files": [f"a.{form}"]}
    return SourceOptions.model_validate(
        {"path": tmp_path, "groups": [group, {"tags": "label:data", "friends": ["friends/friend.json@@FvT"]}]}
    )


def read(options: SourceOptions) -> EventTable:
    return read_all(options, rows=11)


@pytest.mark.parametrize("form", ["root", "parquet"])
def test_a_friends_rows_are_joined_by_their_ranges(tmp_path: Path, form: str) -> None:
    options = study(tmp_path, form)
    table = read(options)
    assert len(table) == ROWS
    np.testing.assert_array_equal(table.extra["FvT"], SCORES)
    np.testing.assert_array_equal(table.extra["FvT_std"], SCORES / 10)
    names = [file.name for file in raw_files(listing(options))]
    assert names == [f"a.{form}", "20.root", "0.root", "7.root", "friend.json@@FvT"]


def test_which_rows_a_friends_files_hold_counts(tmp_path: Path) -> None:
    options, path = study(tmp_path), tmp_path / "friends" / "friend.json"
    *_, before = raw_files(listing(options))
    told = json.loads(path.read_text())
    first, second, *_ = told["FvT"]["data"][0][1]
    first["chunk"], second["chunk"] = second["chunk"], first["chunk"]
    path.write_text(json.dumps(told))
    *_, after = raw_files(listing(options))
    assert before.name == after.name
    assert before.sha256 != after.sha256


def counted(options: SourceOptions) -> tuple[object, object]:
    """What of a source enters a fingerprint."""
    return effective(options), sorted(file[1:] for file in raw_files(listing(options)))


def test_where_a_friend_lies_does_not_count(tmp_path: Path) -> None:
    options = study(tmp_path)
    before = counted(options)
    (tmp_path / "runs").mkdir()
    (tmp_path / "friends").rename(tmp_path / "runs" / "ratio")
    for spec in ("runs/ratio/friend.json@@FvT", f"{tmp_path}/runs/ratio/friend.json@@FvT"):
        groups = [options.groups[0], options.groups[1].model_copy(update={"friends": (spec,)})]
        assert counted(options.model_copy(update={"groups": tuple(groups)})) == before
    with_others = [options.groups[0].model_copy(update={"friends": (spec,)}), options.groups[1].model_copy(update={"friends": ()})]
    assert counted(options.model_copy(update={"groups": tuple(with_others)})) != before, "which files it goes with counts"
    without = [options.groups[0], options.groups[1].model_copy(update={"friends": ()})]
    assert counted(options.model_copy(update={"groups": tuple(without)})) != before


def test_friends_of_one_name_are_told_apart(tmp_path: Path) -> None:
    options = study(tmp_path)
    shutil.copytree(tmp_path / "friends", tmp_path / "again")
    specs = ("friends/friend.json@@FvT", "again/friend.json@@FvT")
    group = options.groups[1].model_copy(update={"friends": specs})
    names = [file.name for file in raw_files(listing(options.model_copy(update={"groups": (options.groups[0], group)})))]
    assert len(set(names)) == len(names) == 9
    assert names[-2:] == list(specs)


def test_a_friend_knows_its_file_wherever_it_lies_now(tmp_path: Path) -> None:
    options = study(tmp_path)
    (tmp_path / "moved").mkdir()
    (tmp_path / "a.root").rename(tmp_path / "moved" / "b.root")
    groups = [{"tags": "label:data", "files": ["moved/b.root"], "friends": ["friends/friend.json@@FvT"]}]
    table = read(SourceOptions.model_validate({**options.model_dump(), "groups": groups}))
    np.testing.assert_array_equal(table.extra["FvT"], SCORES)


def test_a_column_of_a_friend_goes_before_that_of_the_file(tmp_path: Path) -> None:
    def weighing(document: Document) -> None:
        document["branches"] = ["weight"]
        for one in document["data"][0][1]:
            start, stop = one["start"], one["stop"]
            write_root(tmp_path / "friends" / one["chunk"]["path"], {"weight": np.full(stop - start, 3.0)})

    assert (read(study(tmp_path, change=weighing)).weight == 3).all()


def test_friends_may_bring_the_jets_too(tmp_path: Path) -> None:
    """The original keeps the chosen jets in a friend tree, ``HCR_input``, beside files that hold no more than identity."""
    jets = events(ROWS, jets=(4, 4))
    columns = {f"CanJet_{name}": jets[f"jet_{name}"] for name in ("pt", "eta", "phi", "mass")}
    columns |= {f"NotCanJet_{name}": jets[f"jet_{name}"][:, :0] for name in ("pt", "eta", "phi", "mass")}
    columns["NotCanJet_isSelJet"] = ak.values_astype(jets["jet_pt"][:, :0], np.int32)
    columns["SR"] = np.arange(ROWS) % 3 == 0
    target = write_root(tmp_path / "pico.root", {"event": np.arange(ROWS, dtype=np.uint64), "weight": np.ones(ROWS, np.float32)})
    pieces = [piece(tmp_path, f"input_{start}.root", start, stop, columns) for start, stop in ((0, 16), (16, 30))]
    (tmp_path / "friend.json").write_text(json.dumps(described("HCR_input", list(columns), [(file_of(target), pieces)])))
    groups = [{"tags": "year:UL18", "files": ["pico.root"], "friends": ["friend.json"]}]
    table = read(SourceOptions.model_validate({"path": tmp_path, "kind": "prepared", "groups": groups}))
    assert len(table) == ROWS
    np.testing.assert_array_equal(table.can_jets[:, 0, 0], ak.to_numpy(ak.max(jets["jet_pt"], axis=1)))
    assert table.has("SR").sum() == 10


def lose(document: Document) -> None:
    del document["data"][0][1][2]


def lose_end(document: Document) -> None:
    del document["data"][0][1][0]


def overlap(document: Document) -> None:
    document["data"][0][1][2]["start"] = 5


def twice(document: Document) -> None:
    document["data"].append(document["data"][0])


def other_file(document: Document) -> None:
    document["data"][0][0]["uuid"] = "00000000-0000-0000-0000-000000000000"


def nowhere(document: Document) -> None:
    document["data"][0][0] |= {"uuid": "", "path": "elsewhere.root"}


def other_rows(document: Document) -> None:
    document["data"][0][0]["num_entries"] = ROWS + 1


def beyond(document: Document) -> None:
    del document["data"][0][0]["num_entries"]
    document["data"][0][1][0]["stop"] = 40


def short_piece(document: Document) -> None:
    """The list says 13 rows, the tree of the piece has 10."""
    document["data"][0][1][2]["chunk"]["path"] = document["data"][0][1][0]["chunk"]["path"]


def no_branch(document: Document) -> None:
    document["branches"] = ["FvT", "SvB"]


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lose, "EVT020", "lacks rows 7 to 19"),
        (lose_end, "EVT020", "lacks rows 20 to 29"),
        (nowhere, "EVT020", "has none of its 30 rows"),
        (overlap, "EVT021", "gives rows 5 to 6 twice"),
        (twice, "EVT021", "gives rows 0 to 6 twice"),
        (other_file, "EVT022", "for a file of another UUID"),
        (other_rows, "EVT022", "was made for 31 rows, the file has 30"),
        (beyond, "EVT022", "goes to row 39, the file has 30 rows"),
        (short_piece, "EVT020", "should hold rows 7 to 19, but has 10 rows"),
        (no_branch, "EVT012", "no column 'SvB'"),
    ],
)
def test_rows_that_are_missing_or_given_twice_or_of_another_file(
    tmp_path: Path, change: Callable[[Document], None], code: str, says: str
) -> None:
    options = study(tmp_path, change=change)
    if change is no_branch:
        options = SourceOptions.model_validate({**options.model_dump(), "columns": {"SvB": "SvB"}})
    with pytest.raises(BadFile) as caught:
        read(options)
    assert caught.value.finding == code
    assert says in str(caught.value)


def of_two(tmp_path: Path) -> SourceOptions:
    """The file with its friend, and another friend whose columns have the same names and twice the values."""
    options = study(tmp_path)
    columns = {"FvT": 2 * SCORES, "FvT_std": SCORES, "bdt": SCORES}
    piece_ = piece(tmp_path / "other", "all.root", 0, ROWS, columns)
    (tmp_path / "other" / "friend.json").write_text(json.dumps(described("FvT", list(columns), [(file_of(tmp_path / "a.root"), [piece_])])))
    specs = ("friends/friend.json@@FvT", "other/friend.json")
    group = options.groups[1].model_copy(update={"friends": specs})
    return options.model_copy(update={"groups": (options.groups[0], group)})


def test_a_column_of_two_friends_is_taken_from_neither_and_told(tmp_path: Path) -> None:
    options = of_two(tmp_path)
    (found,) = listing(options).findings
    assert (found.code, found.severity) == ("EVT024", "note")
    assert found.place == "friends/friend.json@@FvT and other/friend.json"
    assert found.text == "both have FvT and FvT_std, taken from none of them"
    extra = read(options).extra
    assert not {"FvT", "FvT_std"} & set(extra)
    np.testing.assert_array_equal(extra["bdt"], SCORES)


def test_where_the_study_names_it_or_it_has_a_meaning_it_is_an_error(tmp_path: Path) -> None:
    options = of_two(tmp_path).model_copy(update={"columns": {"ratio": "FvT"}})
    (found,) = listing(options).findings
    assert (found.code, found.severity) == ("EVT024", "error")
    with pytest.raises(BadFile, match="no column 'FvT', which the study names for ratio"):
        read(options)


def test_a_friend_that_goes_with_no_file_is_told(tmp_path: Path) -> None:
    options = study(tmp_path)
    groups = [options.groups[0].model_dump(), {"tags": "label:dada", "friends": ["friends/friend.json@@FvT"]}]
    (found,) = listing(SourceOptions.model_validate({**options.model_dump(), "groups": groups})).findings
    assert (found.code, found.place) == ("EVT001", "label:dada")


def test_a_document_that_is_none_says_what_it_has(tmp_path: Path) -> None:
    study(tmp_path)

    def listed(spec: str) -> None:
        listing(
            source(tmp_path, "a.root").model_copy(update={"groups": (study(tmp_path).groups[0].model_copy(update={"friends": (spec,)}),)})
        )

    with pytest.raises(DataError, match=r"there is: FvT, other"):
        listed("friends/friend.json")
    with pytest.raises(MissingError, match="no key 'FVT'"):
        listed("friends/friend.json@@FVT")
    with pytest.raises(MissingError, match="cannot be read"):
        listed("friends/no.json")


@pytest.mark.parametrize("place", ["output/friends", "friends"])
def test_the_folder_of_a_run_stands_for_the_friend_in_it(tmp_path: Path, place: str) -> None:
    options = study(tmp_path)
    run = tmp_path / "predict-0123456789"
    (run / place).parent.mkdir(parents=True)
    (tmp_path / "friends").rename(run / place)
    (run / place / "friend.json").rename(run / place / "FvT.json")
    content = json.loads((run / place / "FvT.json").read_text())
    (run / place / "FvT.json").write_text(json.dumps(content["FvT"]))
    group = options.groups[1].model_copy(update={"friends": (run.name,)})
    found = read(options.model_copy(update={"groups": (options.groups[0], group)}))
    assert np.allclose(found.extra["FvT"], SCORES)


def test_a_folder_without_a_friend_or_with_several_is_refused(tmp_path: Path) -> None:
    options = study(tmp_path)
    group = options.groups[1].model_copy(update={"friends": ("run",)})
    options = options.model_copy(update={"groups": (options.groups[0], group)})
    (tmp_path / "run" / "friends").mkdir(parents=True)
    with pytest.raises(MissingError, match="there is no friend in this folder"):
        listing(options)
    for name in ("FvT", "SvB"):
        (tmp_path / "run" / "friends" / f"{name}.json").write_text("{}")
    with pytest.raises(MissingError, match=r"several friends here: FvT\.json"):
        listing(options)


def test_the_run_has_to_be_done(tmp_path: Path) -> None:
    options = study(tmp_path)
    run_folder(tmp_path / "run", step="predict")
    group = options.groups[1].model_copy(update={"friends": ("run",)})
    with pytest.raises(MissingError, match="not done"):
        listing(options.model_copy(update={"groups": (options.groups[0], group)}))

"""Friend trees as anybody reads them: our own reader, uproot, pyarrow."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import uproot

from labwright.events.reading.files import opened
from labwright.events.reading.friends import load
from labwright.events.scoring import friend_files
from labwright.events.scoring.friend_files import FriendFile, Source, document, identifier, plan, write_parquet, write_root
from labwright.testing.trees import events
from labwright.testing.trees import write_root as write_events

ROWS = 25
SCORES = np.linspace(-1, 1, ROWS, dtype=np.float32)


def read(start: int, stop: int) -> dict[str, Any]:
    return {"FvT": SCORES[start:stop], "FvT_n_models": np.arange(start, stop, dtype=np.uint8)}


def source(path: Path) -> Source:
    with opened(str(path), "Events") as tree:
        return Source(path.name, str(path), tree.uuid, "Events", tree.entries)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several baskets and row groups in each file."""
    monkeypatch.setattr(friend_files, "BLOCK_ROWS", 4)


def test_files_cover_each_source_and_have_names_of_their_own() -> None:
    sources = [
        Source("a/x.root", "", "", "Events", 25),
        Source("b/x.root", "", "", "Events", 10),
        Source("c/é y.root", "", "", "Events", 0),
    ]
    assert [one.stem for one in plan("FvT", sources, 10)] == [
        "FvT_0_x_0_10",
        "FvT_0_x_10_20",
        "FvT_0_x_20_25",
        "FvT_1_x_0_10",
    ]
    (one,) = plan("SvB", [Source("a/é:y.root", "", "", "Events", 3)], 10)
    assert one.stem == "SvB_0___y_0_3"


@pytest.mark.parametrize("form", ["root", "parquet"])
def test_our_own_reader_joins_them_to_their_rows(tmp_path: Path, form: str) -> None:
    target = source(write_events(tmp_path / "data.root", events(ROWS)))
    files = plan("FvT", [target], 10)
    for one in files:
        path = tmp_path / "friends" / f"{one.stem}.{form}"
        path.parent.mkdir(exist_ok=True)
        if form == "root":
            write_root(path, one, read, "key")
        else:
            write_parquet(path, one, read)
    told = document("FvT", ["FvT", "FvT_n_models"], [target], files, form, "key")
    (tmp_path / "friends" / "FvT.json").write_text(json.dumps(told))
    friend = load("friends/FvT.json@@FvT", tmp_path)
    with opened(target.address, "Events") as tree:
        pieces = friend.pieces(tree)
        assert [(one.start, one.stop) for one in pieces] == [(0, 10), (10, 20), (20, 25)]
        for piece in pieces:
            with opened(piece.address, piece.tree) as own:
                assert own.scalars() == {"FvT", "FvT_n_models"}
                assert np.asarray(own.read(["FvT"], 0, own.entries)["FvT"]).tolist() == SCORES[piece.start : piece.stop].tolist()


def test_others_read_them_too(tmp_path: Path) -> None:
    one = FriendFile(0, 3, 20, "x")
    write_root(tmp_path / "x.root", one, read, "key")
    write_parquet(tmp_path / "x.parquet", one, read)
    with uproot.open(tmp_path / "x.root") as file:
        found = file["Events"].arrays(library="np")
        assert str(file.file.uuid) == str(identifier("key", one))
        assert file["Events"].typenames() == {"FvT": "float", "FvT_n_models": "uint8_t"}
    table = parquet.read_table(tmp_path / "x.parquet")
    for name, values in read(3, 20).items():
        np.testing.assert_array_equal(found[name], values)
        np.testing.assert_array_equal(table.column(name).to_numpy(), values)


def test_the_same_rows_make_the_same_file(tmp_path: Path) -> None:
    """Bytes of Parquet; arrays and UUID of ROOT, which keeps the moment too."""
    one = FriendFile(0, 3, 20, "x")
    for name in ("x", "y"):
        write_root(tmp_path / f"{name}.root", one, read, "key")
        write_parquet(tmp_path / f"{name}.parquet", one, read)
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()
    with uproot.open(tmp_path / "x.root") as first, uproot.open(tmp_path / "y.root") as second:
        assert first.file.uuid == second.file.uuid == identifier("key", one)
        assert identifier("another key", one) != identifier("key", one)
        arrays = [file["Events"].arrays(library="np") for file in (first, second)]
        assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in read(3, 20))


def test_a_file_keeps_the_moment_in_which_it_was_written(tmp_path: Path) -> None:
    before = datetime.now().replace(microsecond=0)
    write_root(tmp_path / "x.root", FriendFile(0, 3, 20, "x"), read, "key")
    with uproot.open(tmp_path / "x.root") as file:
        assert file.modified_on >= before


def test_a_file_under_two_names_is_claimed_once() -> None:
    sources = [Source(name, name, "one-uuid", "Events", 5) for name in ("a.root", "b.root")] + [Source("c.h5", "c.h5", "", "g", 5)] * 2
    told = document("FvT", ["FvT"], sources, plan("FvT", sources, 5), "root", "key")
    assert [target["path"] for target, _ in told["FvT"]["data"]] == ["a.root", "c.h5", "c.h5"]

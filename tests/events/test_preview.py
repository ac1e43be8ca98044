from __future__ import annotations

from pathlib import Path

import numpy as np

from labwright.events.preview import preview
from labwright.events.source_options import SourceOptions
from labwright.testing.trees import events, write_root
from tests.events.test_friends import study
from tests.events.trees import source


def test_each_set_of_tags_has_its_files_friends_selection_columns_classes_rows_and_weights(tmp_path: Path) -> None:
    columns = events(30)
    write_root(tmp_path / "t.root", columns)
    options = study(tmp_path)
    groups = [*(group.model_dump() for group in options.groups), {"tags": "label:ttbar,year:UL17", "files": ["t.root"]}]
    lines = preview(
        SourceOptions.model_validate({**options.model_dump(), "groups": groups, "jets": {"min_pt_gev": 40}}),
        {"d": "label:data", "t": "label:ttbar", "all": ""},
    )
    text = "\n".join(lines)
    data, ttbar = text.split("label:ttbar,year:UL17: ")
    assert data.startswith("label:data,year:UL18: 1 file: a.root\n")
    assert "friends: friends/friend.json@@FvT" in data
    assert "friends: none" in ttbar
    assert "four jets of highest transverse momentum with pt ≥ 40 GeV, up to 8 others" in data
    assert "pt ← jet_pt" in data
    assert "FvT" in data.split("columns:")[1]
    assert "FvT" not in ttbar
    assert "classes: d; all" in data
    assert "classes: t; all" in ttbar
    total = float(np.sum(columns["weight"], dtype=np.float64))
    assert f"30 rows, sum of weights {total:.6g}" in ttbar


def test_a_file_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(30))
    (tmp_path / "b.root").write_bytes(b"no tree")
    lines = preview(source(tmp_path, "*.root"), {})
    assert any("error EVT010" in line and "b.root" in line for line in lines)
    assert any("30 rows" in line for line in lines)

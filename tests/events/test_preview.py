from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labwright.cli.main import main
from labwright.events.pack_options import PackOptions
from labwright.events.preview import preview
from labwright.events.source_options import SourceOptions
from labwright.testing.trees import events, write_root
from tests.events.reading.test_friends import study
from tests.events.studies import codes, conducted, two
from tests.events.trees import source


def packed(options: SourceOptions, **classes: Any) -> PackOptions:
    return PackOptions.model_validate({"source": options.model_dump(), "classes": classes or {"a": {}, "b": {"tags": "year:UL18"}}})


def test_each_set_of_tags_has_its_files_friends_selection_columns_classes_rows_and_weights(tmp_path: Path) -> None:
    columns = events(30)
    write_root(tmp_path / "t.root", columns)
    options = study(tmp_path)
    groups = [*(group.model_dump() for group in options.groups), {"tags": "label:ttbar,year:UL17", "files": ["t.root"]}]
    lines = preview(
        packed(
            SourceOptions.model_validate({**options.model_dump(), "groups": groups, "jets": {"min_pt_gev": 40}}),
            d={"tags": "label:data", "weight": []},
            t={"tags": "label:ttbar", "where": ["SR", "SB|CR"], "prescale": 10},
            all={},
        )
    )
    text = "\n".join(lines)
    data, ttbar = text.split("label:ttbar,year:UL17: ")
    assert data.startswith("label:data,year:UL18: 1 file: a.root\n")
    assert "friends: friends/friend.json@@FvT" in data
    assert "friends: none" in ttbar
    assert "four jets of highest transverse momentum with pt ≥ 40 GeV, up to 8 others" in data
    assert "pt ← jet_pt" in data
    assert "FvT" in data.split("columns:")[1]
    (differs,) = [line for line in ttbar.splitlines() if "columns:" in line]
    assert differs.startswith("  columns: as above, ")
    assert "FvT" in differs.split("without")[1]
    assert "classes: d, not weighed; all, weighed by weight\n" in data
    assert "classes: t where SR and SB|CR, weighed by weight, one in 10; all, weighed by weight\n" in ttbar
    total = float(np.sum(columns["weight"], dtype=np.float64))
    assert f"30 rows, sum of weights {total:.6g}" in ttbar


def test_columns_are_as_those_that_stand_above_in_full(tmp_path: Path) -> None:
    few = events(30)
    write_root(tmp_path / "a.root", {**few, **{f"further_{number}": few["weight"] for number in range(40)}})
    for name in ("b.root", "c.root"):
        write_root(tmp_path / name, few)
    groups = [{"tags": f"label:{name}", "files": [f"{name}.root"]} for name in "abc"]
    lines = preview(packed(SourceOptions.model_validate({"path": tmp_path, "groups": groups}), all={}))
    first, second, third = [line.removeprefix("  columns: ") for line in lines if "columns:" in line]
    assert "further_39" in first
    assert second.startswith("pt ← jet_pt")
    assert third == "as above"


def test_a_file_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", events(30))
    (tmp_path / "b.root").write_bytes(b"no tree")
    lines = preview(packed(source(tmp_path, "*.root")))
    assert lines[-1].startswith("error EVT010 b.root: this is no ROOT file")
    assert any("30 rows" in line for line in lines)


def test_a_weight_that_no_file_has_is_refused_in_a_dry_run_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:B", "weight": ["wieght"]}, "S": {"tags": "label:S"}})
    assert main(["run", str(path), "--dry-run"]) == 78
    said = "".join(capsys.readouterr())
    assert "no file has a column 'wieght'; did you mean 'weight'" in said
    assert "EVT033" not in said


def test_a_class_whose_tags_no_file_has_is_told_with_what_is_near(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:b"}, "S": {"tags": "label:S"}})
    assert main(["run", str(path), "--dry-run", "--step", "pack"]) == 65
    assert "error EVT033 B: no file has all of its tags 'label:b'; did you mean label:B" in capsys.readouterr().out


@pytest.mark.parametrize(("where", "regions"), [("pass_hlt", "run2"), ("!pass_hlt", "run2"), ("SR", "file"), ("SB|pass_hlt", "run2")])
def test_a_flag_that_a_file_does_not_have_is_told(tmp_path: Path, where: str, regions: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = two(tmp_path, classes={"B": {"tags": "label:B", "where": [where]}, "S": {"tags": "label:S"}}, regions=regions)
    assert main(["run", str(path), "--dry-run", "--step", "pack"]) == 65
    flag = where.removeprefix("!").rpartition("|")[2]
    says = f"error EVT012 background.root: there is no column for {flag}, which class B asks for; name it in source.columns: {{{flag}: …}}"
    assert says in capsys.readouterr().out
    run = conducted(path)
    assert ("EVT012", "error", "background.root") in codes(run)
    assert ("EVT012", "error", "signal.root") not in codes(run)


def test_a_flag_by_another_name_is_no_finding(tmp_path: Path) -> None:
    classes = {"B": {"tags": "label:B", "where": ["pass_hlt", "SR|SB|!SR"]}, "S": {"tags": "label:S"}}
    files = {"HLT_Jets": np.arange(900) % 2 == 0}
    groups = {"signal": {"HLT_Jets": np.ones(700, bool)}, "background": files}
    run = conducted(two(tmp_path, classes=classes, source={"columns": {"pass_hlt": "HLT_Jets"}}, **groups))
    assert not [one for one in codes(run) if one[1] == "error"]
    assert run.figures()["events_B"] == 450

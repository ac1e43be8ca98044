"""Bad data stop before training; what is only odd is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labwright.cli.main import main
from labwright.events.findings import CATALOGUE
from labwright.events.toy import write_toy
from tests.events.studies import codes, conducted, study, two


def checked(path: Path, *sets: str) -> list[tuple[str, str, str]]:
    return [one for one in codes(conducted(path, *sets, step="check")) if one[0] != "EVT003"]


def varied(count: int) -> np.ndarray[Any, Any]:
    return 17.0 + np.arange(count) % 2


def test_good_data_have_no_findings(tmp_path: Path) -> None:
    path = two(tmp_path, signal={"year": varied(700)}, background={"year": varied(900)})
    run = conducted(path, step="check")
    assert codes(run) == []
    assert run.figures()["labelled"] == 1600


def test_a_single_year_is_a_note(tmp_path: Path) -> None:
    """The original gave nothing but NaN for it."""
    assert checked(two(tmp_path)) == [("EVT038", "note", "year")]


def test_many_negative_weights_are_a_warning(tmp_path: Path) -> None:
    path = two(tmp_path, signal={"weight": np.where(np.arange(700) % 5 < 1, -1.0, 1.0)})
    assert ("EVT035", "warning", "S") not in checked(path)
    assert ("EVT035", "warning", "S") in checked(path, "check.max_negative=0.1")


def test_jets_that_are_often_dropped_are_a_warning(tmp_path: Path) -> None:
    path = two(tmp_path, signal={"jets": 9}, source={"jets": {"max_others": 4}})
    assert ("EVT019", "warning", "events") in checked(path)
    assert ("EVT019", "warning", "events") not in checked(path, "check.max_other_jets_dropped=1")


def test_errors_of_the_pack_end_the_command_with_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two(tmp_path, signal={"weight": np.zeros(700)})
    assert main(["check", str(path), "--set", "run.on.workers=1"]) == 65
    said = capsys.readouterr().out
    assert "EVT034" in said
    assert CATALOGUE["EVT034"].todo in said


def test_the_toy_passes_as_a_study_of_fvt(tmp_path: Path) -> None:
    write_toy(tmp_path / "data", "fvt", 1500, 3)
    groups = [
        {"tags": f"label:{name},year:{year}", "files": [f"toy_{name}_{year}.root"]}
        for name in ("data", "ttbar")
        for year in ("UL17", "UL18")
    ]
    classes = {
        "d4": {"tags": "label:data", "where": ["four_tag", "SB"]},
        "d3": {"tags": "label:data", "where": ["three_tag", "SB|SR"], "weight": ["weight", "pseudo_tag_weight"]},
        "t4": {"tags": "label:ttbar", "where": ["four_tag", "SB|SR"]},
        "t3": {"tags": "label:ttbar", "where": ["three_tag", "SB|SR"], "weight": ["weight", "pseudo_tag_weight"], "prescale": 2},
    }
    source = {"jets": {"min_pt_gev": 40, "max_abs_eta": 2.4}}
    run = conducted(study(tmp_path, groups, classes, source=source), step="check")
    assert {one[1] for one in codes(run)} <= {"note"}
    pack = conducted(tmp_path / "study.yaml")
    assert all(pack.figures()[f"events_{name}"] > 20 for name in classes)
    assert "EVT032" in {one[0] for one in codes(pack)}, "four-tag data of the signal region are withheld, and scored all the same"

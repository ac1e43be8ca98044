"""The table of joules: from runs, or from folders of them; methods stay apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labwright.cli.arguments import parse
from labwright.cli.commands import energy
from labwright.cli.verbs import BY_NAME
from labwright.runs.errors import MissingError
from labwright.runs.journal import Journal


def write_run(folder: Path, *increments: tuple[str, float | None, str, float]) -> Path:
    """A run folder that holds energy records of (stage, joules, method, seconds)."""
    folder.mkdir(parents=True)
    description = {"recipe": "cells", "step": folder.name.partition("-")[0], "fingerprint": "0" * 64, "options": {}}
    (folder / "step.json").write_text(json.dumps(description))
    journal = Journal(folder / "journal" / "0001.jsonl")
    for stage, joules, method, seconds in increments:
        journal.record(
            "energy", stage=stage, joules=joules, method=method, scope="gpu 0", coverage=1.0 if joules is not None else 0.0, seconds=seconds
        )
    journal.close()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs" / "pack-0000000000", ("pack", 36.0, "RAPL", 3.6))
    write_run(tmp_path / "runs" / "train-0000000000", ("train", 3.6e6, "NVML counter", 7200.0), ("train", None, "not measured", 60.0))
    return tmp_path


def call(*places: Path, runs: Path | None = None, as_json: bool = False) -> int:
    words = [*map(str, places), *(["--runs", str(runs)] if runs else ()), *(["--json"] if as_json else ())]
    return energy.run(parse(BY_NAME["energy"], words))


def test_the_table_has_a_row_for_each_stage_and_a_total_for_each_method(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder) == 0
    printed = capsys.readouterr().out
    assert "3.6 MJ (1 kWh) by NVML counter" in printed
    assert "36 J (1e-05 kWh) by RAPL" in printed
    assert "not added up" in printed
    (unmeasured,) = [line for line in printed.splitlines() if "not measured" in line]
    assert " 0 J" not in unmeasured
    train = next(line for line in printed.splitlines() if "3.6 MJ" in line and "train" in line)
    assert train.split()[-1] == "500"  # mean watts


def test_json_holds_the_same_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(folder, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert [row["joules"] for row in printed["rows"]] == [36.0, 3.6e6, None]
    assert {total["method"]: total["kwh"] for total in printed["totals"]} == {"RAPL": 1e-5, "NVML counter": 1.0, "not measured": None}


@pytest.mark.parametrize("place", [".", "runs"])
def test_runs_are_found_from_the_folder_of_a_study_and_that_of_its_runs(
    folder: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call(folder / place, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 3


def test_a_run_named_twice_counts_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(folder / "runs" / "pack-0000000000", folder, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 3


def test_runs_may_lie_elsewhere(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "scratch" / "pack-1111111111", ("pack", 1.0, "RAPL", 1.0))
    call(folder, runs=tmp_path / "scratch", as_json=True)
    assert [row["run"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["pack-1111111111"]


def test_nothing_measured_is_said_and_is_not_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(write_run(tmp_path / "pack-0000000000", ("pack", None, "not measured", 10.0)))
    printed = capsys.readouterr().out
    assert "Energy: not measured" in printed
    assert "0 J" not in printed


def test_a_place_without_runs_is_missing_input(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no run here"):
        call(tmp_path / "absent.yaml")
    with pytest.raises(MissingError, match="no runs yet"):
        call(tmp_path, runs=tmp_path)

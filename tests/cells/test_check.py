"""Bad data stop before training: leaks, missing labels, empty splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from labwright.cells.findings import CATALOGUE
from labwright.cli.main import main
from labwright.data.findings import GENERIC
from labwright.runs.run import Run
from labwright.testing.tiny import write_tiff
from tests.cells.studies import conducted, tiny


def found(run: Run) -> list[tuple[str, str, str]]:
    return [(one["code"], one["severity"], one["place"]) for one in run.findings()]


def checked(study: Path, *sets: str) -> Run:
    return conducted(study, *sets, step="check")["check"]


def test_good_data_have_no_findings(tmp_path: Path) -> None:
    run = checked(tiny(tmp_path))
    assert found(run) == []
    assert (run.figures()["errors"], run.figures()["items"]) == (0, 4)


def test_neighbouring_frames_on_both_sides_are_an_error_and_distant_ones_a_warning(tmp_path: Path) -> None:
    study = tiny(tmp_path, frames=8, split='{train: ["01:0-2"], validate: ["01:5-7"]}')
    assert sorted(found(checked(study))) == [("LAB001", "warning", "01"), ("LAB008", "note", "items")]
    near = checked(study, "check.min_gap_frames=3")
    assert ("LAB002", "error", "01") in found(near)
    assert near.figures()["errors"] == 1


def test_a_frame_saved_into_both_splits_is_found(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    data = tmp_path / "data"
    (data / "02" / "t000.tif").write_bytes((data / "01" / "t001.tif").read_bytes())
    assert ("LAB003", "error", "data/01/frame 1") in found(checked(study))


@pytest.mark.parametrize("sequence", ["01", "02"])
def test_a_missing_mask_is_an_error_in_train_and_in_validate(tmp_path: Path, sequence: str) -> None:
    study = tiny(tmp_path)
    (tmp_path / "data" / f"{sequence}_GT" / "SEG" / "man_seg000.tif").unlink()
    assert ("CEL002", "error", f"data/{sequence}/frame 0") in found(checked(study))


def test_a_split_for_prediction_needs_no_masks(tmp_path: Path) -> None:
    study = tiny(tmp_path, split='{train: ["01"], test: ["02"]}')
    for path in (tmp_path / "data" / "02_GT" / "SEG").iterdir():
        path.unlink()
    assert found(checked(study, "train.validate=never")) == [("CEL004", "note", "data/02")]


def test_an_empty_split_and_a_mistyped_sequence_are_told_with_what_there_is(tmp_path: Path) -> None:
    run = checked(tiny(tmp_path, split='{train: ["01"], validate: ["O2"]}'))
    texts = {one["code"]: one["text"] for one in run.findings()}
    assert "split validate has no items; the sequences are 01, 02" in texts["LAB004"]


def test_a_split_whose_frames_are_all_bad_is_empty(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    for path in (tmp_path / "data" / "02").iterdir():
        write_tiff(path, np.zeros_like(tifffile.imread(path)))
    codes = [code for code, *_ in found(checked(study))]
    assert codes.count("CEL014") == 2
    assert "LAB004" in codes


def test_specks_are_counted(tmp_path: Path) -> None:
    study = tiny(tmp_path)
    path = tmp_path / "data" / "01_GT" / "SEG" / "man_seg000.tif"
    labels = tifffile.imread(path)
    labels[0, 0:3] = 90
    write_tiff(path, labels)
    assert checked(study).figures()["specks"] == 1
    assert checked(study, "check.min_cell_px=3").figures()["specks"] == 0


def test_every_finding_has_the_severity_of_its_code(tmp_path: Path) -> None:
    study = tiny(tmp_path, frames=8, split='{train: ["01:0-2"], validate: ["01:3-5", "09"]}')
    (tmp_path / "data" / "01" / "t001.tif").write_bytes(b"")
    catalogue = {**GENERIC, **CATALOGUE}
    rows = found(checked(study))
    assert {code for code, *_ in rows} >= {"CEL010", "LAB001", "LAB002", "LAB006"}
    assert all(severity == catalogue[code].severity for code, severity, _ in rows)


def test_errors_end_the_command_with_65_and_training_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tiny(tmp_path, frames=4, split='{train: ["01:0-1"], validate: ["01:2-3"]}')
    assert main(["check", str(study), "--set", "run.on.workers=1"]) == 65
    said = capsys.readouterr().out
    assert "LAB002" in said
    assert GENERIC["LAB002"].todo in said
    assert main(["train", str(study), "--quiet", "--set", "run.on.workers=1"]) == 65
    assert "LAB002" in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("train-*"))

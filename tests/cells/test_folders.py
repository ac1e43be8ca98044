"""Any two folders of masks are scored without a study, paired by number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from labwright.cells.folders import evaluate_folders, numbered
from labwright.cells.metrics import score_frame
from labwright.cells.pixels import nearest
from labwright.cli.main import main
from labwright.runs.errors import DataError, MissingError
from labwright.testing.tiny import write_tiff


def blocks(seed: int, size: int = 40) -> np.ndarray:
    """Some cells, other ones for each seed."""
    generator = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.uint16)
    for number in range(1, 5):
        y, x = generator.integers(0, size - 12, 2)
        labels[y : y + generator.integers(4, 12), x : x + generator.integers(4, 12)] = number
    return labels


def fill(folder: Path, names: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, labels in names.items():
        write_tiff(folder / name, labels)
    return folder


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return fill(tmp_path / "truth", {f"man_seg{frame:04d}.tif": blocks(frame) for frame in (0, 2, 11)})


def test_masks_are_paired_by_number_whatever_their_order_and_padding(truth: Path, tmp_path: Path) -> None:
    # Sorted by name, these stand in the order 11, 2, 0.
    predictions = fill(tmp_path / "predictions", {"a_mask11.tif": blocks(11), "b_t2.tif": blocks(2), "c0.TIFF": blocks(0)})
    scores = evaluate_folders(predictions, truth, bootstrap=0)
    assert [row["frame"] for row in scores["frames"]] == [0, 2, 11]
    assert scores["summary"]["overall"]["instance_dice"] == 1.0


def test_figures_are_those_of_the_pairs(truth: Path, tmp_path: Path) -> None:
    predictions = fill(tmp_path / "predictions", {f"mask{frame:03d}.tif": blocks(frame + 1) | blocks(frame) for frame in (0, 2, 11)})
    for size in ("original", "256"):
        rows = evaluate_folders(predictions, truth, size, bootstrap=0)["frames"]
        for row, frame in zip(rows, (0, 2, 11), strict=True):
            pair = blocks(frame), blocks(frame + 1) | blocks(frame)
            score = score_frame(*(nearest(labels, (256, 256)) if size == "256" else labels for labels in pair))
            assert row["instance_dice"] == score.instance_dice
            assert 0 < row["instance_dice"] < 1


def test_the_table_tells_intervals_and_what_had_no_truth(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {f"mask{frame:03d}.tif": blocks(frame + 1) | blocks(frame) for frame in (0, 2, 11, 12)}
    predictions = fill(tmp_path / "predictions", names)
    assert main(["evaluate", "--recipe", "cells", "--predictions", str(predictions), "--truth", str(truth)]) == 0
    lines = capsys.readouterr().out.splitlines()
    low, high = evaluate_folders(predictions, truth)["summary"]["overall"]["intervals"]["instance_dice"]
    (dice,) = [line for line in lines if line.startswith("instance_dice")]
    assert dice.endswith(f"{low:.4g} – {high:.4g}")
    assert lines[-1] == "1 prediction had no truth"


def test_the_challenges_names_and_size(truth: Path, tmp_path: Path) -> None:
    names = {f"t{frame:04d}_256.tif": nearest(blocks(frame), (256, 256)) for frame in (0, 2, 11)}
    predictions = fill(tmp_path / "predictions", names)
    assert list(numbered(predictions)) == [0, 2, 11]
    assert evaluate_folders(predictions, truth, "256", bootstrap=0)["summary"]["overall"]["instance_dice"] == 1.0
    with pytest.raises(DataError, match=r"frame 0 has 256×256 pixels, its known mask 40×40.*--size 256"):
        evaluate_folders(predictions, truth)


def test_the_last_number_of_a_name_is_the_frame(tmp_path: Path) -> None:
    folder = fill(tmp_path / "masks", {"01_mask007.tif": blocks(0), "u373_2_t0012_256.tif": blocks(0)})
    (folder / "._mask009.tif").write_bytes(b"left by another system")
    (folder / "notes.txt").write_text("none")
    assert {number: path.name for number, path in numbered(folder).items()} == {7: "01_mask007.tif", 12: "u373_2_t0012_256.tif"}


def test_a_missing_prediction_is_missing_and_a_spare_one_is_counted(truth: Path, tmp_path: Path) -> None:
    predictions = fill(tmp_path / "predictions", {f"mask{frame:03d}.tif": blocks(frame) for frame in (0, 2, 3)})
    with pytest.raises(MissingError, match="1 of 3 frames have no prediction, the first is frame 11"):
        evaluate_folders(predictions, truth)
    write_tiff(predictions / "mask011.tif", blocks(11))
    assert evaluate_folders(predictions, truth)["unused_predictions"] == 1


def test_two_files_of_one_number_and_empty_folders_are_refused(truth: Path, tmp_path: Path) -> None:
    write_tiff(truth / "man_seg2.tif", blocks(2))
    with pytest.raises(DataError, match=r"frame 2 is there twice, as man_seg0002\.tif and man_seg2\.tif"):
        numbered(truth)
    for folder in (tmp_path / "nothing", fill(tmp_path / "empty", {})):
        with pytest.raises(MissingError):
            numbered(folder)


def command(*words: object) -> int:
    return main(["evaluate", "--recipe", "cells", *map(str, words)])


def test_the_command_prints_scores_and_ends_with_the_right_code(truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = fill(tmp_path / "predictions", {f"t{frame:04d}_256.tif": nearest(blocks(frame), (256, 256)) for frame in (0, 2, 11)})
    folders = ("--predictions", predictions, "--truth", truth)
    assert command(*folders, "--size", "256", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["code"] == 0
    assert told["summary"]["overall"]["instance_dice"] == 1.0
    assert len(told["summary"]["overall"]["intervals"]["f1"]) == 2
    assert command(*folders, "--size", "256") == 0
    assert "instance_dice" in capsys.readouterr().out
    assert command(*folders) == 65
    assert "256×256" in capsys.readouterr().err
    (predictions / "t0011_256.tif").unlink()
    assert command(*folders, "--size", "256") == 66
    assert "frame 11" in capsys.readouterr().err

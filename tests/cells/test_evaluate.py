"""The scores are those of the files that lie there, paired by identity."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from imagecodecs import png_decode

from labwright.cells.metrics import FIGURES, score_frame, summarise
from labwright.cells.overlay import GAP_PX
from labwright.cells.pixels import nearest
from labwright.cells.recipe import EvaluateOptions
from labwright.runs.errors import MissingError
from labwright.runs.run import Run
from labwright.testing.tiny import tiny_sequences, write_tiff
from tests.cells.conftest import Trained
from tests.cells.studies import conducted


def evaluated(trained: Trained, *sets: str) -> Run:
    return conducted(trained.study, *trained.sets, *sets, step="evaluate")["evaluate"]


def scores(run: Run) -> dict[str, Any]:
    return json.loads(run.output("scores.json").read_text())


def pictures(run: Run) -> list[str]:
    return [item["path"] for one in run.sections() if one["kind"] == "images" for item in one["items"]]


def pairs(trained: Trained, run: Run) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(truth, prediction) of each frame of sequence 02, read by hand."""
    predict, truth = Run.open(run.inputs["predict"]), trained.study.parent / "data" / "02_GT" / "SEG"
    return {
        f"data/02/frame {frame}": (
            tifffile.imread(truth / f"man_seg{frame:03d}.tif"),
            tifffile.imread(predict.output(f"02_RES/mask{frame:03d}.tif")),
        )
        for frame in (0, 1)
    }


@pytest.mark.parametrize("size", ["original", "256"])
def test_figures_are_those_of_the_files(trained: Trained, size: str) -> None:
    run = evaluated(trained, f"evaluate.size={size}", "evaluate.bootstrap=50")
    frames = []
    for name, pair in pairs(trained, run).items():
        frames.append(score_frame(*(nearest(labels, (256, 256)) if size == "256" else labels for labels in pair)))
        (row,) = [row for row in scores(run)["frames"] if row["identity"] == name]
        assert {figure: row[figure] for figure in FIGURES} == {figure: getattr(frames[-1], figure) for figure in FIGURES}
        assert (row["split"], row["truth_cells"]) == ("validate", 5)
    by_hand = summarise({"02": frames}, resamples=50, seed=1)
    assert scores(run)["splits"] == {"validate": by_hand}
    assert {name: run.figures()[f"{name}_validate"] for name in FIGURES} == {name: by_hand["overall"][name] for name in FIGURES}
    assert run.figures()["instance_dice_validate"] > 0.5


def test_the_two_sizes_are_two_runs(trained: Trained) -> None:
    assert evaluated(trained).name != evaluated(trained, "evaluate.size=256").name


def test_the_report_tells_size_and_interval(trained: Trained) -> None:
    for size, words in (("original", "original size"), ("256", "both sides at 256×256")):
        (section, *_) = evaluated(trained, f"evaluate.size={size}", "evaluate.bootstrap=50").sections()
        assert all(item["method"].startswith(words) for item in section["items"])
        assert "50 resamplings" in section["note"]
        assert "agreement, not accuracy" in section["note"]


def test_best_and_worst_frames_are_shown(trained: Trained) -> None:
    run = evaluated(trained, "evaluate.overlays=1")
    worst, best = [one for one in run.sections() if one["kind"] == "images"]
    rows = sorted(scores(run)["frames"], key=lambda row: row["instance_dice"])
    assert rows[0]["identity"] in worst["items"][0]["caption"]
    assert rows[-1]["identity"] in best["items"][0]["caption"]
    for item in (*worst["items"], *best["items"]):
        assert png_decode(run.output(item["path"]).read_bytes()).shape == (64, 64 + GAP_PX + 64, 3)


def test_no_frame_is_shown_twice_and_none_where_none_is_wanted(trained: Trained) -> None:
    paths = [
        item["path"] for one in evaluated(trained, "evaluate.overlays=9").sections() if one["kind"] == "images" for item in one["items"]
    ]
    assert len(paths) == len(set(paths)) == 2
    assert not evaluated(trained, "evaluate.overlays=0").output("overlays").exists()


def source(folder: Path) -> str:
    return f"predict.source={{path: {folder}}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two sequences with masks."""
    return tiny_sequences(tmp_path / "data", ("x", "y"), frames=2, seed=8)


def test_a_folder_with_masks_is_scored_by_sequence(trained: Trained, folder: Path) -> None:
    run = evaluated(trained, source(folder))
    assert list(scores(run)["splits"]) == ["folder"]
    assert scores(run)["splits"]["folder"]["sequences"].keys() == {"x", "y"}
    assert run.figures()["instance_dice_folder"] > 0.9
    assert (run.figures()["frames_folder"], run.figures()["not_scored_folder"]) == (4, 0)
    assert len(pictures(run)) == 2


def test_frames_without_a_mask_are_left_out(trained: Trained, folder: Path) -> None:
    shutil.rmtree(folder / "y_GT")
    assert evaluated(trained, source(folder)).figures()["frames_folder"] == 2


def test_what_cannot_be_scored_is_counted_and_said(trained: Trained, folder: Path) -> None:
    (folder / "x" / "t000.tif").write_bytes(b"")
    (folder / "x_GT" / "SEG" / "man_seg001.tif").write_bytes(b"")
    mask = folder / "y_GT" / "SEG" / "man_seg000.tif"
    write_tiff(mask, tifffile.imread(mask)[:-2])
    run = evaluated(trained, source(folder))
    assert (run.figures()["frames_folder"], run.figures()["not_scored_folder"]) == (1, 3)
    assert {(one["code"], one["place"]) for one in run.findings()} == {("CEL010", "data/x/frame 1"), ("CEL020", "data/y/frame 0")}
    assert "3 more could not be scored" in run.sections()[0]["note"]


def test_without_any_mask_there_is_nothing_to_score(trained: Trained, folder: Path) -> None:
    for name in ("x_GT", "y_GT"):
        shutil.rmtree(folder / name)
    with pytest.raises(MissingError, match="no predicted frame has a mask"):
        evaluated(trained, source(folder))


def test_two_empty_masks_agree(trained: Trained, tmp_path: Path) -> None:
    data = tiny_sequences(tmp_path / "data", ("x",), frames=2)
    for path in (data / "x_GT" / "SEG").iterdir():
        write_tiff(path, np.zeros_like(tifffile.imread(path)))
    run = evaluated(trained, source(data), "predict.instances={core_min_px: 1e6, isolated_border_min_px: 1e6}")
    assert run.figures()["instance_dice_folder"] == 1.0
    assert run.figures()["seg_folder"] is None
    assert "2 of them empty on both sides" in run.sections()[0]["note"]


def test_the_challenges_rule_is_an_option() -> None:
    assert EvaluateOptions().size == "original"
    assert EvaluateOptions.model_validate({"size": "256"}).size == "256"

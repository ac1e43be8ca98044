"""Prediction of splits and of folders: what is written, what is recorded, and what a bad frame costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from labwright.cells.predict import PART_FRAMES, write_labels
from labwright.cells.source import scan
from labwright.cells.source_options import SourceOptions
from labwright.runs.errors import MissingError
from labwright.runs.publish import digest
from labwright.runs.run import Run
from labwright.study.plan import plan
from labwright.study.resolve import resolve
from labwright.testing.tiny import tiny_sequences
from tests.cells.conftest import Trained
from tests.cells.studies import PLAIN, conducted


def predictions(run: Run) -> dict[str, Any]:
    return json.loads(run.output("predictions.json").read_text())


def predicted(trained: Trained, *sets: str) -> Run:
    return conducted(trained.study, *trained.sets, *sets, step="predict")["predict"]


def model(trained: Trained) -> Path:
    return trained.runs["train"].output("model")


def fingerprint(trained: Trained, *sets: str) -> str:
    study = resolve([trained.study], sets=[*PLAIN, *trained.sets, *sets])
    return {one.name: one.fingerprint for one in plan(study)}["predict"]


def masks(run: Run) -> dict[str, np.ndarray]:
    return {row["identity"]: tifffile.imread(run.output(row["file"])) for row in predictions(run)["frames"]}


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of the challenge, frames of two sizes, masks for the first sequence only."""
    folder = tmp_path_factory.mktemp("unseen")
    tiny_sequences(folder / "made", ("a",), frames=3, seed=5)
    tiny_sequences(folder / "made", ("b",), frames=3, size=48, seed=6)
    for name in ("a", "b"):
        (folder / "data" / name).mkdir(parents=True)
        for path in (folder / "made" / name).iterdir():
            shutil.copy(path, folder / "data" / name / f"t{int(path.stem[1:]):04d}.tif")
    (folder / "data" / "a_GT").mkdir()
    for path in (folder / "made" / "a_GT" / "SEG").iterdir():
        shutil.copy(path, folder / "data" / "a_GT" / f"man_seg{int(path.stem[7:]):04d}.tif")
    return folder / "data"


def source(folder: Path) -> str:
    return f"predict.source={{kind: challenge, path: {folder}}}"


def test_the_masks_of_a_split_are_a_result_folder_as_the_tracking_challenge_has_it(trained: Trained) -> None:
    run = trained.runs["predict"]
    assert sorted(path.name for path in run.output("02_RES").iterdir()) == ["mask000.tif", "mask001.tif"]
    for row in predictions(run)["frames"]:
        labels = tifffile.imread(run.output(row["file"]))
        assert (labels.dtype, labels.shape) == (np.uint16, (64, 64))
        assert row["cells"] == 5 == len(np.unique(labels)) - 1
        assert (row["split"], row["truth"], row["identity"]) == ("validate", "pack", f"data/02/frame {row['frame']}")
    with tifffile.TiffFile(run.output("02_RES/mask000.tif")) as tif:
        assert tif.pages.first.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


def test_what_was_used_is_recorded(trained: Trained) -> None:
    run = trained.runs["predict"]
    figures = run.figures()
    assert (figures["frames"], figures["cells"], figures["unreadable"]) == (2, 10, 0)
    assert (figures["precision"], figures["device"]) == ("fp32", "cpu")
    assert figures["weights"] == f"{trained.runs['train'].name}/output/model/model.safetensors"


def test_joules_are_told_for_each_frame_and_stage_or_not_at_all(trained: Trained) -> None:
    figures = trained.runs["predict"].figures()
    spent = {name: value for name, value in figures.items() if name.startswith("joules_per_frame")}
    assert spent
    assert 0 not in spent.values()
    stages = [value for name, value in spent.items() if name != "joules_per_frame"]
    if spent["joules_per_frame"] is not None:
        assert sum(stages) == pytest.approx(spent["joules_per_frame"])
    (section,) = [one for one in trained.runs["predict"].sections() if one["title"] == "Prediction"]
    shown = {item["name"]: item for item in section["items"]}
    assert bool(shown["joules per frame"]["method"]) == (spent["joules_per_frame"] is not None)


def test_a_folder_without_masks_is_predicted_in_its_own_sizes(trained: Trained, unseen: Path) -> None:
    run = predicted(trained, source(unseen), "predict.challenge_files=true")
    frames = predictions(run)["frames"]
    assert [(row["sequence"], row["frame"]) for row in frames] == [(name, frame) for name in "ab" for frame in range(3)]
    assert [row["truth"] for row in frames] == [*(f"a_GT/man_seg000{frame}.tif" for frame in range(3)), None, None, None]
    assert {labels.shape for labels in masks(run).values()} == {(64, 64), (48, 48)}
    assert run.findings() == []
    challenge = {path.relative_to(run.output("challenge")).as_posix(): path for path in run.output("challenge").rglob("*.tif")}
    assert sorted(challenge) == [f"{name}/t000{frame}_256.tif" for name in "ab" for frame in range(3)]
    small = tifffile.imread(challenge["b/t0001_256.tif"])
    assert small.shape == (256, 256)
    assert set(np.unique(small)) == set(np.unique(masks(run)["data/b/frame 1"]))


def test_a_folder_and_the_pack_give_the_same_masks(trained: Trained) -> None:
    folder = f"predict.source={{path: {trained.study.parent / 'data'}, sequences: ['02']}}"
    from_folder, from_pack = masks(predicted(trained, folder)), masks(trained.runs["predict"])
    assert from_folder.keys() == from_pack.keys()
    assert all(np.array_equal(from_folder[name], from_pack[name]) for name in from_pack)


def test_a_frame_that_cannot_be_read_is_a_finding_and_the_rest_is_predicted(trained: Trained, unseen: Path, tmp_path: Path) -> None:
    whole = masks(predicted(trained, source(unseen)))
    data = shutil.copytree(unseen, tmp_path / "data")
    (data / "a" / "t0001.tif").write_bytes(b"")
    run = predicted(trained, source(data))
    assert [(one["code"], one["severity"], one["place"]) for one in run.findings()] == [("CEL010", "error", "data/a/frame 1")]
    assert run.figures()["unreadable"] == 1
    assert [row["identity"] for row in predictions(run)["unread"]] == ["data/a/frame 1"]
    rest = masks(run)
    assert rest.keys() == whole.keys() - {"data/a/frame 1"}
    assert all(np.array_equal(rest[name], whole[name]) for name in rest)


def test_frames_that_names_set_aside_are_told(trained: Trained, unseen: Path, tmp_path: Path) -> None:
    data = shutil.copytree(unseen, tmp_path / "data")
    shutil.copy(data / "b" / "t0001.tif", data / "b" / "t001.tif")
    run = predicted(trained, source(data))
    assert [(one["code"], one["place"]) for one in run.findings()] == [("CEL003", "data/b/frame 1")]
    assert run.figures()["frames"] == 5


def test_read_files_are_recorded_with_their_digests(trained: Trained, unseen: Path) -> None:
    run = predicted(trained, source(unseen), f"predict.checkpoint={model(trained)}")
    read = run.sources()
    assert read["a/t0002.tif"]["sha256"] == digest(unseen / "a" / "t0002.tif")
    assert read["model.safetensors"]["sha256"] == digest(model(trained) / "model.safetensors")


def test_a_model_by_its_path_needs_no_training_and_gives_the_same_masks(trained: Trained, unseen: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(model(trained), tmp_path / "model")
    study = tmp_path / "study.yaml"
    source_there = f"{{kind: challenge, path: {unseen}}}"
    study.write_text(f"recipe: cells\npack: {{source: {{path: nowhere}}}}\npredict: {{source: {source_there}, checkpoint: model}}\n")
    runs = conducted(study, step="predict")
    assert list(runs) == ["predict"]
    assert runs["predict"].figures()["weights"] == str(copied / "model.safetensors")
    by_name, by_path = masks(predicted(trained, source(unseen))), masks(runs["predict"])
    assert all(np.array_equal(by_name[name], by_path[name]) for name in by_name)


def test_another_model_under_the_same_name_is_another_run(trained: Trained, tmp_path: Path) -> None:
    copied = shutil.copytree(model(trained), tmp_path / "model")
    by_path = f"predict.checkpoint={copied}"
    before = fingerprint(trained, by_path)
    shutil.copytree(copied, tmp_path / "elsewhere" / "model")
    assert fingerprint(trained, f"predict.checkpoint={tmp_path / 'elsewhere' / 'model'}") == before
    weights = bytearray((copied / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copied / "model.safetensors").write_bytes(weights)
    assert fingerprint(trained, by_path) != before


def test_each_checkpoint_is_another_run_with_its_own_weights(trained: Trained) -> None:
    training = trained.runs["train"]
    steps = sorted(int(path.name) for path in (training.folder / "checkpoints" / "model").iterdir() if path.name.isdigit())
    choices = ["best", "last", str(steps[0]), str(training.folder / "checkpoints" / "model" / f"{steps[0]:06d}")]
    assert len({fingerprint(trained, f"predict.checkpoint={choice}") for choice in choices}) == len(choices)
    used = [predicted(trained, f"predict.checkpoint={choice}").figures()["weights"] for choice in choices[1:]]
    assert used[0] == f"{training.name}/checkpoints/model/{steps[-1]:06d}/model.safetensors"
    assert used[1] == f"{training.name}/checkpoints/model/{steps[0]:06d}/model.safetensors"
    assert used[2].endswith(f"checkpoints/model/{steps[0]:06d}/model.safetensors")


@pytest.mark.parametrize(
    ("option", "said"), [("checkpoint=7", "no valid checkpoint 7"), ("checkpoint=/no/such/model", "nothing at this path")]
)
def test_a_checkpoint_that_is_not_there_is_missing(trained: Trained, option: str, said: str) -> None:
    with pytest.raises(MissingError, match=said):
        predicted(trained, f"predict.{option}")


def test_a_split_that_is_not_there_is_missing_and_those_that_are_get_named(trained: Trained) -> None:
    with pytest.raises(MissingError, match=r"split test has no items.*train, validate"):
        predicted(trained, "predict.splits=[test]")


def test_other_rules_for_instances_replace_those_of_the_training(trained: Trained) -> None:
    run = predicted(trained, "predict.instances={core_min_px: 1e6, isolated_border_min_px: 1e6}")
    assert run.figures()["cells"] == 0


def test_tiles_and_batches_change_no_mask(trained: Trained, tmp_path: Path) -> None:
    large = f"predict.source={{path: {tiny_sequences(tmp_path / 'data', ('01',), frames=3, size=150, cells=20)}}}"
    whole, tiled = masks(predicted(trained, large)), masks(predicted(trained, large, "predict.tile_px=64", "predict.batch_size=2"))
    assert max(labels.max() for labels in whole.values()) > 10
    assert all(np.array_equal(tiled[name], whole[name]) for name in whole)


def test_a_kill_costs_a_few_frames_and_not_a_film(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from labwright.cells import predict

    monkeypatch.setattr(predict, "PART_FRAMES", 2)
    data = tiny_sequences(tmp_path / "data", ("01",), frames=5)
    run = predicted(trained, f"predict.source={{path: {data}}}")
    assert [part["id"] for part in json.loads((run.folder / "parts.json").read_text())] == ["01-00000", "01-00002", "01-00004"]
    assert [row["frame"] for row in predictions(run)["frames"]] == list(range(5))
    assert PART_FRAMES <= 100


def test_more_than_65535_labels_are_written_without_wrapping(tmp_path: Path) -> None:
    labels = np.arange(300 * 300, dtype=np.uint32).reshape(300, 300)
    write_labels(tmp_path / "many.tif", labels)
    write_labels(tmp_path / "few.tif", labels % 1000)
    many, few = (tifffile.imread(tmp_path / f"{name}.tif") for name in ("many", "few"))
    assert (many.dtype, few.dtype) == (np.uint32, np.uint16)
    assert np.array_equal(many, labels)
    assert np.array_equal(few, labels % 1000)


def test_a_dry_run_tells_what_would_be_written(trained: Trained, unseen: Path) -> None:
    study = resolve([trained.study], sets=[*PLAIN, *trained.sets, source(unseen)])
    planned = next(one for one in plan(study) if one.name == "predict")
    inputs = {name: one.run for name, one in planned.inputs.items()}
    assert planned.step.preview(planned.options, inputs) == ["3 frames of a → a_RES/mask*.tif", "3 frames of b → b_RES/mask*.tif"]
    assert len(scan(SourceOptions(kind="challenge", path=unseen)).sequences) == 2

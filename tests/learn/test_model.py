"""Trained models as files: found by name or path, exported, loaded again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from labwright.learn.checkpoints import Checkpoints
from labwright.learn.model import checkpoint_files, copy_model, export_model, find_checkpoint, load_weights, read_model, resolve_checkpoint
from labwright.learn.options import FitOptions
from labwright.learn.tensors import read
from labwright.runs.errors import DataError, MissingError
from labwright.runs.publish import digest, remove
from labwright.runs.run import Run
from tests.learn.fake import PART, FakeJob, Regression, train

OPTIONS = FitOptions(epochs=3, batch_size=10, ema=0.9, precision="fp32", accelerator="cpu", learning_rate=0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with checkpoints 2, 4 and 6, of which the last is the best, and no model yet."""
    train(tmp_path, OPTIONS.model_copy(update={"keep": OPTIONS.keep.model_copy(update={"last": 9})}))
    description = {"recipe": "toy", "step": "train", "fingerprint": "0" * 64, "options": {}, "inputs": {}}
    (tmp_path / "step.json").write_text(json.dumps(description))
    return tmp_path


def checkpoint(folder: Path, step: int) -> Path:
    return Checkpoints(folder / "checkpoints" / PART.id).at(step)


def export(folder: Path) -> None:
    export_model(FakeJob(folder), PART, {"network": {"width": 4}})


def silent(text: str) -> None:
    raise AssertionError(text)


def test_names_find_checkpoints(folder: Path) -> None:
    place = folder / "checkpoints" / PART.id
    best = Checkpoints(place).best()[0]["step"]
    assert find_checkpoint("best", place, silent) == checkpoint(folder, best)
    assert find_checkpoint("last", place, silent) == checkpoint(folder, 6)
    assert find_checkpoint("4", place, silent) == checkpoint(folder, 4)


def test_an_absent_checkpoint_lists_those_there_are(folder: Path) -> None:
    with pytest.raises(MissingError, match=r"no valid checkpoint 5\. There are the steps 2, 4, 6") as caught:
        resolve_checkpoint("5", Run.open(folder))
    assert caught.value.code == 66


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(folder: Path) -> None:
    (checkpoint(folder, 6) / "optimizer.safetensors").write_bytes(b"")
    said: list[str] = []
    weights, _ = resolve_checkpoint("last", Run.open(folder), say=said.append)
    assert weights == checkpoint(folder, 4) / "ema.safetensors"
    assert said == ["checkpoint 000006 is passed over: optimizer.safetensors has 0 bytes, not " + said[0].split()[-1]]


def test_a_damaged_best_checkpoint_gives_way_to_the_next_best(tmp_path: Path) -> None:
    train(tmp_path, OPTIONS.model_copy(update={"keep": OPTIONS.keep.model_copy(update={"best": 2})}))
    place = tmp_path / "checkpoints" / PART.id
    first, second = (mark["step"] for mark in Checkpoints(place).best())
    (checkpoint(tmp_path, first) / "state.json").unlink()
    said: list[str] = []
    assert find_checkpoint("best", place, said.append) == checkpoint(tmp_path, second)
    assert len(said) == 1


def test_a_damaged_checkpoint_that_was_asked_for_by_step_is_refused(folder: Path) -> None:
    content = bytearray((checkpoint(folder, 4) / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (checkpoint(folder, 4) / "model.safetensors").write_bytes(content)
    for spec in ("4", str(checkpoint(folder, 4))):
        with pytest.raises(DataError, match=r"damaged: model\.safetensors differs from its checksum"):
            resolve_checkpoint(spec, Run.open(folder))


def test_the_exported_model_is_the_average_of_the_best_checkpoint(folder: Path) -> None:
    export(folder)
    content = read_model(folder / "output" / "model")
    best = Checkpoints(folder / "checkpoints" / PART.id).best()[0]
    assert (content["network"], content["step"], content["figures"]) == ({"width": 4}, best["step"], best["figures"])
    exported, average = read(folder / "output" / "model" / "model.safetensors"), read(checkpoint(folder, best["step"]) / "ema.safetensors")
    assert exported.keys() == average.keys()
    assert all(torch.equal(exported[name], average[name]) for name in average)
    module = Regression(FakeJob(folder), OPTIONS).module
    load_weights(module, folder / "output" / "model" / "model.safetensors")
    assert torch.equal(module.state_dict()["0.weight"], average["0.weight"])


def test_every_kind_of_path_leads_to_weights_and_their_description(folder: Path) -> None:
    export(folder)
    model = folder / "output" / "model"
    expected = {
        str(folder): model / "model.safetensors",
        str(model): model / "model.safetensors",
        str(model / "model.safetensors"): model / "model.safetensors",
        str(checkpoint(folder, 4)): checkpoint(folder, 4) / "ema.safetensors",
        str(checkpoint(folder, 4) / "model.safetensors"): checkpoint(folder, 4) / "model.safetensors",
    }
    for spec, weights in expected.items():
        assert resolve_checkpoint(spec, None) == (weights, model.resolve() if "checkpoints" in spec else model)
    assert resolve_checkpoint("best", Run.open(folder)) == (model / "model.safetensors", model)


def test_a_run_without_an_exported_model_gives_its_best_checkpoint(folder: Path) -> None:
    best = Checkpoints(folder / "checkpoints" / PART.id).best()[0]["step"]
    assert resolve_checkpoint(str(folder), None)[0] == checkpoint(folder, best) / "ema.safetensors"
    assert resolve_checkpoint("best", Run.open(folder))[0] == checkpoint(folder, best) / "ema.safetensors"


@pytest.mark.parametrize("there", [True, False])
def test_a_path_to_nothing_of_use_is_missing_input(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "some folder"
    if there:
        path.mkdir()
    with pytest.raises(MissingError) as caught:
        resolve_checkpoint(str(path), None)
    assert caught.value.code == 66


def test_a_name_without_a_training_is_missing_input() -> None:
    with pytest.raises(MissingError, match="names a checkpoint of a training"):
        resolve_checkpoint("best", None)


def test_several_parts_have_to_be_told_apart(folder: Path) -> None:
    other = folder / "checkpoints" / "fold-1"
    other.mkdir()
    with pytest.raises(MissingError, match="fold-1, model"):
        resolve_checkpoint("last", Run.open(folder))
    assert resolve_checkpoint("last", Run.open(folder), part=PART.id)[0].parent == checkpoint(folder, 6)


def test_files_of_a_path_enter_a_fingerprint_and_names_do_not(folder: Path) -> None:
    export(folder)
    assert checkpoint_files("best") == checkpoint_files("400") == []
    files = checkpoint_files(str(folder))
    assert [(file.name, file.size) for file in files] == [(file.path.name, file.path.stat().st_size) for file in files]
    assert [file.name for file in files] == ["model.safetensors", "model.json"]
    assert [file.sha256 for file in files] == [digest(file.path) for file in files]
    by_checkpoint = checkpoint_files(str(checkpoint(folder, 4)))
    assert by_checkpoint[0].path == checkpoint(folder, 4) / "ema.safetensors"
    assert by_checkpoint[0].sha256 == digest(by_checkpoint[0].path)


def test_a_copy_of_a_model_carries_its_card(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        copy_model(folder / "output" / "model", tmp_path / "copy", {})
    export(folder)
    copy_model(folder / "output" / "model", tmp_path / "copy", {"README.md": "# A card\n"})
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"model.safetensors", "model.json", "README.md"}
    remove(folder / "output")
    assert resolve_checkpoint(str(tmp_path / "copy"), None) == (tmp_path / "copy" / "model.safetensors", tmp_path / "copy")


def test_a_model_description_that_is_not_json_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(DataError):
        read_model(tmp_path)


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nonet: there is no such folder"):
        read_model(tmp_path / "nonet")
    with pytest.raises(MissingError, match=r"there is no model\.json"):
        read_model(tmp_path)

"""A trained network travels as a folder: safetensors, what is needed to use it, and a card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from labwright.cells.weights import export_weights, load
from labwright.cli.main import main
from labwright.runs.errors import CommandError, DataError, LabwrightError, MissingError
from tests.cells.conftest import Trained
from tests.cells.studies import conducted

CPU = torch.device("cpu")


@pytest.fixture
def exported(trained: Trained, tmp_path: Path) -> Path:
    return export_weights(trained.runs["train"], tmp_path / "model")


def test_the_folder_holds_weights_facts_and_card(trained: Trained, exported: Path) -> None:
    run = trained.runs["train"]
    assert {path.name for path in exported.iterdir()} == {"model.safetensors", "model.json", "README.md"}
    assert json.loads((exported / "model.json").read_text())["recipe"] == "cells"
    given, kept = load(str(exported), None, CPU), load("best", run, CPU)
    assert not given.module.training
    assert (given.view, given.instances, given.level) == (kept.view, kept.instances, kept.level)
    for name, value in kept.module.state_dict().items():
        assert torch.equal(value, given.module.state_dict()[name])


def test_the_card_tells_scores_joules_and_what_they_are_worth(trained: Trained, exported: Path) -> None:
    run = trained.runs["train"]
    card = (exported / "README.md").read_text()
    assert run.name in card
    assert f"| best_instance_dice | {run.figures()['best_instance_dice']:.6g} |" in card
    assert "agreement with them, not accuracy" in card
    assert all(f"| {row['stage']} | " in card and row["method"] in card for row in run.energy())
    assert "None" not in card
    assert "own mean and deviation" in card


def test_the_command_writes_it(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "out"
    assert main(["export", "weights", str(trained.runs["train"].folder), "--to", str(to)]) == 0
    assert str(to) in capsys.readouterr().out
    assert (to / "model.safetensors").is_file()


def test_it_predicts_and_is_a_start_for_training(trained: Trained, exported: Path) -> None:
    runs = conducted(trained.study, *trained.sets, f"predict.checkpoint={exported}", step="evaluate")
    assert "train" not in runs
    assert runs["evaluate"].figures() == trained.runs["evaluate"].figures()
    begun = conducted(
        trained.study, *trained.sets, f"train.start_from={exported}", "train.epochs=1", "train.learning_rate=1e-6", step="train"
    )["train"]
    assert begun.figures()["best_instance_dice"] > 0.9


def test_an_earlier_export_is_replaced_and_nothing_else(trained: Trained, exported: Path) -> None:
    (exported / "README.md").write_text("old")
    export_weights(trained.runs["train"], exported)
    assert (exported / "README.md").read_text() != "old"
    (exported / "thesis.tex").write_text("years of work")
    with pytest.raises(CommandError, match="other files"):
        export_weights(trained.runs["train"], exported)
    assert (exported / "thesis.tex").read_text() == "years of work"


def test_only_a_complete_training_can_be_exported(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="not a complete training"):
        export_weights(trained.runs["predict"], tmp_path / "model")


def edit(folder: Path, **facts: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_the_packs_intensity_comes_back(exported: Path) -> None:
    edit(exported, level=[1200.5, 300.25])
    assert load(str(exported), None, CPU).level == (1200.5, 300.25)


@pytest.mark.parametrize("facts", [{"network": {"widths": "many"}}, {"view": None}, {"level": 5}, {"instances": {"core_px": 1}}])
def test_facts_that_fit_no_cells_network_are_one_sentence(exported: Path, facts: dict[str, object]) -> None:
    edit(exported, **facts)
    with pytest.raises(DataError, match="does not describe a network of the recipe cells"):
        load(str(exported), None, CPU)


def test_weights_of_another_network_or_none_at_all_are_one_sentence(exported: Path) -> None:
    path = exported / "model.safetensors"
    tensors = load_file(path)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, path)
    with pytest.raises(LabwrightError, match=r"model\.safetensors"):
        load(str(exported), None, CPU)
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(DataError):
        load(str(exported), None, CPU)
    path.unlink()
    with pytest.raises(MissingError):
        load(str(exported), None, CPU)


def test_a_name_needs_a_training(trained: Trained) -> None:
    with pytest.raises(MissingError, match="best names a checkpoint of a training"):
        load("best", None, CPU)

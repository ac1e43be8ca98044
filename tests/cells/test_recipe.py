"""The options of a cells study: what is refused, what a step needs, and what its words promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from labwright.cells.recipe import RECIPE, NetworkOptions, PredictOptions, TrainOptions, ViewOptions
from labwright.cells.weights import build
from labwright.runs.errors import StudyError
from labwright.study.fingerprint import effective
from labwright.study.resolve import resolve


def predict(**options: Any) -> PredictOptions:
    return PredictOptions.model_validate(options)


def test_the_defaults_are_those_of_the_baseline() -> None:
    options = TrainOptions()
    assert (options.epochs, options.batch_size, options.learning_rate) == (100, 16, 1e-3)
    assert (options.optimizer.kind, options.schedule.kind) == ("adam", "cosine")
    assert (options.select.metric, options.select.mode) == ("instance_dice", "max")


def test_the_default_network_has_the_baselines_parameters() -> None:
    assert sum(parameter.numel() for parameter in build(NetworkOptions()).parameters()) == 1_927_907


def test_predict_needs_a_training_only_for_a_checkpoint_by_name_and_a_pack_only_for_splits() -> None:
    step = RECIPE.step("predict")
    for name in ("best", "last", 400):
        assert step.needed(predict(checkpoint=name)) == ("pack", "train")
    assert step.needed(predict(checkpoint="/models/rods")) == ("pack",)
    assert step.needed(predict(source={"path": "data"})) == ("train",)
    assert step.needed(predict(source={"path": "data"}, checkpoint="/models/rods")) == ()


@pytest.mark.parametrize(
    ("given", "read"), [("best", "best"), ("last", "last"), (400, 400), ("400", 400), ("models/rods", Path("models/rods"))]
)
def test_a_checkpoint_is_a_word_a_step_or_a_path(given: object, read: object) -> None:
    assert predict(checkpoint=given).checkpoint == read


def test_every_choice_of_checkpoint_counts() -> None:
    choices = ("best", "last", 400, 800, Path("a.safetensors"), Path("runs/train-0123456789/checkpoints/model/000400"))
    assert len({str(effective(predict(checkpoint=choice))) for choice in choices}) == len(choices)


def test_a_path_in_the_study_lies_beside_the_study(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("recipe: cells\npack: {source: {path: data}}\npredict: {checkpoint: models/rods}\n")
    assert resolve([study]).steps["predict"].checkpoint == tmp_path / "models" / "rods"


def test_a_training_that_validates_on_nothing_is_refused_before_anything_runs(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("recipe: cells\npack:\n  source: {path: data}\n  split: {train: ['*']}\n")
    with pytest.raises(StudyError, match=r"pack\.split: has no split named validate, which train\.validate asks for") as caught:
        resolve([study])
    assert caught.value.where == "study.yaml:4"
    for change in ("train.validate=never", "pack.split.validate=02", "predict.checkpoint=models/rods"):
        resolve([study], sets=[change])
    study.write_text("recipe: cells\npack: {from: elsewhere}\n")
    resolve([study])


def test_predicting_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="name at least one split, or a source folder"):
        predict(splits=())


def test_a_whole_frame_has_no_scale_of_its_own() -> None:
    with pytest.raises(ValidationError, match="scaled to size_px"):
        ViewOptions.model_validate({"kind": "frame", "scale": 0.5})

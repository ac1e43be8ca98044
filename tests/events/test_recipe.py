"""What a study of events may say, and how it is told what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from labwright.events.folds import members
from labwright.events.train_options import TrainOptions
from labwright.runs.errors import StudyError
from labwright.study.resolve import Study, resolve

CLASSES = {"B": {"tags": "label:B"}, "S": {"tags": "label:S"}}


def resolved(folder: Path, pack: dict[str, Any] | None = None, train: dict[str, Any] | None = None, *sets: str) -> Study:
    content = {"recipe": "events", "pack": {"source": {"kind": "flat"}, "classes": CLASSES, **(pack or {})}, "train": train or {}}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return resolve([path], sets=list(sets))


def names(study: Study) -> list[str]:
    options = study.steps["train"]
    assert isinstance(options, TrainOptions)
    return [one.name for one in members(options)]


def test_offsets_are_read_however_they_are_written(tmp_path: Path) -> None:
    assert len(names(resolved(tmp_path, None, {"folds": {"offsets": "0-2"}}))) == 9
    assert len(names(resolved(tmp_path, None, {"folds": {"offsets": 4}}))) == 3
    assert (
        names(resolved(tmp_path, None, {"folds": {"kind": "modulo", "k": 5}}, "train.folds.offsets=0-1 4", "train.seeds=0-1"))[-1]
        == "modulo5-f4-s1"
    )


@pytest.mark.parametrize(
    ("pack", "train", "said"),
    [
        ({}, {"folds": {"kind": "modulo", "k": 3, "offsets": "0-3"}}, "train.folds: offset 3 is outside of k: 3 folds are numbered 0 to 2"),
        ({}, {"folds": {"offsets": "2-0"}}, "train.folds.offsets: the range '2-0' runs backwards; write '0-2'"),
        ({}, {"folds": {"offsets": "0,,x"}}, "'x' is neither a number nor a range"),
        ({}, {"seeds": "1 1"}, "train.seeds: 1 is given twice"),
        ({}, {"folds": {"offset": "0"}}, "did you mean 'train.folds.offsets'"),
        ({"classes": {}}, {}, "pack.classes: has 0 entries, but needs at least 1"),
        ({"classes": {"S": {"where": ["SRR"]}}}, {}, "there is no flag 'SRR'; did you mean 'SR'"),
        ({"classes": {"S": {"tag": "x"}}}, {}, "did you mean 'pack.classes.S.tags'"),
        ({"classes": {"S": {"norm_with": "T"}}}, {}, "classes.S.norm_with: 'T' is no class with a norm of its own"),
        ({}, {"objective": "fvt"}, "pack.classes: needs d4 and d3"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, pack: dict[str, Any], train: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError) as caught:
        resolved(tmp_path, pack, train)
    assert said in str(caught.value)


def test_classes_keep_the_order_of_the_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("recipe: events\npack: {source: {kind: flat}, classes: {z: {}, a: {tags: x}, m: {tags: y}}}\n")
    assert list(resolve([path]).steps["pack"].classes) == ["z", "a", "m"]  # type: ignore[attr-defined]

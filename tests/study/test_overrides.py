from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labwright.study.resolve import Study


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.epochs=5", 5),
        ("train.learning_rate=1e-4", 1e-4),
        ("train.learning_rate=1", 1.0),
        ("train.title=no", "no"),
        ("train.title=007", "007"),
        ("train.title=a: [b # c", "a: [b # c"),
        ("train.title=$x ${y}", "$x ${y}"),
        ("train.title=", ""),
        ("train.note=null", None),
        ("train.note=5", "5"),
        ("train.mixed=false", False),
        ("train.mixed=no", False),
        ("train.mode=16", "16"),
        ("train.widths=4,8", (4, 8)),
        ("train.widths=[4, 8]", (4, 8)),
        ("train.widths=4", (4,)),
        ("train.weights=1,2e-1", (1.0, 0.2)),
        ("train.checkpoint=400", 400),
        ("train.checkpoint=best", "best"),
        ("train.costs={a: 1, b: 2}", {"a": 1.0, "b": 2.0}),
        ("train.costs.a=1", {"a": 1.0}),
        ("pack.split.train=01,02", {"train": ("01", "02")}),
        ("run.tags=a b,c", ("a b", "c")),
        ("run.tags=[]", ()),
        ("run.tags=", ()),
    ],
)
def test_a_value_is_read_by_the_type_of_its_target(study: Callable[..., Study], setting: str, value: Any) -> None:
    found = study(sets=(setting,))
    section, name = setting.partition("=")[0].split(".")[:2]
    options: Any = found.run if section == "run" else found.steps[section]
    got = getattr(options, name)
    assert got == value
    assert type(got) is type(value)
    path = setting.partition("=")[0]
    assert found.origins.get(path, found.origins.get(f"{path}.a")) == "--set"


def test_the_command_line_goes_over_the_file_and_the_last_word_counts(study: Callable[..., Study]) -> None:
    found = study("train: {epochs: 3, title: x}", sets=("train.epochs=4", "train.epochs=5"))
    train: Any = found.steps["train"]
    assert (train.epochs, train.title) == (5, "x")


def test_an_option_of_a_section_leaves_its_neighbours(study: Callable[..., Study]) -> None:
    train: Any = study("train: {stop: {patience: 3}}", sets=("train.stop.joules=2e5",)).steps["train"]
    assert (train.stop.patience, train.stop.joules) == (3, 2e5)
    train = study(sets=("train.stop.patience=3",)).steps["train"]
    assert train.stop.patience == 3
    train = study("train: {stop: {patience: 3}}", sets=("train.stop=null",)).steps["train"]
    assert train.stop is None


def test_another_kind_empties_its_section_whatever_the_order(study: Callable[..., Study]) -> None:
    text = "train: {schedule: {kind: cosine, warmup_steps: 9}}"
    train: Any = study(text, sets=("train.schedule.factor=0.5", "train.schedule.kind=step")).steps["train"]
    assert (train.schedule.kind, train.schedule.factor) == ("step", 0.5)


def test_a_path_lies_relative_to_the_current_directory(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found: Any = study(sets=("train.checkpoint=models/a: b", "run.folder=runs", "pack.masks=a,/b"))
    assert found.steps["train"].checkpoint == tmp_path / "models" / "a: b"
    assert found.run.folder == tmp_path / "runs"
    assert found.steps["pack"].masks == (tmp_path / "a", Path("/b"))


def test_a_run_made_elsewhere_can_be_set(study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = study(sets=("pack.from=../pack-0123456789",))
    assert found.taken == {"pack": tmp_path.parent / "pack-0123456789"}
    assert "pack" not in found.steps


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("train.epoch=5", "train.epoch: there is no such option; did you mean 'train.epochs' (whole number ≥ 1: Passes over the items)?"),
        ("trian.epochs=5", "trian.epochs: there is no section 'trian'; there are pack, train and run; did you mean 'train.epochs'?"),
        ("train.epochs.x=5", "train.epochs.x: 'train.epochs' holds no options of its own; set it as a whole; expected whole number"),
        ("train.schedule.factor=0.5", "train.schedule.factor: this kind of section has no such option; it has kind and warmup_steps"),
        ("train.schedule.kind=stop", "train.schedule.kind: there is no kind 'stop'; expected one of cosine, step; did you mean 'step'?"),
        ("train.epochs=many", "train.epochs: 'many' does not fit; expected whole number ≥ 1 (Passes over the items)"),
        ("train.epochs=true", "train.epochs: 'true' does not fit; expected whole number ≥ 1 (Passes over the items)"),
        ("train.epochs=null", "train.epochs: nothing (null) does not fit; expected whole number ≥ 1 (Passes over the items)"),
        ("train.widths=[1, 2", "train.widths: '[1, 2' cannot be read: a bracket is not closed; expected list of whole numbers"),
        ("train.stop={}", "train.stop: name patience or joules (When to stop early)"),
        ("pack.masks=a,", "pack.masks[1]: an empty text is no path (Folders of masks)"),
        ("parameters.x=1", "parameters.x: parameters are given with --param NAME=VALUE"),
        ("recipe=cells", "recipe: the recipe is chosen in the study file"),
        ("train.epochs", "'train.epochs' is not of the form NAME=VALUE"),
        ("=5", "'=5' is not of the form NAME=VALUE"),
    ],
)
def test_what_can_be_wrong_with_an_override(refusal: Callable[..., str], setting: str, expected: str) -> None:
    assert refusal(sets=(setting,)).startswith(f"--set: {expected}")

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from labwright.runs.errors import MissingError, StudyError
from labwright.study import expand
from labwright.study.resolve import Study, resolve

WRONG = """recipe: toy
parameters:
  data: {type: path, help: folder with the images}
  spare: {type: int, default: 1}
pack:
  source: {kind: folder, path: "${data}", pixel_um: -1, colour: red}
train:
  learnig_rate: 1e-3
  epochs: many
  epochs: 5
  count: 3
  schedule: {kind: cosin}
  widths: [1, a]
  weights: [1]
  stop: {patience: yes}
  mixed: [true]
predict: {}
epochs: 4
run: !!map {seed: -1}
"""
ALL = """{path}: 17 mistakes
  study.yaml:4   parameters.spare: is declared but '${{spare}}' stands nowhere in the study
  study.yaml:6   pack.source.colour: there is no such option; 'pack.source' has kind, path and pixel_um
  study.yaml:6   pack.source.path: the parameter 'data' has no value; give it with --param data=… (folder with the images)
  study.yaml:6   pack.source.pixel_um: '-1' does not fit; expected number > 0 or null (Side of a pixel)
  study.yaml:8   train.learnig_rate: there is no such option; did you mean 'train.learning_rate' (number > 0: Size of a step)?
  study.yaml:9   train.epochs: 'many' does not fit; expected whole number ≥ 1 (Passes over the items)
  study.yaml:10  'epochs' stands twice in one section, on line 9 and on line 10; keep one
  study.yaml:11  train.count: there is no such option; did you mean 'pack.source.count' (whole number ≥ 1: How many images)?
  study.yaml:12  train.schedule.kind: there is no kind 'cosin'; expected one of cosine, step; did you mean 'cosine'? (How it falls)
  study.yaml:13  train.widths[1]: 'a' does not fit; expected whole number (Channels of each level)
  study.yaml:14  train.weights: has 1 entry; expected list of 2 numbers (Weights of the classes)
  study.yaml:15  train.stop.patience: 'yes' does not fit; expected whole number ≥ 1 or null (Validations without progress)
  study.yaml:16  train.mixed: a list does not fit; expected true or false (Whether to mix)
  study.yaml:17  predict: there is no such section; a study has recipe, parameters, pack, train and run
  study.yaml:18  epochs: there is no such section; did you mean 'train.epochs' (whole number ≥ 1: Passes over the items)?
  study.yaml:19  the tag '!!map' is refused; a study holds plain values only
  study.yaml:19  run.seed: '-1' does not fit; expected whole number ≥ 0 and < 2^63 (Where all randomness starts; another seed \
makes another run)"""


def test_all_mistakes_are_told_at_once(refusal: Callable[..., str], folder: Path) -> None:
    assert refusal(WRONG, head=False) == ALL.format(path=folder / "study.yaml")


def test_defaults_fill_what_is_not_said(study: Callable[..., Study], toy: ModuleType, folder: Path) -> None:
    found = study()
    assert found.steps["train"] == toy.TrainOptions()
    assert found.recipe is toy.RECIPE
    assert (found.path, found.folder) == (folder / "study.yaml", folder)
    assert found.run.seed == 0
    assert found.origins == {"pack.source.kind": "study.yaml:2"}


def test_empty_sections_are_sections(study: Callable[..., Study], toy: ModuleType) -> None:
    assert study("train:\nrun:\n").steps["train"] == toy.TrainOptions()


def test_a_section_named_in_part_keeps_the_rest_of_its_default(study: Callable[..., Study]) -> None:
    # The option's own default says warmup_steps 5, the section's class says 0.
    train: Any = study("train: {schedule: {}}").steps["train"]
    assert (train.schedule.kind, train.schedule.warmup_steps) == ("cosine", 5)
    train = study("train: {schedule: {warmup_steps: 7}}").steps["train"]
    assert (train.schedule.kind, train.schedule.warmup_steps) == ("cosine", 7)
    train = study("train: {schedule: {kind: step}}").steps["train"]
    assert train.schedule.factor == 0.1


def test_scalars_are_read_by_the_option_they_land_on(study: Callable[..., Study]) -> None:
    train: Any = study("train: {title: 1e-3, note: 007, mode: 16, mixed: no, learning_rate: 1, checkpoint: 400}").steps["train"]
    assert (train.title, train.note, train.mode, train.mixed, train.checkpoint) == ("1e-3", "007", "16", False, 400)
    assert isinstance(train.learning_rate, float)
    found: Any = study("run: {tags: [1, true, x], name: 2024-01-01}")
    assert found.run.tags == ("1", "true", "x")


def test_paths_lie_relative_to_the_study(
    study: Callable[..., Study], folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    found: Any = study("train: {checkpoint: ../model}\nrun: {folder: runs}")
    assert found.steps["train"].checkpoint == folder.parent / "model"
    assert found.run.folder == folder / "runs"
    found = study("recipe: toy\npack: {source: {kind: folder, path: /a/../b}, masks: [c, /d]}", head=False)
    assert found.steps["pack"].source.path == Path("/b")
    assert found.steps["pack"].masks == (folder / "c", Path("/d"))


def test_files_are_merged_in_order(toy: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base, more = tmp_path / "base" / "base.yaml", tmp_path / "more.yaml"
    base.write_text(
        "recipe: toy\nparameters: {n: {type: int, default: 2}}\n"
        "pack: {source: {kind: folder, path: raw}}\ntrain: {epochs: '${n}', widths: [1, 2]}"
    )
    more.write_text("parameters: {n: {default: 3}}\ntrain: {widths: [4], schedule: {kind: step}}")
    found: Any = resolve([base, more])
    assert (found.steps["train"].epochs, found.steps["train"].widths, found.steps["train"].schedule.kind) == (3, (4,), "step")
    assert found.steps["pack"].source.path == tmp_path / "base" / "raw"
    assert found.folder == tmp_path / "base"
    assert found.origins["train.epochs"] == "base.yaml:4"
    assert found.origins["train.widths"] == "more.yaml:2"


def test_null_takes_back_what_a_file_says_and_nothing_else(toy: ModuleType, tmp_path: Path) -> None:
    base, more = tmp_path / "base.yaml", tmp_path / "more.yaml"
    said = "epochs: 4, schedule: {kind: cosine, warmup_steps: 9}, costs: {a: 1, b: 2}, stop: {patience: 3}"
    base.write_text(f"recipe: toy\npack: {{source: {{kind: noise}}}}\ntrain: {{{said}}}")
    more.write_text("train: {epochs: null, schedule: null, costs: {a: null}, stop: null}")
    train: Any = resolve([base, more]).steps["train"]
    assert (train.epochs, train.schedule.warmup_steps, train.costs, train.stop) == (10, 5, {"b": 2}, None)
    overridden: Any = resolve([base], sets=["train.epochs=null", "train.schedule=null"]).steps["train"]
    assert (overridden.epochs, overridden.schedule.warmup_steps) == (10, 5)
    for said in ("train: {widths: null}", "train: {schedule: {kind: cosine, warmup_steps: null}}"):
        more.write_text(f"recipe: toy\npack: {{source: {{kind: noise}}}}\n{said}")
        with pytest.raises(StudyError, match=r"more\.yaml:3: .*nothing \(null\) does not fit"):
            resolve([more])


def test_files_of_one_name_are_told_apart_by_their_paths(toy: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / name / "study.yaml" for name in ("a", "b")]
    for path, text in zip(paths, ["recipe: toy\npack: {source: {kind: noise}}", "train: {epochs: 2}"], strict=True):
        path.parent.mkdir()
        path.write_text(text)
    assert resolve(paths).origins["train.epochs"] == f"{paths[1]}:1"


def test_a_folder_stands_for_its_study(study: Callable[..., Study], folder: Path) -> None:
    found = study()
    assert resolve([folder]) == found == resolve([folder / "study.yaml"])


def test_a_step_may_be_taken_from_elsewhere(study: Callable[..., Study], folder: Path) -> None:
    found = study("recipe: toy\npack: {from: ../other/runs/pack-0123456789}", head=False)
    assert found.taken == {"pack": folder.parent / "other" / "runs" / "pack-0123456789"}
    assert list(found.steps) == ["train"]
    assert found.origins["pack.from"] == "study.yaml:2"


def test_a_later_file_decides_between_making_and_taking(toy: ModuleType, tmp_path: Path) -> None:
    make, take = tmp_path / "make.yaml", tmp_path / "take.yaml"
    make.write_text("recipe: toy\npack: {source: {kind: noise}}")
    take.write_text("recipe: toy\npack: {from: there}")
    assert list(resolve([make, take]).taken) == ["pack"]
    assert not resolve([take, make]).taken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {epochs: 1}", "study.yaml: recipe: is required and not given; expected one of cells, events, toy"),
        ("recipe: tyo", "study.yaml:1: recipe: there is no recipe 'tyo'; expected one of cells, events, toy; did you mean 'toy'?"),
        ("recipe: [toy]", "study.yaml:1: recipe: has to be a name; expected one of cells, events, toy"),
        (
            "recipe: toy",
            "study.yaml: pack.source: is required and not given; expected section with kind folder or noise (Where images come from)",
        ),
        ("recipe: toy\npack: {source: {path: x}}", "study.yaml:2: pack.source.kind: is required to tell which section is meant"),
        ("recipe: toy\npack: {source: {kind: folder}}", "study.yaml:2: pack.source.path: is required and not given; expected path (Where"),
        (
            "recipe: toy\npack: {source: noise}",
            "study.yaml:2: pack.source: 'noise' does not fit; expected section with kind folder or noise",
        ),
        ("recipe: toy\npack: 5", "pack: '5' does not fit; expected a section of options"),
        ("recipe: toy\npack: [5]", "pack: a list does not fit; expected a section of options"),
        (
            "recipe: toy\npack: {from: x, split: {}}",
            "pack.split: a step taken from elsewhere has no options of its own; leave out 'split' or 'from'",
        ),
        ("recipe: toy\npack: {from: [x]}", "pack.from: has to be the path of a run folder"),
        ("recipe: toy\npack: {from: x}\nrun: {from: x}", "run.from: there is no such option"),
        ("recipe: toy\npack: {from: x}\ntrain: {widths: []}", "train.widths: has 0 entries, but needs at least 1 (Channels of each level)"),
        ("recipe: toy\npack: {from: x}\ntrain: {widths: [1, 2, 3, 4, 5]}", "train.widths: has 5 entries, but takes at most 4"),
        ("recipe: toy\npack: {from: x}\ntrain: {learning_rate: .inf}", "train.learning_rate: '.inf' is not finite"),
        (
            "recipe: toy\npack: {from: x}\ntrain: {checkpoint: {a: 1}}",
            "train.checkpoint: a section does not fit; expected the word best, whole number, or path",
        ),
        ("recipe: toy\npack: {from: x}\ntrain: {mode: exat}", "expected one of fast, exact, 16; did you mean 'exact'? (How to compute)"),
        ("recipe: toy\npack: {from: x}\ntrain: {costs: {a: b}}", "train.costs.a: 'b' does not fit; expected number (Cost of each class)"),
        ("recipe: toy\npack: {from: x}\nrun: {folder: ''}", "run.folder: an empty text is no path"),
    ],
)
def test_one_mistake_is_one_sentence(refusal: Callable[..., str], text: str, expected: str) -> None:
    message = refusal(text, head=False)
    assert expected in message
    assert "mistakes" not in message


def test_no_study_and_an_absent_study() -> None:
    with pytest.raises(StudyError, match="no study file is named"):
        resolve([])
    with pytest.raises(MissingError, match="no such study file"):
        resolve(["nowhere/study.yaml"])


@pytest.fixture
def pair(toy: ModuleType, tmp_path: Path) -> list[Path]:
    """A study and a file that goes over it, both with `${tag}`."""
    base, cache = tmp_path / "base.yaml", tmp_path / "cache.yaml"
    base.write_text(
        "recipe: toy\nparameters:\n  tag: {type: text, default: none, help: what this is for}\n  n: {type: int}\n"
        "pack: {source: {kind: folder, path: '/in/${tag}'}}\ntrain: {epochs: '${n}'}\nrun: {name: '${tag}'}\n"
    )
    cache.write_text("pack: {masks: ['/masks/${tag}']}\ntrain: {learning_rate: 0.1}\n")
    return [base, cache]


def test_a_parameter_holds_for_all_files_or_for_the_one_that_is_named(pair: list[Path]) -> None:
    found: Any = resolve(pair, params=["tag=test", "n=3"], sets=["train.learning_rate=0.2"])
    assert (found.run.name, found.steps["pack"].masks) == ("test", (Path("/masks/test"),))
    assert (found.steps["train"].epochs, found.steps["train"].learning_rate) == (3, 0.2)
    for word in ("cache", "cache.yaml"):
        found = resolve(pair, params=["n=3", f"{word}:tag=other", "tag=test"])
        assert (found.run.name, found.steps["pack"].source.path, found.steps["pack"].masks) == (
            "test",
            Path("/in/test"),
            (Path("/masks/other"),),
        )
        assert found.origins["run.name"] == "--param tag"
        assert found.parameters == {"tag": "test", "n": 3, "cache.yaml:tag": "other"}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (["n=1", "tga=x"], "tga: the study has no such parameter; did you mean 'tag'?"),
        (["n=1", "cahce:tag=x"], "'cahce' names none of the study's files, base.yaml and cache.yaml; did you mean 'cache:tag'?"),
        (["n=1", "cache:tga=x"], "tga: the study has no such parameter; did you mean 'tag'?"),
        (["n=1", "cache:n=x"], "n: 'x' does not fit; expected whole number"),
        (["n=1", "cache:n=2"], "cache.yaml:n: '${n}' stands nowhere in cache.yaml"),
        ([], "the parameter 'n' has no value; give it with --param n=…"),
    ],
)
def test_parameters_that_are_unknown_or_stand_nowhere_are_refused(pair: list[Path], params: list[str], expected: str) -> None:
    with pytest.raises(StudyError) as caught:
        resolve(pair, params=params)
    assert expected in str(caught.value)


def test_a_parameter_that_no_file_uses_is_refused(pair: list[Path]) -> None:
    pair[1].write_text("parameters: {more: {type: int, default: 1}}\n")
    with pytest.raises(StudyError, match=r"parameters.more: is declared but '\$\{more\}' stands nowhere in the study"):
        resolve(pair, params=["n=1"])


def test_several_files_expand_to_one_that_is_the_same_study(pair: list[Path], tmp_path: Path) -> None:
    given = {"params": ["n=3", "tag=a", "cache:tag=b"], "sets": ["train.epochs=5"]}
    whole = resolve(pair, **given)
    flat = tmp_path / "flat" / "study.yaml"
    flat.parent.mkdir()
    flat.write_text(expand.text(whole))
    one = resolve([flat])
    assert (one.steps, one.run, one.recipe) == (whole.steps, whole.run, whole.recipe)

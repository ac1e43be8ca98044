"""The quick look at a study file agrees with the loader, where it matters to completion."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.cli import scan
from labwright.study.resolve import resolve

BLOCK_STYLE = """\
# a study
recipe: 'toy'   # the recipe
parameters:
  # where the numbers are
  data:
    type: path
    default: ./data
    help: folder with the numbers
  guess: {type: float, default: 2.5, help: "a guess, in mm"}
pack: {path: "${data}"}
train: {guess: "${guess}"}
run:
  folder: ../scratch/runs  # large
  seed: 3
"""


def test_recipe_parameters_and_runs_folder_are_found(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(BLOCK_STYLE)
    study = resolve([path])
    assert scan.recipe(str(path)) == study.recipe.name
    found = scan.parameters(str(path))
    assert [one.name for one in found] == list(study.parameters)
    assert found[0] == scan.Parameter("data", "path", "./data", "folder with the numbers")
    assert found[1] == scan.Parameter("guess", "float", "2.5", "a guess, in mm")
    assert (tmp_path / scan.runs_folder(str(path))).resolve() == study.run.folder


@pytest.mark.parametrize("text", ["", "recipe:\n", "parameters: {}\n", "parameters:\nrun: {seed: 1}\n", "\x00\xff"])
def test_what_is_not_said_is_not_made_up(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    assert (scan.recipe(str(path)), scan.parameters(str(path)), scan.runs_folder(str(path))) == ("", [], "runs")


def test_a_file_that_is_not_there_says_nothing() -> None:
    assert scan.parameters("absent.yaml") == []


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1), min_size=1))
def test_a_shell_line_is_split_as_the_shell_does(words: list[str]) -> None:
    assert scan.split(shlex.join(words)) == words


def test_a_half_typed_line_is_split_too() -> None:
    assert scan.split("labwright run ") == ["labwright", "run", ""]
    assert scan.split('labwright run "my stu') == ["labwright", "run", "my stu"]
    assert scan.split(r"labwright run my\ stu") == ["labwright", "run", "my stu"]

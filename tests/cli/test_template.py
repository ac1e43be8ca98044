"""A new study resolves as it stands, and with every option uncommented it says the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from labwright.study.expand import expand
from labwright.study.registry import recipe
from labwright.study.resolve import resolve
from labwright.study.schema import json_schema, models, walk


@pytest.mark.parametrize("name", ["cells", "events", "toy"])
def test_uncommenting_every_option_changes_nothing(labwright, tmp_path: Path, name: str) -> None:
    assert labwright("new", name, tmp_path / "new").code == 0
    path = tmp_path / "new" / "study.yaml"
    before = resolve([path])
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"^  # ", "  ", text, flags=re.MULTILINE), encoding="utf-8")
    after = resolve([path])
    assert [(row[0], row[1]) for row in expand(after, silent=True)] == [(row[0], row[1]) for row in expand(before, silent=True)]
    spelled = {row[0] for row in expand(after, silent=True) if row[2] != "default"}
    assert spelled >= {option for option, _, _ in expand(before, silent=True) if "." in option}


@pytest.mark.parametrize("name", ["cells", "events", "toy"])
def test_every_option_that_holds_is_explained(labwright, tmp_path: Path, name: str) -> None:
    labwright("new", name, tmp_path)
    text = " ".join(line.strip().removeprefix("#:").strip() for line in (tmp_path / "study.yaml").read_text(encoding="utf-8").splitlines())
    values = {path for path, _, _ in expand(resolve([tmp_path / "study.yaml"]), silent=True)}
    for step, model in models(recipe(name)).items():
        for option in walk(model, step):
            if option.path in values and not option.when:
                assert option.doc in re.sub(r"\s+", " ", text)


def test_the_schema_lies_beside_it_and_is_named(labwright, tmp_path: Path) -> None:
    labwright("new", "toy", tmp_path)
    first = (tmp_path / "study.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=study.schema.json"
    assert json.loads((tmp_path / "study.schema.json").read_text()) == json_schema(recipe("toy"))


def test_it_is_yaml_for_everybody(labwright, tmp_path: Path) -> None:
    labwright("new", "cells", tmp_path)
    assert yaml.safe_load((tmp_path / "study.yaml").read_text(encoding="utf-8"))["pack"]["source"]["path"] == "${data}"


def test_a_new_study_of_cells_has_something_to_validate_on(labwright, tmp_path: Path) -> None:
    labwright("new", "cells", tmp_path)
    text = (tmp_path / "study.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["pack"]["split"] == {"train": ["01"], "validate": ["02"]}
    assert "Name a `validate` split" in text


def test_a_study_that_is_there_is_left_alone(labwright, study: Path) -> None:
    before = study.read_text()
    said = labwright("new", "toy")
    assert said.code == 64
    assert "there is a study here already" in said.err
    assert study.read_text() == before

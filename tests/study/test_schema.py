from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from labwright.study import registry
from labwright.study.expand import text
from labwright.study.load import parse, plain
from labwright.study.resolve import Study
from labwright.study.schema import OptionDoc, json_schema, models, walk


def rows(model: Any, prefix: str = "") -> dict[tuple[str, str], OptionDoc]:
    return {(row.path, row.when): row for row in walk(model, prefix)}


def test_options_are_told_with_all_that_is_known_of_them(toy: ModuleType) -> None:
    found = rows(toy.TrainOptions, "train")
    assert found["train.epochs", ""] == OptionDoc(
        "train.epochs", "whole number ≥ 1", 10, "", "Passes over the items. Each sees all of them.", (), True, False
    )
    assert found["train.mode", ""].choices == ("fast", "exact", "16")
    assert found["train.mixed", ""].choices == ("true", "false")
    assert found["train.weights", ""].default == [1.0, 1.0]
    assert not found["train.workers", ""].effect


def test_alternatives_are_told_with_their_condition(toy: ModuleType) -> None:
    found = rows(toy.TrainOptions)
    assert found["schedule.factor", "schedule.kind=step"].default == 0.1
    warmup = found["schedule.warmup_steps", "schedule.kind=cosine"]
    assert (warmup.default, warmup.unit) == (5, "steps")
    assert rows(toy.PackOptions)["source.path", "source.kind=folder"].required


def test_a_section_that_may_be_absent_has_a_row_of_its_own(toy: ModuleType) -> None:
    found = rows(toy.TrainOptions)
    assert (found["stop", ""].type, found["stop", ""].default) == ("section or null", None)
    assert ("stop.joules", "") in found
    assert ("schedule", "") not in found


@pytest.mark.usefixtures("toy")
def test_rows_are_json_for_every_recipe() -> None:
    for recipe in registry.recipes().values():
        found = [row for name, model in models(recipe).items() for row in walk(model, name)]
        assert json.dumps([row.__dict__ for row in found], allow_nan=False)


def read(study: str) -> Any:
    node = parse(study, "study.yaml", [])
    assert node is not None
    return plain(node)


VALID = [
    "recipe: toy",
    "recipe: toy\npack: {source: {kind: noise}, split: {a: ['1']}}",
    "recipe: toy\npack: {from: ../x}",
    "recipe: toy\npack:\ntrain:\nrun:",
    "recipe: toy\nparameters: {n: {type: int, default: 3, help: x}, c: {type: choice, choices: [a, b]}}",
    "recipe: toy\ntrain: {epochs: '${n}', mixed: '${m}', mode: '${c}', stop: {joules: '${j}'}, widths: ['${w}', 1], weights: [1, '${x}']}",
    "recipe: toy\npack: {source: {kind: '${k}', path: '${data}/raw', pixel_um: '${p}'}}\nrun: {seed: '${s}'}",
]
INVALID = [
    "train: {}",
    "recipe: cells",
    "recipe: toy\npredict: {}",
    "recipe: toy\ntrain: {epoch: 3}",
    "recipe: toy\ntrain: {epochs: 0}",
    "recipe: toy\ntrain: {epochs: many}",
    "recipe: toy\ntrain: {mode: slow}",
    "recipe: toy\ntrain: {widths: []}",
    "recipe: toy\ntrain: {schedule: {kind: step, warmup_steps: 3}}",
    "recipe: toy\npack: {from: x, split: {}}",
    "recipe: toy\nparameters: {n: {type: integer}}",
]


@pytest.fixture(scope="module")
def validator(toy: ModuleType) -> Draft202012Validator:
    schema = json_schema(toy.RECIPE)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(json.loads(json.dumps(schema)))


@pytest.mark.parametrize("study", VALID)
def test_the_schema_takes_studies(validator: Draft202012Validator, study: str) -> None:
    validator.validate(read(study))


@pytest.mark.parametrize("study", INVALID)
def test_the_schema_refuses_what_is_no_study(validator: Draft202012Validator, study: str) -> None:
    assert not validator.is_valid(read(study))


def test_the_schema_takes_an_expanded_study(validator: Draft202012Validator, study: Callable[..., Study]) -> None:
    validator.validate(read(text(study())))


def test_units_marks_and_docs_are_in_the_schema(toy: ModuleType) -> None:
    definitions = json_schema(toy.RECIPE)["$defs"]
    assert definitions["Cosine"]["properties"]["warmup_steps"]["unit"] == "steps"
    assert definitions["TrainOptions"]["properties"]["workers"]["effect"] is False
    assert definitions["TrainOptions"]["properties"]["epochs"]["description"].startswith("Passes over the items.")


def test_sections_in_lists_and_mappings_are_told_where_asked() -> None:
    recipe = registry.recipe("events")
    plain_rows, listed = ({row.path for row in walk(recipe.step("pack").options, "pack", listed=one)} for one in (False, True))
    assert listed - plain_rows >= {"pack.classes.NAME.where", "pack.source.groups.EACH.files"}
    assert plain_rows <= listed

"""Every recipe of this package keeps the contract of a recipe, and what stays out of fingerprints is listed here."""

from __future__ import annotations

import importlib

import pytest

from labwright.study import registry
from labwright.testing.recipes import check_recipe, check_recipe_is_light, without_effect

built_in = pytest.mark.parametrize("name", list(registry.BUILT_IN))

RUN = ["run.folder", "run.name", "run.on.kind", "run.on.resources", "run.on.threads", "run.on.workers", "run.tags"]
WITHOUT_EFFECT = {
    "cells": [
        "pack.source.path",
        "predict.batch_size",
        "predict.source.path",
        *RUN,
        "train.accelerator",
        "train.checkpoint_every_s",
        "train.keep.best",
        "train.keep.every",
        "train.keep.last",
        "train.prefetch",
        "train.validate.batch_size",
    ],
    "events": [
        "merge.from",
        "merge.workers",
        "pack.read_events",
        "pack.source.path",
        "pack.source.planned_minutes",
        "predict.batch_size",
        *RUN,
        "train.accelerator",
        "train.checkpoint_every_s",
        "train.keep.best",
        "train.keep.every",
        "train.keep.last",
        "train.prefetch",
        "train.validate.batch_size",
    ],
}


@built_in
def test_names_documentation_units_and_schema(name: str) -> None:
    check_recipe(registry.recipe(name))


@built_in
def test_its_options_load_nothing_heavy(name: str) -> None:
    check_recipe_is_light(registry.BUILT_IN[name][0])


@built_in
def test_an_option_stays_out_of_fingerprints_only_knowingly(name: str) -> None:
    # One more here means: whoever changes it gets the old run. Is the result the same to the last digit?
    assert without_effect(registry.recipe(name)) == WITHOUT_EFFECT[name]


@built_in
def test_its_steps_and_tools_are_where_it_says(name: str) -> None:
    recipe = registry.recipe(name)
    for step in recipe.steps:
        module = importlib.import_module(step.module)
        assert all(callable(getattr(module, function)) for function in ("parts", "work", "finish"))
    assert all(recipe.tool(tool) for tool in recipe.tools)

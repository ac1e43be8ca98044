"""Recipes by name. What is built in stands in a table; a third party's recipe registers by entry point.

A name from a study file only ever chooses among these; it never names code.
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from labwright.runs.errors import StudyError
from labwright.study.messages import listed, nearest
from labwright.study.step import Recipe

GROUP = "labwright.recipes"
BUILT_IN: dict[str, tuple[str, str]] = {
    "cells": ("labwright.cells.recipe", "RECIPE"),
    "events": ("labwright.events.recipe", "RECIPE"),
}
"""Name → module and attribute; imported on use."""


def names() -> tuple[str, ...]:
    """The names of all recipes, the built-in ones first; imports none."""
    return tuple(dict.fromkeys([*BUILT_IN, *sorted(_registered())]))


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        StudyError: there is none, or a third party's cannot be loaded.
    """
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name]
        return _checked(name, getattr(importlib.import_module(module), attribute), module)
    point = _registered().get(name)
    if point is None:
        close = nearest(name, names())
        raise StudyError(f"there is no recipe '{name}'", todo=f"Did you mean '{close}'?" if close else f"There are: {listed(names())}.")
    try:
        found = point.load()
    except Exception as error:
        origin = point.dist.name if point.dist else point.value
        raise StudyError(
            f"the recipe '{name}' of the package {origin} cannot be loaded: {type(error).__name__}: {error}",
            todo="Mend or uninstall that package.",
        ) from error
    return _checked(name, found, point.value)


def recipes() -> dict[str, Recipe]:
    """Every recipe by name; imports them all."""
    return {name: recipe(name) for name in names()}


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _checked(name: str, found: Any, source: str) -> Recipe:
    if not isinstance(found, Recipe) or found.name != name:
        raise StudyError(
            f"{source} is not a recipe of the name '{name}'", todo="Its entry point has to name a labwright.study.step.Recipe."
        )
    return found

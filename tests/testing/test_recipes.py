from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import pytest

from labwright.study import registry
from labwright.study.options import Options, option
from labwright.study.step import LazyStep, Recipe
from labwright.testing.recipes import check_recipe, check_recipe_is_light, without_effect


class Good(Options):
    """Options as they should be."""

    width_px: int = option(4, unit="px")
    """A width."""
    folder: Path | None = option(None, effect=False)
    """A folder."""


def recipe(options: type[Options] = Good, **changes: Any) -> Recipe:
    step = LazyStep("pack", 1, options, "nowhere", "Pack.")
    return dataclasses.replace(Recipe("mine", "For tests.", (step,), ""), **changes)


@pytest.mark.parametrize("name", list(registry.BUILT_IN))
def test_what_is_built_in_keeps_the_contract(name: str) -> None:
    check_recipe(registry.recipe(name))
    check_recipe_is_light(registry.BUILT_IN[name][0])


def test_what_every_command_loads_is_light() -> None:
    for module in ("labwright.study.resolve", "labwright.study.expand", "labwright.study.plan"):
        check_recipe_is_light(module)


def test_a_good_recipe_passes_and_its_marks_are_listed() -> None:
    check_recipe(recipe())
    assert [path for path in without_effect(recipe()) if path.startswith("pack")] == ["pack.folder"]


def test_a_heavy_module_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"importing labwright\.data\.packs loads numpy"):
        check_recipe_is_light("labwright.data.packs")
    with pytest.raises(AssertionError, match="cannot be imported"):
        check_recipe_is_light("labwright.no_such_module")


def test_steps_come_after_what_they_need() -> None:
    steps = (LazyStep("train", 1, Good, "nowhere", "Train.", needs=("pack",)), LazyStep("pack", 0, Good, "nowhere", ""))
    with pytest.raises(AssertionError) as caught:
        check_recipe(recipe(steps=steps))
    message = str(caught.value)
    assert "step train: needs pack, which does not come before it" in message
    assert "step pack: has no doc line" in message
    assert "step pack: its version is a whole number from 1 on" in message


def test_names_are_not_taken() -> None:
    step = LazyStep("run", 1, Good, "nowhere", "Run.")
    with pytest.raises(AssertionError, match="step run: a name is snake_case and none of run, recipe"):
        check_recipe(recipe(steps=(step,)))


def test_every_wrong_option_is_told_at_once() -> None:
    class A(Options):
        """A."""

        kind: Literal["a"] = option("a")
        """A."""

    class B(Options):
        """B."""

        other: int = option(0)
        """B."""

    class Bad(Options):
        bare: int = option(1)
        width_px: float = option(1.0)
        """A width."""
        source: Path = option()
        """A folder."""
        camelCase: int = option(1)
        """Wrong."""
        renamed: int = option(1, alias="other")
        """Wrong."""
        choice: A | B = option(A())
        """Wrong."""
        small: int = option(0, ge=1)
        """Wrong."""

    with pytest.raises(AssertionError) as caught:
        check_recipe(recipe(Bad))
    message = str(caught.value)
    for expected in (
        "pack: Bad has no docstring",
        "pack.bare: has no doc line",
        "pack.width_px: its name says px, its unit says nothing",
        "pack.source: where files lie cannot count in a fingerprint; mark it effect=False",
        "pack.camelCase: is not snake_case",
        "pack.renamed: has an alias",
        "pack.choice: is a choice among sections without a 'kind'",
        "pack.small: its default 0 does not fit",
    ):
        assert expected in message

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from labwright.runs.errors import StudyError
from labwright.study import registry


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch, toy: ModuleType) -> dict[str, EntryPoint]:
    """Recipes of third parties, by name."""
    points = {
        name: EntryPoint(name, value, registry.GROUP)
        for name, value in {"plankton": "plankton_recipe:RECIPE", "broken": "no_such_module_anywhere:RECIPE", "odd": "json:dumps"}.items()
    }
    module = ModuleType("plankton_recipe")
    module.__dict__["RECIPE"] = dataclasses.replace(toy.RECIPE, name="plankton")
    monkeypatch.setitem(sys.modules, "plankton_recipe", module)
    monkeypatch.setattr(registry, "entry_points", lambda group: list(points.values()))
    return points


def test_the_recipes_that_are_built_in_can_be_loaded() -> None:
    assert registry.recipe("cells").name == "cells"
    assert "cells" in registry.recipes()


def test_a_recipe_of_a_third_party_is_found_by_its_entry_point(others: dict[str, EntryPoint]) -> None:
    assert set(registry.names()) >= {"cells", "toy", *others}
    assert registry.recipe("plankton").name == "plankton"


def test_a_third_party_cannot_take_the_name_of_a_built_in_recipe(others: dict[str, EntryPoint]) -> None:
    others["cells"] = EntryPoint("cells", "plankton_recipe:RECIPE", registry.GROUP)
    assert registry.recipe("cells").steps[0].module == "labwright.cells.pack"
    assert registry.names().count("cells") == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("planktn", "there is no recipe 'planktn'. Did you mean 'plankton'?"),
        ("zzz", "there is no recipe 'zzz'. There are: cells, "),
        ("os.system", "there is no recipe 'os.system'"),
        ("broken", "the recipe 'broken' of the package no_such_module_anywhere:RECIPE cannot be loaded: ModuleNotFoundError"),
        ("odd", "json:dumps is not a recipe of the name 'odd'"),
    ],
)
@pytest.mark.usefixtures("others")
def test_what_is_no_recipe_is_a_mistake_of_the_study(name: str, expected: str) -> None:
    with pytest.raises(StudyError) as caught:
        registry.recipe(name)
    assert str(caught.value).startswith(expected)


def test_names_are_known_without_importing_a_recipe() -> None:
    code = "import sys\nfrom labwright.study import registry\nassert 'cells' in registry.names()\n"
    code += "assert 'labwright.cells.recipe' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

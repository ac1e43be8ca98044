"""The contract of a recipe, for the tests of every recipe, ours and other people's.

    from labwright.testing.recipes import check_recipe, check_recipe_is_light

    def test_recipe() -> None:
        check_recipe(RECIPE)
        check_recipe_is_light("plankton.recipe")

Both raise ``AssertionError`` with a line for everything that is wrong.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from labwright.study.complaints import dotted
from labwright.study.fields import KIND, first_line, has_path, is_tagged, kinds, marks, only_path, sections
from labwright.study.options import Options
from labwright.study.overrides import FROM
from labwright.study.schema import json_schema, models, walk
from labwright.study.step import Recipe

HEAVY = (
    "numpy",
    "torch",
    "zarr",
    "scipy",
    "pyarrow",
    "tifffile",
    "imagecodecs",
    "numba",
    "skimage",
    "polars",
    "pandas",
    "lightning_fabric",
    "safetensors",
    "cc3d",
    "uproot",
    "awkward",
    "matplotlib",
    "plotly",
)
"""What a recipe's options module must not load: help, completion and ``plan`` would wait for it."""
UNITS = {
    "px": "px",
    "um": "µm",
    "nm": "nm",
    "mm": "mm",
    "s": "s",
    "ms": "ms",
    "h": "h",
    "joules": "J",
    "watts": "W",
    "bytes": "B",
    "gev": "GeV",
    "frames": "frames",
    "steps": "steps",
}
"""What an option's name says by its last word, and the unit that it has to be marked with then."""
WEIGHTS = ("start_from", "continue_from")
"""Paths that name a run's weights and so have to count; all other paths must not."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_OTHER_NAMES = ("run", "recipe", "parameters", FROM)


def check_recipe_is_light(module: str) -> None:
    """Import ``module`` in a fresh interpreter and see that nothing heavy came with it."""
    code = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"
    outcome = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, f"{module} cannot be imported:\n{outcome.stderr}"
    loaded = {name.partition(".")[0] for name in json.loads(outcome.stdout.splitlines()[-1])}
    heavy = [name for name in HEAVY if name in loaded]
    assert not heavy, f"importing {module} loads {', '.join(heavy)}; import them where the work is done"


def check_recipe(recipe: Recipe) -> None:
    """Names, order of the steps, documentation, units, marks and schema of a recipe."""
    wrong = [*_steps(recipe)]
    for name, model in models(recipe).items():
        wrong += _section(model, name)
    wrong += [] if wrong else _schema(recipe)
    assert not wrong, f"recipe {recipe.name}:\n  " + "\n  ".join(wrong)


def without_effect(recipe: Recipe) -> list[str]:
    """The options that stay out of fingerprints, by path, for a test that lists them."""
    return sorted({row.path for name, model in models(recipe).items() for row in walk(model, name) if not row.effect})


def _steps(recipe: Recipe) -> Iterator[str]:
    if not _NAME.fullmatch(recipe.name):
        yield f"the name {recipe.name!r} is not snake_case"
    if not recipe.doc.strip():
        yield "it has no doc line"
    before: list[str] = []
    for step in recipe.steps:
        if not _NAME.fullmatch(step.name) or step.name in _OTHER_NAMES:
            yield f"step {step.name}: a name is snake_case and none of {', '.join(_OTHER_NAMES)}"
        if step.name in before:
            yield f"step {step.name}: there are two of this name"
        if not step.doc.strip():
            yield f"step {step.name}: has no doc line"
        if not (isinstance(step.version, int) and step.version >= 1):
            yield f"step {step.name}: its version is a whole number from 1 on"
        for other in (*step.needs, *step.gates):
            if other not in before:
                yield f"step {step.name}: needs {other}, which does not come before it"
        before.append(step.name)


def _section(model: type[BaseModel], path: str, around: bool = True) -> Iterator[str]:
    """``around``: whether the sections around this one count in the fingerprint."""
    if not issubclass(model, Options):
        yield f"{path}: {model.__name__} is not an Options, so that unknown keys would pass"
    if not model.model_config.get("frozen") or model.model_config.get("extra") != "forbid":
        yield f"{path}: {model.__name__} is not frozen and closed"
    if model.__doc__ is None or not first_line(model.__doc__):
        yield f"{path}: {model.__name__} has no docstring"
    for name, field in model.model_fields.items():
        here = f"{path}.{name}"
        counts = around and bool(marks(field).get("effect", True))
        found = sections(field.annotation)
        if not first_line(field.description):
            yield f"{here}: has no doc line; write a docstring under it"
        if not _NAME.fullmatch(name):
            yield f"{here}: is not snake_case"
        if field.alias or field.validation_alias or field.serialization_alias:
            yield f"{here}: has an alias; one option has one name"
        unit, suffix = str(marks(field).get("unit", "")), name.rpartition("_")[2] if "_" in name else ""
        if suffix in UNITS and unit != UNITS[suffix]:
            yield f"{here}: its name says {UNITS[suffix]}, its unit says {unit or 'nothing'}"
        if counts and only_path(field.annotation) and name not in WEIGHTS:
            yield f"{here}: where files lie cannot count in a fingerprint; mark it effect=False and list its files as sources"
        if has_path(field.annotation) and found:
            yield f"{here}: mixes a path with a section"
        if len(found) > 1 and not is_tagged(field.annotation):
            yield f"{here}: is a choice among sections without a '{KIND}' each to tell them apart"
        tags = [tag for section in found for tag in kinds(section)]
        if len(found) > 1 and len(set(tags)) < len(tags):
            yield f"{here}: two of its sections have the same '{KIND}'"
        for section in found:
            yield from _section(section, here, counts)
    yield from _defaults(model, path)


def _defaults(model: type[BaseModel], path: str) -> Iterator[str]:
    try:
        model.model_validate({})
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] != "missing":
                yield f"{dotted(path, problem['loc'])}: its default {problem['input']!r} does not fit: {problem['msg']}"


def _schema(recipe: Recipe) -> Iterator[str]:
    schema: Any = json.loads(json.dumps(json_schema(recipe)))
    try:
        from jsonschema import Draft202012Validator, SchemaError
        from jsonschema import ValidationError as Refused
    except ImportError:  # it comes with labwright[test]
        return
    try:
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate({"recipe": recipe.name})
    except (SchemaError, Refused) as error:
        yield f"its JSON Schema is not one: {error.message}"

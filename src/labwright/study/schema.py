"""What a recipe's options are, as rows for help, completion and reference pages, and as JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from labwright.study.fields import KIND, elements, first_line, is_tagged, kinds, marks, nullable, sections, type_words, values, words
from labwright.study.options import Options
from labwright.study.parameters import Parameter
from labwright.study.run_options import RunOptions
from labwright.study.step import Recipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z][A-Za-z0-9_]*\}", "description": "A parameter of the study, `${name}`."}


@dataclass(frozen=True)
class OptionDoc:
    """One option, told."""

    path: str
    """``train.schedule.warmup_epochs``"""
    type: str
    """In words: ``whole number ≥ 1``."""
    default: Any
    """JSON value; ``None`` for an option that is required, too."""
    unit: str
    doc: str
    """The first paragraph of its docstring, on one line."""
    choices: tuple[str, ...]
    effect: bool
    """False where the value cannot change a result and stays out of fingerprints."""
    required: bool
    when: str = ""
    """The kind of the section that has it, where sections are chosen by kind: ``schedule.kind=cosine``."""


EACH, NAME = "EACH", "NAME"
"""What stands in the path of an option for the place in a list of sections, and for the name in a mapping of them."""


def walk(model: type[BaseModel], prefix: str = "", *, listed: bool = False) -> Iterator[OptionDoc]:
    """Every option below ``model`` in order, those of nested sections by their dotted path.

    A section that may be ``null`` has a row of its own before those of its options. With ``listed`` the options of sections
    in lists and mappings follow too: ``pack.classes.NAME.where``.
    """
    yield from _walk(model, prefix, None, "", True, listed)


def _walk(model: type[BaseModel], prefix: str, instance: BaseModel | None, when: str, effect: bool, listed: bool) -> Iterator[OptionDoc]:
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        default = _default(name, field, instance)
        inner = effect and bool(marks(field).get("effect", True))
        found = sections(field.annotation)
        if not found or nullable(field.annotation):
            yield _row(path, field, default, when, inner)
        for section in found:
            chosen = default if isinstance(default, section) else None
            condition = f"{name}.{KIND}={'|'.join(kinds(section))}" if is_tagged(field.annotation) else when
            yield from _walk(section, path, chosen, condition, inner, listed)
        for place, annotation in ((EACH, elements(field.annotation)[:1]), (NAME, (values(field.annotation),))) if listed else ():
            for section in (one for each in annotation for one in sections(each)):
                yield from _walk(section, f"{path}.{place}", None, when, inner, listed)


def _default(name: str, field: FieldInfo, instance: BaseModel | None) -> Any:
    if instance is not None:
        return getattr(instance, name)
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _row(path: str, field: FieldInfo, default: Any, when: str, effect: bool) -> OptionDoc:
    return OptionDoc(
        path=path,
        type=type_words(field.annotation, field.metadata),
        default=json_value(default),
        unit=str(marks(field).get("unit", "")),
        doc=first_line(field.description),
        choices=words(field.annotation),
        effect=effect,
        required=field.is_required(),
        when=when,
    )


def json_value(value: Any) -> Any:
    """An option's value as JSON has it: paths as text, sections and mappings as objects, lists as arrays."""
    if isinstance(value, BaseModel):
        return {name: json_value(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [json_value(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json_value(item) for item in value)
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def models(recipe: Recipe) -> dict[str, type[Options]]:
    """The option model of each section at the top of a study: the steps in order, then ``run``."""
    return {**{step.name: step.options for step in recipe.steps}, "run": RunOptions}


def json_schema(recipe: Recipe) -> dict[str, Any]:
    """JSON Schema of a study file of this recipe, for ``# yaml-language-server: $schema=…``.

    Every scalar may be a ``${parameter}``, and a step may be ``{from: PATH}``.
    """
    tops = models(recipe)
    unique: list[type[Options]] = list(dict.fromkeys([*tops.values(), Parameter]))
    references, schema = models_json_schema([(model, "validation") for model in unique], by_alias=True)
    definitions = {name: _open(part) for name, part in schema.get("$defs", {}).items()}
    by_model = {model: references[model, "validation"] for model in unique}
    properties: dict[str, Any] = {
        "recipe": {"const": recipe.name, "description": recipe.doc},
        "parameters": {
            "type": "object",
            "description": "Typed values that `--param name=value` gives and `${name}` stands for.",
            "additionalProperties": by_model[Parameter],
        },
    }
    for step in recipe.steps:
        taken = [_TAKEN] if "from" not in step.options.model_fields else []
        properties[step.name] = {"anyOf": [by_model[step.options], *taken, {"type": "null"}], "description": step.doc}
    properties["run"] = {"anyOf": [by_model[RunOptions], {"type": "null"}], "description": first_line(RunOptions.__doc__)}
    return {
        "$schema": DIALECT,
        "title": f"A study of the recipe {recipe.name}",
        "description": recipe.doc,
        "type": "object",
        "properties": properties,
        "required": ["recipe"],
        "additionalProperties": False,
        "$defs": definitions,
    }


_TAKEN = {
    "type": "object",
    "description": "Take a run made elsewhere instead of running the step.",
    "properties": {"from": {"type": "string", "description": "Its run folder."}},
    "required": ["from"],
    "additionalProperties": False,
}


def _open(schema: Any) -> Any:
    """The schema with a parameter allowed in place of every scalar.

    ``oneOf`` becomes ``anyOf``: a parameter fits several alternatives at once.
    """
    if isinstance(schema, list):
        return [_open(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        return {**schema, "properties": {name: _open(part) for name, part in schema["properties"].items()}}
    opened = {("anyOf" if key == "oneOf" else key): _open(part) for key, part in schema.items() if key not in ("discriminator", "default")}
    if "default" in schema:
        opened["default"] = schema["default"]
    scalar = schema.get("type") in ("integer", "number", "boolean") or "enum" in schema or "const" in schema
    if not scalar and not (schema.get("type") == "string" and ("pattern" in schema or "minLength" in schema or "maxLength" in schema)):
        return opened
    told = {key: opened.pop(key) for key in ("title", "description", "default", "unit", "effect") if key in opened}
    return {**told, "anyOf": [opened, _REFERENCE]}

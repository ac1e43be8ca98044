"""The resolved study: every option with its value and where it comes from, as rows and as YAML.

The YAML is itself a study file that resolves to the same study.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from labwright.study.load import DEFAULT, resolve_scalar
from labwright.study.overrides import FROM
from labwright.study.resolve import Study
from labwright.study.schema import json_value

_COMMENTS_AT = 48
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
# What YAML takes for a line break or refuses, though JSON lets it pass.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def expand(study: Study, *, silent: bool = False) -> list[tuple[str, Any, str]]:
    """Path, JSON value and origin of every option, in the order of the recipe.

    Args:
        study: the study.
        silent: whether optional steps of which the study says nothing are among them.
    """
    rows = []
    for name, tree in _sections(study, silent):
        rows += [(path, value, study.origins.get(path, DEFAULT)) for path, value in _leaves(tree, name)]
    return rows


def text(study: Study) -> str:
    """The study as one YAML file, each option with its origin as a comment; parameters are put in."""
    lines = [f"recipe: {study.recipe.name}"]
    for name, value in study.parameters.items():
        lines.append(f"# parameter {name} = {_flow(json_value(value))}")
    for name, tree in _sections(study, silent=False):
        lines += ["", f"{name}:", *_lines(tree, name, study, 1)]
    return "\n".join(lines) + "\n"


def _sections(study: Study, silent: bool) -> Iterator[tuple[str, Any]]:
    for step in study.recipe.steps:
        if step.optional and step.name not in study.said and not silent:
            continue  # written out, it would be said
        if step.name in study.taken:
            yield step.name, {FROM: str(study.taken[step.name])}
        else:
            yield step.name, json_value(study.steps[step.name])
    yield "run", json_value(study.run)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    else:
        yield path, value


def _lines(tree: dict[str, Any], path: str, study: Study, level: int) -> Iterator[str]:
    indent = "  " * level
    if not tree:
        yield f"{indent}{{}}"
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{_key(key)}:"
            yield from _lines(value, f"{path}.{key}", study, level + 1)
        else:
            line = f"{indent}{_key(key)}: {_flow(value)}"
            yield f"{line:<{_COMMENTS_AT}}  # {study.origins.get(f'{path}.{key}', DEFAULT)}"


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else _quoted(key)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        value = value.replace("$", "$$")
        plain = _PLAIN.fullmatch(value) and isinstance(resolve_scalar(value), str)
        return value if plain else _quoted(value)
    return json.dumps(value)


def _quoted(value: str) -> str:
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))

"""A new study file: what is required filled in, every other option commented out with its default and its explanation."""

from __future__ import annotations

import json
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labwright.study.expand import expand
from labwright.study.load import DEFAULT
from labwright.study.resolve import Study, resolve
from labwright.study.schema import OptionDoc, models, walk
from labwright.study.step import Recipe

Tree = dict[str, Any]
DATA = "  data: {type: path, default: ./data, help: folder with the raw data}"
WIDTH = 110


def study_text(recipe: Recipe, schema: str) -> str:
    """The text of a study of this recipe; it resolves as it stands, and with any of its options uncommented.

    Args:
        recipe: the recipe.
        schema: path of the JSON Schema relative to the study, for editors.
    """
    head = _head(recipe)
    study = _resolved(head)
    lines = [f"# yaml-language-server: $schema={schema}", f"# {recipe.doc}", ""]
    lines += head["lines"]
    docs = {(row.path, row.when): row for name, model in models(recipe).items() for row in walk(model, name)}
    trees, given = _trees(study)
    explained = {step.name: step.doc for step in recipe.steps} | {"run": "How and where runs are made."}
    for name, tree in trees.items():
        lines += ["", f"# {explained[name]}", f"{name}:"]
        lines += _lines(tree, name, docs, given, 1)
    return "\n".join(lines) + "\n"


def _head(recipe: Recipe) -> Tree:
    """The lines above the steps, and the options that are written out with a value to begin with."""
    required: dict[str, Any] = dict(recipe.beginning)
    absent: list[str] = []
    for name, model in models(recipe).items():
        for row in walk(model, name):
            if row.required and row.path not in required and not any(row.path.startswith(f"{section}.") for section in absent):
                required[row.path] = _beginning(row)
            elif row.default is None and not row.required and "section" in row.type:
                absent.append(row.path)
    lines = [f"recipe: {recipe.name}"]
    if "${data}" in required.values():
        lines += ["", "# Values that `--param name=value` gives and ${name} stands for.", "parameters:", DATA]
    return {"lines": lines, "required": required}


def _beginning(row: OptionDoc) -> Any:
    if row.choices:
        return row.choices[0]
    return "${data}" if row.type.startswith("path") else "name" if row.type.startswith("text") else 1


def _resolved(head: Tree) -> Study:
    """The study with nothing but what is required: every other value is the default that holds there."""
    tree: Tree = {}
    for path, value in head["required"].items():
        _put(tree, path, value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text("\n".join([*head["lines"], *(f"{name}: {json.dumps(part)}" for name, part in tree.items())]), encoding="utf-8")
        return resolve([path])


def _trees(study: Study) -> tuple[Tree, dict[str, str]]:
    """The values by step, nested; and the paths of those that are given, as they are to be written."""
    trees: Tree = {}
    given = {}
    for path, value, origin in expand(study, silent=True):
        _put(trees, path, value)
        if origin != DEFAULT:
            given[path] = "${data}" if str(value).startswith(str(study.folder)) else _flow(value)
    return trees, given


def _put(tree: Tree, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        tree = tree.setdefault(key, {})
    tree[last] = value


def _lines(tree: Tree, path: str, docs: dict[tuple[str, str], OptionDoc], given: dict[str, str], level: int) -> Iterator[str]:
    when = f"{path.rpartition('.')[2]}.kind={tree.get('kind')}"
    for key, value in tree.items():
        place = f"{path}.{key}"
        row = docs.get((place, when)) or docs.get((place, "")) or _any(docs, place)
        used = any(one == place or one.startswith(f"{place}.") for one in given)
        # Comment marks stand at one column below a step, so that taking them off leaves the nesting right.
        indent = "  " * level if used else "  # " + "  " * (level - 1)
        if row is None and isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, place, docs, given, level + 1)
            continue
        if row is not None:
            margin = "  #: " + "  " * (level - 1)
            yield from textwrap.wrap(_explained(row, docs), WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
        yield f"{indent}{key}: {given.get(place, _flow(value))}"


def _explained(row: OptionDoc, docs: dict[tuple[str, str], OptionDoc]) -> str:
    if row.when and row.path.endswith(".kind"):
        kinds = [kind for (path, _), one in docs.items() if path == row.path for kind in one.choices]
        section = row.path.rpartition(".")[0]
        return f"One of {', '.join(kinds)}; `labwright help --all --filter {section}` shows the options of each."
    facts = f"{row.type}, in {row.unit}" if row.unit else row.type
    return f"{row.doc} ({facts})"


def _any(docs: dict[tuple[str, str], OptionDoc], place: str) -> OptionDoc | None:
    return next((row for (path, _), row in docs.items() if path == place), None)


def _flow(value: Any) -> str:
    """JSON is YAML; a dollar sign is doubled, as in every study."""
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")

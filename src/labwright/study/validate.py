"""A section of nodes → frozen options, or its mistakes in words.

Scalars are read by the type of the option they land on: ``name: 2024`` and ``sequences: [01, 02]`` are texts
where texts are wanted. An option of a section that is not named keeps what the section's default says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labwright.study.complaints import Keys, locate, told
from labwright.study.fields import (
    KIND,
    alternatives,
    constraints,
    elements,
    first_line,
    section_for,
    type_words,
    values,
)
from labwright.study.load import DEFAULT, Node, find, plain
from labwright.study.merge import merge
from labwright.study.messages import Mistake
from labwright.study.options import Options
from labwright.study.parameters import absolute

M = TypeVar("M", bound=Options)


def build(
    model: type[M], node: Node, name: str, folder: Path, known: Mapping[str, str], mistakes: list[Mistake], *, noun: str = "study"
) -> M | None:
    """The options of one section, paths made absolute.

    Args:
        model: the section's options.
        node: what the study says, a mapping.
        name: the section's name, for messages; empty where the node is the whole file.
        folder: relative paths of the file lie here; those of ``--set`` in the current directory.
        known: every option of the study with its type and doc line, to tell where a misplaced one belongs.
        mistakes: takes what is wrong; the result is ``None`` then.
        noun: what the file holds.
    """
    before = len(mistakes)
    node = underlay(model, node)
    _lookalikes(model, (), "", node, name, mistakes)
    try:
        options = model.model_validate(plain(node))
    except ValidationError as first:
        node = _with_texts(model, node, first)
        try:
            options = model.model_validate(plain(node))
        except ValidationError as error:
            mistakes += told(model, node, name, error, known, noun)
            return None
    return None if len(mistakes) > before else _anchored(options, node, folder)


def underlay(annotation: Any, node: Node) -> Node:
    """The node with the default of each section that it names in part laid beneath."""
    if not isinstance(node.value, dict):
        return node
    kind = node.value.get(KIND)
    model = section_for(annotation, kind.value if kind else None)
    if model is None:
        return node
    items = dict(node.value)
    for name, field in model.model_fields.items():
        if name in items and isinstance(items[name].value, dict):
            default = field.get_default(call_default_factory=True) if not field.is_required() else None
            if isinstance(default, BaseModel):
                items[name] = merge(_default_node(default), items[name], field.annotation)
            items[name] = underlay(field.annotation, items[name])
    return Node(items, node.origin)


def _default_node(value: Any) -> Node:
    if isinstance(value, BaseModel):
        names = [name for name in type(value).model_fields if name in value.model_fields_set or name == KIND]
        return Node({name: _default_node(getattr(value, name)) for name in names}, DEFAULT)
    return Node(value, DEFAULT, str(value))


def _with_texts(model: type[BaseModel], node: Node, error: ValidationError) -> Node:
    """The node with each number or true/false that landed on a text put back as it was written."""
    for problem in error.errors():
        if problem["type"] in ("string_type", "path_type", "literal_error") and isinstance(problem["input"], (bool, int, float)):
            node = _replaced(node, locate(model, problem["loc"]).keys)
    return node


def _replaced(node: Node, keys: Keys) -> Node:
    if not keys:
        return Node(node.text, node.origin, node.text) if node.text else node
    if isinstance(node.value, dict) and keys[0] in node.value:
        return Node({**node.value, keys[0]: _replaced(node.value[keys[0]], keys[1:])}, node.origin)
    if isinstance(node.value, list) and isinstance(keys[0], int):
        items = [_replaced(child, keys[1:]) if index == keys[0] else child for index, child in enumerate(node.value)]
        return Node(items, node.origin)
    return node


def _lookalikes(annotation: Any, metadata: Sequence[Any], doc: str, node: Node, path: str, mistakes: list[Mistake]) -> None:
    """Values that pydantic lets pass: true as the number 1, and an empty text as the path of the current folder."""
    if isinstance(node.value, dict):
        kind = node.value.get(KIND)
        section = section_for(annotation, kind.value if kind else None)
        for key, item in node.value.items():
            below = f"{path}.{key}".removeprefix(".")
            field = section.model_fields.get(key) if section else None
            if field:
                _lookalikes(field.annotation, field.metadata, first_line(field.description), item, below, mistakes)
            elif (value := values(annotation)) is not None:
                _lookalikes(value, constraints(value), doc, item, below, mistakes)
    elif isinstance(node.value, list):
        inner = elements(annotation)
        for index, item in enumerate(node.value if inner else []):
            element = inner[0] if inner[-1] is Ellipsis else inner[min(index, len(inner) - 1)]
            _lookalikes(element, constraints(element), doc, item, f"{path}[{index}]", mistakes)
    elif isinstance(node.value, bool):
        found = alternatives(annotation)
        if bool not in found and str not in found and (int in found or float in found):
            mistakes.append(Mistake(node.origin, path, f"'{node.text}' does not fit", type_words(annotation, metadata), doc=doc))
    elif node.value == "" and Path in alternatives(annotation):
        mistakes.append(Mistake(node.origin, path, "an empty text is no path", doc=doc))


def _anchored(value: Any, node: Node | None, folder: Path) -> Any:
    if isinstance(value, Path):
        return absolute(value, Path.cwd() if node and node.origin == "--set" else folder)
    if isinstance(value, BaseModel):
        old = {name: getattr(value, name) for name in type(value).model_fields}
        new = {name: _anchored(item, find(node, (name,)) if node else None, folder) for name, item in old.items()}
        changed = {name: item for name, item in new.items() if item is not old[name]}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        items = {key: _anchored(item, find(node, (key,)) if node else None, folder) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in items) else value
    if isinstance(value, (tuple, list)):
        entries = [_anchored(item, find(node, (index,)) if node else None, folder) for index, item in enumerate(value)]
        return type(value)(entries) if any(new is not old for new, old in zip(entries, value, strict=True)) else value
    return value

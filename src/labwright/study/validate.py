"""A section of nodes → frozen options, or its mistakes in words.

Scalars are read by the type of the option they land on: ``name: 2024`` and ``sequences: [01, 02]`` are texts
where texts are wanted. An option of a section that is not named keeps what the section's default says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labwright.study.fields import (
    KIND,
    alternatives,
    constraints,
    elements,
    first_line,
    is_section,
    is_tagged,
    kinds,
    section_for,
    sections,
    type_words,
    values,
    words,
)
from labwright.study.load import Node, find, plain
from labwright.study.merge import merge
from labwright.study.messages import Mistake, listed, nearest
from labwright.study.options import Options
from labwright.study.parameters import SPOILED, absolute

M = TypeVar("M", bound=Options)
Keys = tuple[str | int, ...]
_LENGTHS = {
    "too_short": "has {actual_length} entries, but needs at least {min_length}",
    "too_long": "has {actual_length} entries, but takes at most {max_length}",
    "string_too_short": "is shorter than {min_length} characters",
    "string_too_long": "is longer than {max_length} characters",
}


@dataclass(frozen=True)
class Place:
    """Where a problem lies: the keys to it and what is known of the option there."""

    keys: Keys
    annotation: Any
    metadata: Sequence[Any] = ()
    doc: str = ""
    section: type[BaseModel] | None = None
    """The section that lacks the last key, where that is the problem."""


def build(model: type[M], node: Node, name: str, folder: Path, known: Iterable[str], mistakes: list[Mistake]) -> M | None:
    """The options of one section, paths made absolute.

    Args:
        model: the section's options.
        node: what the study says, a mapping.
        name: the section's name, for messages.
        folder: relative paths of the file lie here; those of ``--set`` in the current directory.
        known: every option of the study, to tell where an option misplaced belongs.
        mistakes: takes what is wrong; the result is ``None`` then.
    """
    before = len(mistakes)
    node = underlay(model, node)
    try:
        options = model.model_validate(plain(node))
    except ValidationError as first:
        node = _with_texts(model, node, first)
        try:
            options = model.model_validate(plain(node))
        except ValidationError as error:
            mistakes += _mistakes(model, node, name, error, known)
            return None
    _suspicious(options, node, name, mistakes)
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
        return Node({name: _default_node(getattr(value, name)) for name in names}, "default")
    return Node(value, "default", str(value))


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


def locate(model: type[BaseModel], location: Sequence[str | int]) -> Place:
    """Follow a pydantic location, which names branches of unions between the keys."""
    annotation: Any = model
    keys: Keys = ()
    metadata: Sequence[Any] = ()
    doc = ""
    for item in location:
        found = alternatives(annotation)
        if is_tagged(annotation):
            annotation = section_for(annotation, item)
            continue
        if len(found) > 1:
            branch = next((member for member in sections(annotation) if member.__name__ == item), None)
            if branch is None:
                break
            annotation = branch
            continue
        if not found:
            break
        if is_section(found[0]):
            keys = (*keys, item)
            field = found[0].model_fields.get(str(item))
            if field is None:
                return Place(keys, None, (), doc, found[0])
            annotation, metadata, doc = field.annotation, field.metadata, first_line(field.description)
        elif inner := elements(found[0]):
            keys = (*keys, item)
            annotation = inner[0] if inner[-1] is Ellipsis or not isinstance(item, int) else inner[min(item, len(inner) - 1)]
            metadata = constraints(annotation)
        elif (value := values(found[0])) is not None and item != "[key]":
            keys = (*keys, item)
            annotation, metadata = value, constraints(value)
        else:
            break
    return Place(keys, annotation, metadata, doc)


def _mistakes(model: type[BaseModel], node: Node, name: str, error: ValidationError, known: Iterable[str]) -> list[Mistake]:
    found: dict[Keys, Mistake] = {}
    for problem in error.errors():
        place = locate(model, problem["loc"])
        here = find(node, place.keys)
        if here is not None and here.origin == SPOILED:
            continue
        mistake = _mistake(place, here, node, name, problem, known)
        # Each branch of a union complains; one line for the option says all.
        found.setdefault(place.keys, mistake)
    deepest = [keys for keys in found if not any(other[: len(keys)] == keys and len(other) > len(keys) for other in found)]
    return [found[keys] for keys in deepest]


def _mistake(place: Place, here: Node | None, node: Node, name: str, problem: Any, known: Iterable[str]) -> Mistake:
    path = dotted(name, place.keys)
    context = problem.get("ctx", {})
    kind = problem["type"]
    where = _origin(node, place.keys)
    if kind == "extra_forbidden" and place.section is not None:
        return unknown(where, path, place.section.model_fields, known, dotted(name, place.keys[:-1]))
    if kind == "missing":
        return Mistake(where, path, "is required and not given", type_words(place.annotation, place.metadata), doc=place.doc)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag for section in sections(place.annotation) for tag in kinds(section)]
        what = f"there is no kind '{context['tag']}'" if "tag" in context else "is required to tell which section is meant"
        return Mistake(where, f"{path}.{KIND}", what, f"one of {listed(tags)}", nearest(str(context.get("tag", "")), tags), place.doc)
    if kind in ("value_error", "assertion_error"):
        return Mistake(where, path, str(context["error"]), doc=place.doc)
    if kind in _LENGTHS:
        what = _LENGTHS[kind].format(**{"actual_length": "", **context})
        return Mistake(where, path, what, doc=place.doc)
    if kind == "finite_number":
        return Mistake(where, path, f"{_shown(here, problem)} is not finite", type_words(place.annotation, place.metadata), doc=place.doc)
    close = nearest(here.text, words(place.annotation)) if here else ""
    return Mistake(where, path, f"{_shown(here, problem)} does not fit", type_words(place.annotation, place.metadata), close, place.doc)


def unknown(where: str, path: str, names: Iterable[str], known: Iterable[str], section: str) -> Mistake:
    """A key that is not there: the nearest name beside it, else where an option of that name is."""
    key = path.rpartition(".")[2]
    names = list(names)
    close = nearest(key, names)
    elsewhere = [option for option in known if option.endswith(f".{key}")]
    if close or elsewhere:
        return Mistake(where, path, "there is no such option", nearest=f"{section}.{close}".lstrip(".") if close else elsewhere[0])
    place = f"'{section}'" if section else "a study"
    return Mistake(where, path, f"there is no such option; {place} has {listed(names, 40)}" if names else "there is no such option")


def _origin(node: Node, keys: Keys) -> str:
    """The line of the value, or of the nearest section around it that the study names."""
    for end in range(len(keys), -1, -1):
        found = find(node, keys[:end])
        if found is not None and found.origin != "default":
            return found.origin
    return node.origin


def _shown(node: Node | None, problem: Any) -> str:
    value = node.value if node else problem["input"]
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing (null)"
    return f"'{node.text if node else value}'"


def dotted(name: str, keys: Keys) -> str:
    """``train.network.widths[1]``"""
    return name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)


def _suspicious(value: Any, node: Node | None, path: str, mistakes: list[Mistake]) -> None:
    """Values that pydantic lets pass: true as the number 1, and an empty text as the path of the current folder."""
    if node is None:
        return
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner: list[Mistake] = []
            _suspicious(getattr(value, name), find(node, (name,)), f"{path}.{name}", inner)
            expected, doc = type_words(field.annotation, field.metadata), first_line(field.description)
            mistakes += [
                mistake if mistake.expected else Mistake(mistake.where, mistake.path, mistake.what, expected, "", doc) for mistake in inner
            ]
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            _suspicious(item, find(node, (index,)), f"{path}[{index}]", mistakes)
    elif isinstance(value, dict):
        for key, item in value.items():
            _suspicious(item, find(node, (key,)), f"{path}.{key}", mistakes)
    elif isinstance(node.value, bool) and isinstance(value, (int, float)) and not isinstance(value, bool):
        mistakes.append(Mistake(node.origin, path, f"'{node.text}' does not fit"))
    elif isinstance(value, Path) and node.value == "":
        mistakes.append(Mistake(node.origin, path, "an empty text is no path"))


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

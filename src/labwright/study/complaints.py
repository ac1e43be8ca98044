"""Pydantic's complaints in our words: the option, the line, what is expected, what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    meanings,
    section_for,
    sections,
    type_words,
    values,
    words,
)
from labwright.study.load import DEFAULT, Node, find
from labwright.study.messages import Mistake, nearest, one_of, unknown
from labwright.study.parameters import SPOILED

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


def told(
    model: type[BaseModel], node: Node, name: str, error: ValidationError, known: Mapping[str, str], noun: str = "study"
) -> list[Mistake]:
    """Every complaint of pydantic about ``node``, read as the section ``name`` of a ``noun``, as a mistake; one for each option."""
    found: dict[Keys, Mistake] = {}
    for problem in error.errors():
        place = locate(model, problem["loc"])
        here = find(node, place.keys)
        if here is not None and _spoiled(here):
            continue
        mistake = _mistake(model, place, here, node, name, problem, known, noun)
        # Each branch of a union complains; one line for the option says all.
        found.setdefault(place.keys, mistake)
    deepest = [keys for keys in found if not any(other[: len(keys)] == keys and len(other) > len(keys) for other in found)]
    return [found[keys] for keys in deepest]


def _spoiled(node: Node) -> bool:
    """Whether a parameter at fault stands in the value or, since a section may be wrong as a whole, below it."""
    below = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    return node.origin == SPOILED or any(_spoiled(child) for child in below)


def _mistake(
    model: type[BaseModel], place: Place, here: Node | None, node: Node, name: str, problem: Any, known: Mapping[str, str], noun: str
) -> Mistake:
    path = dotted(name, place.keys)
    context = problem.get("ctx", {})
    kind = problem["type"]
    where = _origin(node, place.keys)
    if kind == "extra_forbidden" and place.section is not None:
        return unknown(where, path, meanings(place.section.model_fields), known, dotted(name, place.keys[:-1]), noun)
    if kind == "missing" and isinstance(place.keys[-1], int):
        whole = locate(model, problem["loc"][:-1])
        entries = find(node, whole.keys)
        count = len(entries.value) if entries else 0
        what = f"has {count} {'entry' if count == 1 else 'entries'}"
        return Mistake(where, dotted(name, whole.keys), what, type_words(whole.annotation, whole.metadata), doc=place.doc)
    if kind == "missing":
        return Mistake(where, path, "is required and not given", type_words(place.annotation, place.metadata), doc=place.doc)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag for section in sections(place.annotation) for tag in kinds(section)]
        what = f"there is no kind '{context['tag']}'" if "tag" in context else "is required to tell which section is meant"
        return Mistake(where, f"{path}.{KIND}", what, one_of(tags), nearest(str(context.get("tag", "")), tags), place.doc)
    if kind in ("value_error", "assertion_error"):
        return Mistake(where, path, str(context["error"]), doc=place.doc)
    if kind in _LENGTHS:
        what = _LENGTHS[kind].format(**{"actual_length": "", **context})
        return Mistake(where, path, what, doc=place.doc)
    if kind == "finite_number":
        return Mistake(where, path, f"{_shown(here, problem)} is not finite", type_words(place.annotation, place.metadata), doc=place.doc)
    close = nearest(here.text, words(place.annotation)) if here else ""
    return Mistake(where, path, f"{_shown(here, problem)} does not fit", type_words(place.annotation, place.metadata), close, place.doc)


def _origin(node: Node, keys: Keys) -> str:
    """The line of the value, or of the nearest section around it that the study names."""
    for end in range(len(keys), -1, -1):
        found = find(node, keys[:end])
        if found is not None and found.origin != DEFAULT:
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
    """``train.network.widths[1]``; without a name the keys alone."""
    return (name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)).removeprefix(".")

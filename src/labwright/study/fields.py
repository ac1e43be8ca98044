"""What an option's annotation says: its alternatives, its sections, and its type in words.

Option models keep to a few shapes: scalars, words (``Literal``), paths, lists, mappings by name,
sections (a nested ``Options``) and choices among sections, told apart by their ``kind``.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from labwright.study.messages import first_sentence, one_of

KIND = "kind"
"""The key that tells alternative sections apart."""
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", type(None): "null"}
_PLURALS = {bool: "true/false values", int: "whole numbers", float: "numbers", str: "texts", Path: "paths"}
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, flat, ``None`` among them where it is one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(member for argument in get_args(annotation) for member in members(argument))
    return (annotation,)


def nullable(annotation: Any) -> bool:
    return any(member in (None, type(None)) for member in members(annotation))


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members less ``None``."""
    return tuple(member for member in members(annotation) if member not in (None, type(None)))


def is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def sections(annotation: Any) -> tuple[type[BaseModel], ...]:
    return tuple(member for member in members(annotation) if is_section(member))


def kinds(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of ``kind`` that mean this section; empty where it has none."""
    field = model.model_fields.get(KIND)
    return words(field.annotation) if field else ()


def is_tagged(annotation: Any) -> bool:
    """Whether this is a choice among sections by their ``kind``."""
    found = alternatives(annotation)
    return len(found) > 1 and all(is_section(member) and kinds(member) for member in found)


def section_for(annotation: Any, kind: Any) -> type[BaseModel] | None:
    """The section that a mapping with this ``kind`` is read as: the only one, or the one of that kind."""
    found = sections(annotation)
    if len(found) == 1:
        return found[0]
    return next((model for model in found if kind in kinds(model)), None)


def words(annotation: Any) -> tuple[str, ...]:
    """The words that an option takes: those of its ``Literal`` or ``Enum`` members, and true/false."""
    found: list[str] = []
    for member in members(annotation):
        if get_origin(member) is Literal:
            found += [str(value.value if isinstance(value, Enum) else value) for value in get_args(member)]
        elif isinstance(member, type) and issubclass(member, Enum):
            found += [str(value.value) for value in member]
        elif member is bool:
            found += ["true", "false"]
    return tuple(found)


def elements(annotation: Any) -> tuple[Any, ...]:
    """The element types of the list among the alternatives; empty where there is none. ``(X, ...)`` for any length."""
    for member in members(annotation):
        origin = get_origin(member) or member
        if origin is tuple:
            return get_args(member) or (Any, ...)
        if isinstance(origin, type) and issubclass(origin, (Sequence, set, frozenset)) and origin is not str:
            return ((get_args(member) or (Any,))[0], ...)
    return ()


def values(annotation: Any) -> Any | None:
    """The value type of the mapping among the alternatives, ``None`` where there is none."""
    for member in members(annotation):
        origin = get_origin(member) or member
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return (get_args(member) or (Any, Any))[1]
    return None


def has_path(annotation: Any) -> bool:
    """Whether a path can stand anywhere in this option."""
    return any(
        member is Path or any(has_path(argument) for argument in get_args(member) if argument is not Ellipsis)
        for member in members(annotation)
    )


def only_path(annotation: Any) -> bool:
    """Whether nothing but paths (and null) can stand in this option, alone or in a list or mapping."""
    if not has_path(annotation):
        return False
    for member in alternatives(annotation):
        inner = [argument for argument in get_args(member) if argument is not Ellipsis and argument is not str]
        if member is not Path and not (inner and all(only_path(argument) for argument in inner)):
            return False
    return True


def marks(field: FieldInfo) -> Mapping[str, Any]:
    """``unit``, ``effect`` and ``ordered`` of an option, as set by ``option()``."""
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def constraints(annotation: Any) -> list[Any]:
    """The bounds that an ``Annotated`` type carries."""
    return [bound for info in getattr(annotation, "__metadata__", ()) for bound in getattr(info, "metadata", (info,))]


def first_line(text: str | None) -> str:
    """The first paragraph of a docstring as one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def type_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The type in words: ``whole number ≥ 1``, ``one of adamw, sgd, or null``, ``list of paths``."""
    found = members(annotation)
    taken = [word for word in words(annotation) if word not in ("true", "false")]
    texts = [one_of(taken)] if taken else []
    tagged = [model for model in found if is_section(model)]
    if tagged:
        tags = [kind for model in tagged for kind in kinds(model)]
        texts.append("section with kind " + " or ".join(tags) if is_tagged(annotation) else "section")
    for member in found:
        text = _type_word(member)
        if text and text not in texts:
            texts.append(text + _bounds(metadata, member))
    return _joined(texts)


def meanings(fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Type and doc line of each option of a section."""
    told = {name: (type_words(field.annotation, field.metadata), first_line(field.description)) for name, field in fields.items()}
    return {name: f"{kind}: {first_sentence(doc)}" if doc else kind for name, (kind, doc) in told.items()}


def _type_word(member: Any) -> str:
    if member is None:
        return "null"
    if member in _WORDS:
        return _WORDS[member]
    if is_section(member) or get_origin(member) is Literal or (isinstance(member, type) and issubclass(member, Enum)):
        return ""  # told together by type_words
    if member is Any:
        return "anything"
    if inner := elements(member):
        return _list_words(inner)
    if (value := values(member)) is not None:
        return f"mapping of names to {_plural(value)}"
    return getattr(member, "__name__", str(member))


def _list_words(inner: tuple[Any, ...]) -> str:
    if inner[-1] is Ellipsis:
        return f"list of {_plural(inner[0])}"
    if len(set(inner)) == 1:
        return f"list of {len(inner)} {_plural(inner[0])}"
    return f"list of {len(inner)}: " + ", ".join(type_words(element) for element in inner)


def _plural(annotation: Any) -> str:
    found = members(annotation)
    if len(found) == 1 and found[0] in _PLURALS:
        return _PLURALS[found[0]] + _bounds(constraints(annotation), found[0])
    if len(found) == 1 and is_section(found[0]):
        return "sections"
    if len(found) == 1 and elements(found[0]):
        return "lists" + _list_words(elements(found[0])).removeprefix("list")
    return f"({type_words(annotation)})"


def _bounds(metadata: Sequence[Any], member: Any) -> str:
    parts = [
        f"{sign} {_number(getattr(mark, name))}" for mark in metadata for name, sign in _BOUNDS if getattr(mark, name, None) is not None
    ]
    if member in (int, float) and parts:
        return " " + " and ".join(parts)
    pattern = next((mark.pattern for mark in metadata if getattr(mark, "pattern", None)), "")
    return f" that matches {pattern}" if pattern and member is str else ""


def _number(bound: Any) -> str:
    """A bound as people write it; 2^63 instead of its nineteen digits."""
    power = bound.bit_length() - 1 if isinstance(bound, int) else 0
    return f"2^{power}" if power > 30 and bound == 2**power else str(bound)


def _joined(texts: Sequence[str]) -> str:
    return ", or ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 2 else " or ".join(texts)

"""Several study files in order: mappings are merged key by key, lists and scalars are replaced, null takes back what was said."""

from __future__ import annotations

from typing import Any

from labwright.study.fields import KIND, is_tagged, nullable, section_for, values
from labwright.study.load import DEFAULT, Node


def merge(first: Node, second: Node, annotation: Any = None) -> Node:
    """``second`` laid over ``first``; each leaf keeps its own origin.

    Args:
        annotation: what the nodes are read as, where known: where a section is chosen by its ``kind``, another kind
            replaces the section as a whole, since the options of one kind mean nothing to another. Where null is no value
            of an option, it takes back what a file said in ``first``.
    """
    if not (isinstance(first.value, dict) and isinstance(second.value, dict)):
        return second
    if is_tagged(annotation) and _another_kind(first.value, second.value):
        return second
    merged = dict(first.value)
    kind = second.value.get(KIND) or first.value.get(KIND)
    for key, node in second.value.items():
        below = child(annotation, key, kind)
        if key not in merged:
            merged[key] = node
        elif node.value is None and below is not None and not nullable(below) and merged[key].origin != DEFAULT:
            del merged[key]
        else:
            merged[key] = merge(merged[key], node, below)
    return Node(merged, second.origin)


def child(annotation: Any, key: str, kind: Node | None) -> Any:
    """What the value under ``key`` is read as, ``None`` where that is not known."""
    model = section_for(annotation, kind.value if kind else None)
    if model is None:
        return values(annotation)
    field = model.model_fields.get(key)
    return field.annotation if field else None


def _another_kind(first: dict[str, Node], second: dict[str, Node]) -> bool:
    return KIND in first and KIND in second and first[KIND].value != second[KIND].value

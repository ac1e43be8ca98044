"""A page as plain data: the report writes it as HTML, the live page gets it as JSON and builds the same elements from it.

A node is text, or ``[tag, {attribute: value}, child, …]``. Text is always text: it is escaped here, and becomes text nodes in the
browser; nothing that a run says can become an element.
"""

from __future__ import annotations

import html as escaping
from typing import Any

Node = str | list[Any]
_VOID = frozenset({"meta", "img", "input", "br", "link"})


def node(tag: str, *children: Node | None, **attributes: str | int | float | bool | None) -> Node:
    """An element; ``class_`` and ``data_value`` become ``class`` and ``data-value``, what is None is left out."""
    kept = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None and value is not False}
    texts = {name: "" if value is True else str(value) for name, value in kept.items()}
    return [tag, texts, *(child for child in children if child is not None)]


def data(text: str) -> Node:
    """JSON that a script of the page reads; it is inert."""
    return ["script", {"type": "application/json"}, text]


def html(*nodes: Node) -> str:
    """The nodes as HTML."""
    return "".join(_html(one) for one in nodes)


def _html(one: Node) -> str:
    if isinstance(one, str):
        return escaping.escape(one)
    tag, attributes, *children = one
    words = "".join(f' {name}="{escaping.escape(value)}"' for name, value in attributes.items())
    if tag in _VOID:
        return f"<{tag}{words}>"
    # "<" never appears inside a script element, so no text of a run can close it; in JSON it only occurs within strings.
    inside = "".join(children).replace("<", "\\u003c") if tag == "script" else "".join(_html(child) for child in children)
    return f"<{tag}{words}>{inside}</{tag}>"

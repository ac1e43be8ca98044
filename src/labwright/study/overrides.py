"""``--set a.b=value``: one option from the command line, read by the type of its target.

A text is taken as it is (``no``, ``007``, ``a: b``), a number as a number (``1e-3``), a list as ``a,b`` or ``[a, b]``,
a section as ``{kind: cosine}``, and ``null`` unsets what can be unset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from labwright.runs.errors import StudyError
from labwright.study.fields import (
    KIND,
    alternatives,
    elements,
    first_line,
    is_tagged,
    meanings,
    nullable,
    section_for,
    sections,
    type_words,
    values,
)
from labwright.study.load import Node, parse
from labwright.study.merge import merge
from labwright.study.messages import Mistake, listed, nearest, unknown
from labwright.study.options import Options
from labwright.study.parameters import SPOILED, split_assignment
from labwright.study.run_options import RunOptions

ORIGIN = "--set"
FROM = "from"
"""``pack: {from: PATH}`` takes a run made elsewhere instead of running the step, unless the step has an option of this name."""
_NULLS = ("null", "~")


def override(
    tree: Node, sets: Sequence[str], models: Mapping[str, type[Options]], known: Mapping[str, str], mistakes: list[Mistake]
) -> tuple[Node, set[str]]:
    """The tree with every ``--set`` laid over it, and the paths that were set.

    Args:
        tree: the merged files.
        sets: ``path=value`` each; of two for the same option the later counts.
        models: the option model of each section at the top (the steps, and ``run``).
        known: every option of the study with its type and doc line, for messages.
        mistakes: takes what is wrong.
    """
    pairs = [pair for text in sets if (pair := split_assignment(text, ORIGIN, mistakes))]
    # A kind first: it decides which options its section has, and a new one empties the section.
    pairs.sort(key=lambda pair: not pair[0].endswith(f".{KIND}"))
    paths = set()
    for path, text in pairs:
        keys = path.split(".")
        if keys[0] not in models:
            mistakes.append(_no_section(path, keys[0], models))
            continue
        if keys[1:] == [FROM] and takes_run(models[keys[0]]):
            section = Node({FROM: Node(text, ORIGIN, text)}, ORIGIN)
            tree = Node({**tree.value, keys[0]: section}, tree.origin)
            paths.add(keys[0])
            continue
        before = tree.value.get(keys[0])
        annotation = models[keys[0]]
        found = _target(annotation, keys, before, known, mistakes)
        if found is None:
            continue
        node = read(text, found, path, mistakes)
        for key in reversed(keys[1:]):
            node = Node({key: node}, ORIGIN)
        if before is not None:
            node = merge(before, node, annotation)
        tree = Node({**tree.value, keys[0]: node}, tree.origin)
        paths.add(path)
    return tree, paths


def takes_run(model: type[BaseModel]) -> bool:
    """Whether ``from`` in the section of this model means a run made elsewhere, and is no option of the step's own."""
    return model is not RunOptions and FROM not in model.model_fields


def read(text: str, annotation: Any, path: str, mistakes: list[Mistake]) -> Node:
    """The value that ``text`` means for an option of this type."""
    found = alternatives(annotation)
    if nullable(annotation) and text.strip() in _NULLS:
        return Node(None, ORIGIN, text)
    if all(member in (str, Path) for member in found):
        return Node(text, ORIGIN, text)
    inner = elements(annotation)
    if inner and not text.lstrip().startswith("[") and ("," in text or all(elements(member) for member in found)):
        items = [item.strip() for item in text.split(",")] if text.strip() else []
        return Node([read(item, inner[0], path, mistakes) for item in items], ORIGIN)
    structured = bool(inner or sections(annotation) or values(annotation) is not None)
    try:
        node = parse(text, ORIGIN, mistakes, lines=False)
    except StudyError as error:
        if structured:
            mistakes.append(Mistake(ORIGIN, path, f"'{text}' cannot be read: {error.what}", type_words(annotation)))
            return Node(None, SPOILED)
        node = None
    if node is None or (isinstance(node.value, (dict, list)) and not structured):
        return Node(text, ORIGIN, text)
    return node


def _target(annotation: Any, path: Sequence[str], node: Node | None, known: Mapping[str, str], mistakes: list[Mistake]) -> Any | None:
    """The type of the option at ``path``, whose first key has led here; what is not there is a mistake."""
    doc, done = "", path[0]
    for key in path[1:]:
        models = _possible(annotation, node)
        value = values(annotation)
        fields = {name: field for model in models for name, field in model.model_fields.items()}
        if key in fields:
            annotation, doc = fields[key].annotation, first_line(fields[key].description)
        elif value is not None:
            annotation = value
        else:
            here = f"{done}.{key}"
            if fields:
                mistakes.append(unknown(ORIGIN, here, meanings(fields), known, done))
            else:
                mistakes.append(
                    Mistake(ORIGIN, here, f"'{done}' holds no options of its own; set it as a whole", type_words(annotation), doc=doc)
                )
            return None
        done = f"{done}.{key}"
        node = node.value.get(key) if node and isinstance(node.value, dict) else None
    return annotation


def _possible(annotation: Any, node: Node | None) -> tuple[type[BaseModel], ...]:
    """The sections that may be meant: that of the node's ``kind``, else all."""
    if is_tagged(annotation) and node and isinstance(node.value, dict) and KIND in node.value:
        chosen = section_for(annotation, node.value[KIND].value)
        if chosen:
            return (chosen,)
    return sections(annotation)


def _no_section(path: str, name: str, models: Iterable[str]) -> Mistake:
    if name == "parameters":
        return Mistake(ORIGIN, path, "parameters are given with --param NAME=VALUE")
    if name == "recipe":
        return Mistake(ORIGIN, path, "the recipe is chosen in the study file")
    close = nearest(name, models)
    rest = path.partition(".")[2]
    return Mistake(
        ORIGIN, path, f"there is no section '{name}'; there are {listed(models)}", nearest=f"{close}.{rest}" if close and rest else close
    )

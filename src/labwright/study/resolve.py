"""Study files, parameters and overrides → one resolved study, or every mistake in them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labwright.runs.errors import StudyError
from labwright.study import parameters as typed
from labwright.study import registry
from labwright.study.load import Node, load
from labwright.study.merge import merge
from labwright.study.messages import Mistake, first_sentence, nearest, one_of, refuse, unknown
from labwright.study.options import Options
from labwright.study.overrides import FROM, ORIGIN, override, takes_run
from labwright.study.run_options import RunOptions
from labwright.study.schema import models, walk
from labwright.study.step import Recipe
from labwright.study.validate import build

DEFAULT_NAME = "study.yaml"


@dataclass(frozen=True)
class Study:
    """One resolved description of one analysis."""

    path: Path
    """The first study file."""
    folder: Path
    """Where the first study file lies."""
    recipe: Recipe
    steps: Mapping[str, Options]
    """The options of every step that is not taken from elsewhere."""
    run: RunOptions
    parameters: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each option comes from that has not its default: ``study.yaml:7``, ``--set`` or ``--param NAME``."""
    taken: Mapping[str, Path] = field(default_factory=dict)
    """Steps whose run was made elsewhere (``pack: {from: PATH}``), with that run's folder."""
    said: frozenset[str] = frozenset()
    """Optional steps of which the study says something, so that they are planned."""
    label: str = ""
    """The point of a sweep that this is; empty outside of sweeps. Without effect on results."""


def resolve(paths: Sequence[Path | str], *, sets: Sequence[str] = (), params: Sequence[str] = ()) -> Study:
    """Read, merge, substitute, override and check.

    Args:
        paths: study files, merged in order; a folder stands for the ``study.yaml`` in it. The first one's folder is the
            study's.
        sets: ``a.b=value`` each, over what the files say.
        params: ``name=value`` each, over the defaults of the study's parameters; ``file:name=value`` for one of several files.

    Raises:
        MissingError: a study file is not there.
        StudyError: something is wrong with the study; the message holds every mistake, a line each.
    """
    if not paths:
        raise StudyError("no study file is named", todo="Name one, such as study.yaml.")
    files = [path / DEFAULT_NAME if (path := Path(given)).is_dir() else path for given in paths]
    path = typed.absolute(files[0], Path.cwd())
    mistakes: list[Mistake] = []
    trees = [load(file, label, mistakes) for file, label in zip(files, _labels(files), strict=True)]
    recipe = _recipe(trees, mistakes)
    sections = models(recipe) if recipe else {}
    tree = trees[0]
    for later in trees[1:]:
        tree = _merged(tree, later, sections)

    block = tree.value.get("parameters")
    declared = typed.declare(block, params, path.parent, mistakes, _labels(files))
    names = {label: set(typed.used(_without_parameters(one))) for label, one in zip(_labels(files), trees, strict=True)}
    typed.unused(declared, block, names, mistakes)
    wrong_uses: list[Mistake] = []
    tree = typed.substitute(_without_parameters(tree), declared, wrong_uses)

    if recipe is None:
        refuse(mistakes + wrong_uses, str(files[0]))
        raise AssertionError("a study without a recipe has a mistake")
    rows = [row for name, model in sections.items() for row in walk(model, name)]
    known = {row.path: f"{row.type}: {first_sentence(row.doc)}" for row in rows}
    tree, overridden = override(_sections_of(tree, sections, known, mistakes), sets, sections, known, mistakes)
    # A parameter at fault does no harm where --set has the last word.
    mistakes += [one for one in wrong_uses if not any(one.path == done or one.path.startswith(f"{done}.") for done in overridden)]

    built: dict[str, Options] = {}
    taken: dict[str, Path] = {}
    for name, model in sections.items():
        node = tree.value.get(name, Node({}, _labels(files)[0]))
        if takes_run(model) and FROM in node.value:
            taken[name] = _taken(name, node, path.parent, mistakes)
        elif node.origin != typed.SPOILED and (options := build(model, node, name, path.parent, known, mistakes)) is not None:
            built[name] = options
    refuse(mistakes, str(files[0]))
    run = built.pop("run")
    assert isinstance(run, RunOptions)
    origins = dict(_origins(tree, ""))
    if recipe.check:
        refuse((Mistake(_origin(option, origins, files[0]), option, what) for option, what in recipe.check(built)), str(files[0]))
    said = frozenset(step.name for step in recipe.steps if step.optional and (node := tree.value.get(step.name)) and node.value)
    return Study(path, path.parent, recipe, built, run, declared.told(), origins, taken, said)


def _labels(files: Sequence[Path]) -> list[str]:
    """How messages call the files: by name, or by path where names are not enough."""
    short = [file.name for file in files]
    return short if len(set(short)) == len(short) else [str(file) for file in files]


def _recipe(trees: Sequence[Node], mistakes: list[Mistake]) -> Recipe | None:
    nodes = [tree.value["recipe"] for tree in trees if "recipe" in tree.value]
    if not nodes:
        where = trees[0].origin.rpartition(":")[0]
        mistakes.append(Mistake(where, "recipe", "is required and not given", one_of(registry.names())))
        return None
    name = nodes[-1].value
    if not isinstance(name, str):
        mistakes.append(Mistake(nodes[-1].origin, "recipe", "has to be a name", one_of(registry.names())))
        return None
    if name not in registry.names():
        mistakes.append(
            Mistake(
                nodes[-1].origin,
                "recipe",
                f"there is no recipe '{name}'",
                one_of(registry.names()),
                nearest(name, registry.names()),
            )
        )
        return None
    return registry.recipe(name)


def _merged(first: Node, second: Node, sections: Mapping[str, type[Options]]) -> Node:
    items = dict(first.value)
    for key, node in second.value.items():
        # Options do not go with a run taken from elsewhere: the later file decides which of the two it is.
        mixed = key in items and key in sections and takes_run(sections[key]) and _takes(items[key]) != _takes(node)
        items[key] = node if mixed or key not in items else merge(items[key], node, sections.get(key))
    return Node(items, first.origin)


def _takes(node: Node) -> bool:
    return isinstance(node.value, dict) and FROM in node.value


def _without_parameters(tree: Node) -> Node:
    return Node({key: node for key, node in tree.value.items() if key != "parameters"}, tree.origin)


def _sections_of(tree: Node, sections: Mapping[str, type[Options]], known: Mapping[str, str], mistakes: list[Mistake]) -> Node:
    """The steps and ``run`` as mappings; what else stands at the top is a mistake."""
    items: dict[str, Node] = {}
    for key, node in tree.value.items():
        if key == "recipe":
            continue
        if key not in sections:
            mistakes.append(unknown(node.origin, key, dict.fromkeys(["recipe", "parameters", *sections], ""), known, ""))
        elif node.value is None or isinstance(node.value, dict):
            items[key] = Node(node.value or {}, node.origin)
        else:
            items[key] = Node({}, typed.SPOILED)
            shown = f"'{node.text}'" if node.text else "a list"
            mistakes.append(Mistake(node.origin, key, f"{shown} does not fit", "a section of options"))
    return Node(items, tree.origin)


def _taken(name: str, node: Node, folder: Path, mistakes: list[Mistake]) -> Path:
    place = node.value[FROM]
    if not isinstance(place.value, str) or not place.value:
        mistakes.append(Mistake(place.origin, f"{name}.{FROM}", "has to be the path of a run folder"))
        return folder
    for key, other in node.value.items():
        if key != FROM:
            what = f"a step taken from elsewhere has no options of its own; leave out '{key}' or '{FROM}'"
            mistakes.append(Mistake(other.origin, f"{name}.{key}", what))
    return typed.absolute(place.value, Path.cwd() if place.origin == ORIGIN else folder)


def _origin(option: str, origins: Mapping[str, str], file: Path) -> str:
    """Where an option, or the first thing within it, was given; the file itself where it has its default."""
    return next((origin for path, origin in origins.items() if path == option or path.startswith(f"{option}.")), file.name)


def _origins(node: Node, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node.value, dict) and node.value:
        for key, child in node.value.items():
            yield from _origins(child, f"{path}.{key}" if path else key)
    else:
        yield path, node.origin

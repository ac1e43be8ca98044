"""Typed parameters of a study: declared in the file, given on the command line, put into nodes.

Substitution happens after parsing: ``${x}`` is a whole scalar and keeps the parameter's type, or stands inside
a text. It replaces scalars by scalars, so that no value can change the structure of a study.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from labwright.study.load import Node, plain
from labwright.study.messages import Mistake, listed, nearest, one_of
from labwright.study.options import Options, option

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
SPOILED = "(spoiled)"
"""Origin of a scalar whose parameter is at fault: that is reported already, so what it leads to is not."""
_TYPES = {
    "text": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "path": "path",
    "choice": "one of its choices",
}


class Parameter(Options):
    """One entry of a study's ``parameters`` block."""

    type: Literal["text", "int", "float", "bool", "path", "choice"] = option()
    """What the parameter holds."""
    default: str | int | float | bool | None = option(None)
    """Its value where none is given; a parameter without one has to be given with `--param`."""
    help: str = option("")
    """A line for help and completion."""
    choices: tuple[str, ...] = option(())
    """The texts that a parameter of type choice can hold."""


@dataclass(frozen=True)
class Declared:
    """The parameters of a study with their values and where each comes from."""

    parameters: Mapping[str, Parameter]
    values: Mapping[str, Any]
    given: frozenset[str] = frozenset()
    """Those that come from ``--param`` and not from their default."""
    only: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    """Values for one file alone, by its label and the parameter."""

    def value(self, name: str, file: str) -> Any:
        """What a parameter is worth in a file; None where it has no value, or one that is at fault."""
        return self.only.get((file, name), self.values.get(name))

    def origin(self, name: str, file: str) -> str:
        """``--param NAME`` where it was given there, else nothing."""
        if (file, name) in self.only:
            return f"--param {file}:{name}"
        return f"--param {name}" if name in self.given else ""

    def told(self) -> dict[str, Any]:
        """All values, those for one file as ``file:name``."""
        return {**self.values, **{f"{file}:{name}": value for (file, name), value in self.only.items()}}


def split_assignment(text: str, flag: str, mistakes: list[Mistake]) -> tuple[str, str] | None:
    """``name=value`` parted at the first ``=``."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        mistakes.append(Mistake(flag, "", f"'{text}' is not of the form NAME=VALUE"))
        return None
    return name.strip(), value


def declare(block: Node | None, params: Sequence[str], folder: Path, mistakes: list[Mistake], files: Sequence[str] = ()) -> Declared:
    """Read the ``parameters`` block and what ``--param`` gives: ``name=value`` for all files, ``file:name=value`` for one of several.

    Paths become absolute: a default lies relative to the study's ``folder``, a given one to the current directory.

    Args:
        block: the parameters of all files, merged.
        params: what is given.
        folder: of the study.
        mistakes: takes what is wrong.
        files: how messages call the study's files.
    """
    parameters, nodes = _entries(block, mistakes)
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if nodes[name] is not None:
            values[name] = _typed(name, parameter, nodes[name], folder, mistakes)
    given = set()
    only: dict[tuple[str, str], Any] = {}
    for text in params:
        pair = split_assignment(text, "--param", mistakes)
        if pair is None:
            continue
        written, value = pair
        word, sign, name = written.rpartition(":")
        file = _file(word, files) if sign else ""
        if file is None:
            what = f"'{word}' names none of the study's files, {listed(files)}"
            close = nearest(Path(word).stem, [Path(one).stem for one in files])
            mistakes.append(Mistake("--param", written, what, nearest=f"{close}:{name}" if close else ""))
            continue
        if name not in parameters:
            known = f"; it has {listed(parameters)}" if parameters else "; it declares none"
            close = nearest(name, parameters)
            mistakes.append(Mistake("--param", name, "the study has no such parameter" + ("" if close else known), nearest=close))
            continue
        found = _typed(name, parameters[name], Node(value, f"--param {name}", value), Path.cwd(), mistakes)
        if file:
            only[file, name] = found
        else:
            values[name] = found
            given.add(name)
    return Declared(parameters, values, frozenset(given), only)


def _file(word: str, files: Sequence[str]) -> str | None:
    """The one file that a word means: as messages call it, or its name, or that without its ending."""
    fitting = [file for file in files if word in (file, Path(file).name, Path(file).stem)]
    return fitting[0] if len(fitting) == 1 else None


def _entries(block: Node | None, mistakes: list[Mistake]) -> tuple[dict[str, Parameter], dict[str, Node | None]]:
    parameters: dict[str, Parameter] = {}
    defaults: dict[str, Node | None] = {}
    if block is None or block.value is None:
        return parameters, defaults
    if not isinstance(block.value, dict):
        mistakes.append(Mistake(block.origin, "parameters", "has to be a section: 'name: {type: text, default: …, help: …}'"))
        return parameters, defaults
    for name, node in block.value.items():
        path = f"parameters.{name}"
        if not NAME.fullmatch(name):
            mistakes.append(Mistake(node.origin, path, "a parameter's name is made of letters, digits and _, a letter first"))
        elif not isinstance(node.value, dict):
            mistakes.append(Mistake(node.origin, path, "has to be a section such as '{type: text, default: …, help: …}'"))
        elif (parameter := _parameter(path, node, mistakes)) is not None:
            parameters[name] = parameter
            default = node.value.get("default")
            defaults[name] = None if default is None or default.value is None else default
    return parameters, defaults


def _parameter(path: str, node: Node, mistakes: list[Mistake]) -> Parameter | None:
    data = plain(node)
    if isinstance(data.get("choices"), list):
        data["choices"] = [child.text for child in node.value["choices"].value]
    try:
        parameter = Parameter.model_validate(data)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            where = node.value[key].origin if key in node.value else node.origin
            if problem["type"] == "extra_forbidden":
                mistakes.append(
                    Mistake(
                        where,
                        f"{path}.{key}",
                        "no such key",
                        one_of(Parameter.model_fields),
                        nearest(key, Parameter.model_fields),
                    )
                )
            else:
                expected = one_of(_TYPES) if key == "type" else "a single value" if key == "default" else "text"
                mistakes.append(Mistake(where, f"{path}.{key}", "is missing" if problem["type"] == "missing" else "does not fit", expected))
        return None
    if (parameter.type == "choice") != bool(parameter.choices):
        what = "needs its 'choices'" if parameter.type == "choice" else f"has 'choices' but is of type {parameter.type}; write type: choice"
        mistakes.append(Mistake(node.origin, path, what))
        return None
    if isinstance(parameter.default, str) and "${" in parameter.default:
        mistakes.append(Mistake(node.origin, f"{path}.default", "a default cannot refer to another parameter"))
        return None
    return parameter


def _typed(name: str, parameter: Parameter, node: Node | None, folder: Path, mistakes: list[Mistake]) -> Any:
    """A parameter's value in its own type; a value that does not fit is a mistake and gives ``None``."""
    assert node is not None
    text = node.text
    value: Any = None
    close = ""
    if parameter.type == "text":
        value = text
    elif parameter.type == "choice":
        value = text if text in parameter.choices else None
        close = nearest(text, parameter.choices)
    elif parameter.type == "path":
        value = absolute(text, folder) if text else None
    elif parameter.type == "bool":
        value = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(text.lower())
    else:
        value = _number(text, int if parameter.type == "int" else float)
    if value is None:
        expected = one_of(parameter.choices) if parameter.choices else _TYPES[parameter.type]
        where = "--param" if node.origin.startswith("--param") else node.origin
        path = name if where == "--param" else f"parameters.{name}.default"
        mistakes.append(Mistake(where, path, f"'{text}' does not fit", expected, close, parameter.help))
    return value


def _number(text: str, kind: type[int] | type[float]) -> int | float | None:
    try:
        number = kind(text)
    except ValueError:
        return None
    return number if -float("inf") < number < float("inf") else None


def absolute(path: str | Path, folder: Path) -> Path:
    """``path`` made absolute from ``folder``; ``~`` is the home folder; symbolic links stay as they are."""
    return Path(os.path.abspath(folder / os.path.expanduser(path)))


def used(node: Node) -> Iterator[str]:
    """The names of all ``${x}`` below a node."""
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from used(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from used(child)
    elif isinstance(node.value, str):
        yield from (match[1] for match in _REFERENCE.finditer(node.value) if match[1] is not None)


def substitute(node: Node, declared: Declared, mistakes: list[Mistake], path: tuple[str, ...] = ()) -> Node:
    """The same tree with ``${x}`` replaced by values and ``$$`` by ``$``."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            if "${" in key:
                mistakes.append(Mistake(child.origin, ".".join(path), f"the name '{key}' cannot hold a parameter; values can"))
        items = {key: substitute(child, declared, mistakes, (*path, key)) for key, child in node.value.items()}
        return Node(items, node.origin)
    if isinstance(node.value, list):
        return Node([substitute(child, declared, mistakes, path) for child in node.value], node.origin)
    if not isinstance(node.value, str) or "$" not in node.value:
        return node
    return _filled(node, declared, mistakes, ".".join(path))


def _filled(node: Node, declared: Declared, mistakes: list[Mistake], path: str) -> Node:
    names: list[str] = []
    before = len(mistakes)
    file = node.origin.rpartition(":")[0]

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1]
        names.append(name)
        if not match[2] or not NAME.fullmatch(name):
            what = f"'{match[0]}' is not a parameter; write ${{name}}, or $${{ for the characters themselves"
            mistakes.append(Mistake(node.origin, path, what))
        elif name not in declared.parameters:
            known = listed(declared.parameters)
            what = f"there is no parameter '{name}'" + (f"; declared are {known}" if known else "; none is declared under 'parameters:'")
            mistakes.append(Mistake(node.origin, path, what, nearest=nearest(name, declared.parameters)))
        elif name not in declared.values and (file, name) not in declared.only:
            help_line = declared.parameters[name].help
            mistakes.append(
                Mistake(node.origin, path, f"the parameter '{name}' has no value; give it with --param {name}=…", doc=help_line)
            )
        elif declared.parameters[name].type == "bool" and match[0] != node.value:
            mistakes.append(Mistake(node.origin, path, f"the parameter '{name}' is true or false and cannot stand inside a text"))
        return _text(declared.value(name, file))

    text = _REFERENCE.sub(value, node.value)
    if len(mistakes) > before or any(declared.value(name, file) is None for name in names):
        return Node(None, SPOILED)
    origin = next(filter(None, (declared.origin(name, file) for name in names)), node.origin)
    if len(names) == 1 and node.value == f"${{{names[0]}}}":
        whole = declared.value(names[0], file)
        return Node(text if isinstance(whole, Path) else whole, origin, text)
    return Node(text, origin, text)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unused(declared: Declared, block: Node | None, names: Mapping[str, Collection[str]], mistakes: list[Mistake]) -> None:
    """A declared parameter that stands nowhere is a mistake, and so is one given for a file in which it does not: it would be ignored.

    Args:
        declared: the parameters.
        block: where they are declared.
        names: those that stand in each file.
        mistakes: takes what is wrong.
    """
    for file, name in declared.only:
        if name not in names[file]:
            mistakes.append(Mistake("--param", f"{file}:{name}", f"'${{{name}}}' stands nowhere in {file}"))
    for name in declared.parameters:
        if not any(name in own for own in names.values()):
            where = block.value[name].origin if block else ""
            mistakes.append(Mistake(where, f"parameters.{name}", f"is declared but '${{{name}}}' stands nowhere in the study"))

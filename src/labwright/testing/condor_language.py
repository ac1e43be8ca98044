"""The part of HTCondor's submit language, and of DAGMan's, that the twins of its tools need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

Commands = dict[str, str]


class Node(NamedTuple):
    """One node of a DAG."""

    name: str
    description: Path
    pre: tuple[str, ...] = ()
    skip: int | None = None
    parents: tuple[str, ...] = ()


def description(path: Path) -> tuple[Commands, list[Commands]]:
    """The commands of a submit description, names in small letters, and the variables of each job that it queues.

    Raises:
        ValueError: a line is neither a command nor a queue statement, or there is none.
    """
    commands: Commands = {}
    for line in re.sub(r"\\\n[ \t]*", "", path.read_text(encoding="utf-8")).splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip() or line.startswith("#"):
            continue
        if match := re.fullmatch(r"queue\s+(?P<names>[\w, ]+?)\s+from\s+(?P<path>.+)", line):
            return commands, _table([word.strip() for word in match["names"].split(",")], path.parent / match["path"])
        if line.strip() == "queue":
            return commands, [{}]
        if not equals:
            raise ValueError(f"{path}: {line!r} is no command")
        commands[name.lower()] = value
    raise ValueError(f"{path}: there is no queue statement")


def expanded(commands: Mapping[str, str], row: Mapping[str, str], cluster: int, proc: int) -> Commands:
    """The commands of one job with every ``$(name)`` filled in; one that nobody has set is empty."""
    known = {**commands, **row, "cluster": str(cluster), "process": str(proc)}
    return {name: fill(value, known) for name, value in commands.items()}


def fill(text: str, known: Mapping[str, str]) -> str:
    """A text with its macros filled in, again and again."""
    while (new := re.sub(r"\$\(([\w.]+)\)", lambda match: known.get(match[1].lower(), ""), text)) != text:
        text = new
    return text


def dag(path: Path) -> list[Node]:
    """The nodes of a DAG file.

    Raises:
        ValueError: a line says something else than JOB, SCRIPT PRE, PRE_SKIP or PARENT, or names no node.
    """
    nodes: dict[str, Node] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match line.split():
            case []:
                pass
            case [word, *_] if word.startswith("#"):
                pass
            case ["JOB", name, file]:
                nodes[name] = Node(name, path.parent / file)
            case ["SCRIPT", "PRE", name, *words] if name in nodes:
                nodes[name] = nodes[name]._replace(pre=tuple(words))
            case ["PRE_SKIP", name, code] if name in nodes:
                nodes[name] = nodes[name]._replace(skip=int(code))
            case ["PARENT", *rest] if "CHILD" in rest and set(rest) - {"CHILD"} <= nodes.keys():
                at = rest.index("CHILD")
                for child in rest[at + 1 :]:
                    nodes[child] = nodes[child]._replace(parents=(*nodes[child].parents, *rest[:at]))
            case _:
                raise ValueError(f"{path}: {line!r} means nothing here")
    return list(nodes.values())


def _table(names: list[str], path: Path) -> list[Commands]:
    """Rows of a queue table: words by commas or spaces, all that is left to the last column."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            words = re.split(r"\s*,\s*|\s+", line.strip(), maxsplit=len(names) - 1)
            rows.append(dict(zip(names, [*words, *[""] * (len(names) - len(words))], strict=True)))
    return rows

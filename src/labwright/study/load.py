"""YAML, read safely: closed, typed by YAML 1.2, every value with the line it stands on.

YAML 1.1's traps are absent: ``on`` and ``no`` are words, ``1e-3`` is a number, ``01`` keeps its zero,
``12:30`` is no count of seconds. Tags are refused, so that no file can name code; anchors are allowed
within a limit on what they expand to, so that no file can explode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml import events

from labwright.runs.errors import MissingError, StudyError
from labwright.study.messages import Mistake, nearest

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000
MOST_LEVELS = 40
DEFAULT = "default"
"""Origin of what no file says."""

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
# Like JSON's, with a sign: a number with a leading zero is a name (01, 007) and stays text.
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_HEX_OR_OCTAL = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PLAINER = (
    ("'\\t'", "a tab indents or parts this line; YAML takes spaces only"),
    ("mapping values are not allowed", "a second ': ' stands on this line; put the text in quotes, or check the indentation"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("did not find expected <document start>", "the text does not fit the lines above"),
    ("special characters are not allowed", "there is a control character in the text"),
    ("but got '<stream end>'", "a bracket is not closed"),
    ("found unexpected end of stream", "a quote is not closed"),
)


class Sort(NamedTuple):
    """What a file holds, for messages."""

    noun: str
    first_line: str
    """What such a file may begin with."""
    source: str
    """How one comes by a first one."""


STUDY = Sort("study", "recipe: cells", "'labwright new' writes a first study.")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its origin: a scalar, a mapping of nodes or a list of nodes."""

    value: Any
    origin: str
    """``study.yaml:12``, ``--set``, ``--param NAME`` or ``default``."""
    text: str = ""
    """A scalar as it was written; ``007`` or ``1e-3`` where a text is wanted."""


def plain(node: Node) -> Any:
    """The bare values of a tree of nodes."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def find(node: Node, path: tuple[str | int, ...]) -> Node | None:
    """The node at a path of keys and positions, ``None`` where there is none."""
    for key in path:
        value = node.value
        keyed = isinstance(value, dict) and key in value
        if not keyed and not (isinstance(value, list) and isinstance(key, int) and key < len(value)):
            return None
        node = value[key]
    return node


def load(path: Path, label: str, mistakes: list[Mistake], sort: Sort = STUDY) -> Node:
    """Read one file, a study by default, into a mapping of nodes.

    Args:
        path: the file.
        label: how messages and origins call it.
        mistakes: takes what is wrong but lets reading go on (a key twice, a tag).
        sort: what the file holds.

    Raises:
        MissingError: there is no such file.
        StudyError: the file cannot be read as a mapping.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise _absent(path, sort) from None
    except OSError as error:
        raise MissingError(f"the {sort.noun} file cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > MOST_BYTES:
        raise StudyError(f"the file is larger than {MOST_BYTES // 1024} KiB, which no {sort.noun} is", where=label)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise StudyError("the file is not UTF-8 text", where=f"{label}:{line}", todo="Save it as UTF-8.") from None
    node = parse(text, label, mistakes, noun=sort.noun)
    begin = f"Begin with a line such as '{sort.first_line}'."
    if node is None:
        raise StudyError("the file is empty", where=label, todo=begin)
    if not isinstance(node.value, dict):
        raise StudyError("the file is not a mapping of names to values", where=node.origin, todo=begin)
    return node


def parse(
    text: str, label: str, mistakes: list[Mistake], *, lines: bool = True, noun: str = STUDY.noun, most: int = MOST_NODES
) -> Node | None:
    """The nodes of a YAML text, ``None`` if it is empty. ``lines=False``: the label alone is the origin. At most ``most`` values."""
    try:
        return _Composer(text, label, mistakes, lines, noun, most).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = next((plainer for part, plainer in _PLAINER if part in str(error.problem)), f"this is not YAML: {error.problem}")
        if mark and any("${" in line for line in text.splitlines()[mark.line : mark.line + 1]):
            problem += "; inside { } or [ ] a ${name} has to stand in quotes"
        raise StudyError(problem, where=f"{label}:{mark.line + 1}" if mark and lines else label) from None
    except yaml.YAMLError as error:
        problem = next((plainer for part, plainer in _PLAINER if part in str(error)), "this is not YAML")
        raise StudyError(problem, where=label) from None


def _absent(path: Path, sort: Sort) -> MissingError:
    folder = path.parent
    names = sorted(file.name for file in folder.glob("*.y*ml")) if folder.is_dir() else []
    close = nearest(path.name, names)
    todo = f"Did you mean '{folder / close}'?" if close else sort.source
    return MissingError(f"there is no such {sort.noun} file", where=str(path), todo=todo)


class _Composer:
    """Makes nodes of YAML events, without YAML's own resolver and constructor."""

    def __init__(self, text: str, label: str, mistakes: list[Mistake], lines: bool, noun: str, most: int) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self.label, self.mistakes, self.lines, self.noun = label, mistakes, lines, noun
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.count, self.most = 0, most

    def document(self) -> Node | None:
        next(self.events)  # stream start
        if isinstance(next(self.events), events.StreamEndEvent):
            return None
        event = next(self.events)
        node = self.node(event, 0)
        next(self.events)  # document end
        after = next(self.events)
        if not isinstance(after, events.StreamEndEvent):
            raise StudyError(f"a second document begins here ('---'); a {self.noun} file holds one", where=self.where(after))
        empty = isinstance(event, events.ScalarEvent) and event.value == "" and event.implicit[0]
        return None if empty else node

    def where(self, event: Any) -> str:
        return f"{self.label}:{event.start_mark.line + 1}" if self.lines else self.label

    def grow(self, by: int, event: Any) -> None:
        self.count += by
        if self.count > self.most:
            raise StudyError(f"the {self.noun} holds more than {self.most} values once its anchors are expanded", where=self.where(event))

    def node(self, event: Any, level: int) -> Node:
        if isinstance(event, events.AliasEvent):
            if event.anchor not in self.anchors:
                raise StudyError(
                    f"no anchor '{event.anchor}' is complete above; it is missing or refers to itself", where=self.where(event)
                )
            node, size = self.anchors[event.anchor]
            self.grow(size, event)
            return node
        if level > MOST_LEVELS:
            raise StudyError(f"the {self.noun} is nested more than {MOST_LEVELS} levels deep", where=self.where(event))
        if event.tag is not None:
            self.mistakes.append(
                Mistake(
                    self.where(event),
                    "",
                    f"the tag '{event.tag.replace('tag:yaml.org,2002:', '!!')}' is refused; a {self.noun} holds plain values only",
                )
            )
        before = self.count
        self.grow(1, event)
        if isinstance(event, events.MappingStartEvent):
            node = Node(self.mapping(level), self.where(event))
        elif isinstance(event, events.SequenceStartEvent):
            node = Node(self.sequence(level), self.where(event))
        else:
            value = resolve_scalar(event.value) if event.implicit[0] else event.value
            node = Node(value, self.where(event), event.value)
            if not event.value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in event.value):
                raise StudyError("half a character (a lone surrogate) stands in the text", where=self.where(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.count - before)
        return node

    def sequence(self, level: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self.events), events.SequenceEndEvent):
            items.append(self.node(event, level + 1))
        return items

    def mapping(self, level: int) -> dict[str, Node]:
        items: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self.events), events.MappingEndEvent):
            where, line = self.where(event), event.start_mark.line + 1
            name = self.key(event, level)
            child = self.node(next(self.events), level + 1)
            if name is None:
                continue
            if name in items:
                what = f"'{name}' stands twice in one section, on line {lines[name]} and on line {line}; keep one"
                self.mistakes.append(Mistake(where, "", what))
            else:
                # A value takes the line of its key: that is where one looks for it.
                items[name], lines[name] = Node(child.value, where, child.text), line
        return items

    def key(self, event: Any, level: int) -> str | None:
        if not isinstance(event, events.ScalarEvent):
            self.node(event, level + 1)
            self.mistakes.append(Mistake(self.where(event), "", "a name has to be a plain text, not a list, a section or an alias"))
            return None
        if event.value == "<<" and event.implicit[0]:
            self.mistakes.append(
                Mistake(
                    self.where(event), "", "merge keys ('<<') are refused; put what is shared into a first study file and merge the files"
                )
            )
            return None
        if event.tag is not None or event.anchor is not None:
            self.mistakes.append(Mistake(self.where(event), "", f"the name '{event.value}' cannot have a tag or an anchor"))
        return str(event.value)


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """A plain scalar by YAML 1.2's core schema, but for integers with leading zeros, which stay text."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    # A very long number is text: reading it would take quadratic time.
    if len(text) > 400:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _HEX_OR_OCTAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _SPECIAL.fullmatch(text):
        return float(match[1] + "inf") if match[2] else float("nan")
    return text

"""Texts of a site that become a line of a script, or a part of one: none may begin a second line, or be taken for something else."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

_LINE_ENDS = ("Cc", "Zl", "Zp")
"""Unicode's categories of control characters and of what parts lines and paragraphs."""


def _one_line(text: str) -> str:
    for sign in text:
        if unicodedata.category(sign) in _LINE_ENDS:
            raise ValueError(f"has the control character {sign!r}; write it as one line")
    return text


def _directive(text: str) -> str:
    if text.endswith("\\"):
        raise ValueError("ends with a backslash, which would join it to the line after it")
    return _one_line(text)


# fmt: off
OURS = frozenset({
    "back", "cancelled", "caught", "child", "code", "first", "home", "homes", "host", "me", "name", "node", "nodes", "now", "once", "one",
    "new", "pids", "place", "run", "runs", "stop", "task", "told", "words",
})
# fmt: on
"""Variables and functions of the job scripts; a site that set one would change what they do."""


def _variable(name: str) -> str:
    if name in OURS:
        raise ValueError("is a name that job scripts use themselves; choose another")
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError("is no name of a variable; write letters, digits and _, with no digit first")
    return name


def _attribute(name: str) -> str:
    if not re.fullmatch(r"\+?[A-Za-z_][\w.-]*", name, re.ASCII):
        raise ValueError("is no name of an option; write letters, digits, _, . and -, with a letter first, or + before it for HTCondor")
    return name


def _folder(path: str) -> str:
    if not path.startswith("/") or set(":=") & set(path):
        raise ValueError("is no folder that can be named here; write a whole path, from / on, without : and =")
    return _one_line(path)


Line = Annotated[str, AfterValidator(_one_line)]
Directive = Annotated[str, AfterValidator(_directive)]
"""A value of a line that a scheduler reads, and no shell."""
Variable = Annotated[str, AfterValidator(_variable)]
Attribute = Annotated[str, AfterValidator(_attribute)]
Folder = Annotated[str, AfterValidator(_folder)]

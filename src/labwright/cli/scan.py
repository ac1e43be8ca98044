"""A study file looked at as text: its recipe, parameters and runs folder, as far as completion wants them.

Loading YAML properly takes longer than a completion may; what this misreads costs a candidate, no more.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_BYTES = 256 * 1024


class Parameter(NamedTuple):
    """One parameter of a study."""

    name: str
    type: str
    default: str
    help: str


def recipe(path: str) -> str:
    """What ``recipe:`` names; empty where it is not said."""
    return _scalar(_find(r"^recipe:(.*)$", _read(path)))


def about(path: str) -> str:
    """What a site file says that it is."""
    return _scalar(_find(r"^about:(.*)$", _read(path)))


def runs_folder(path: str) -> str:
    """``run: folder:`` as written; ``runs`` where it is not said."""
    block = "\n".join([_find(r"^run:(.*)$", _read(path)), *_block(path, "run")])
    return _scalar(_find(r"\bfolder:([^,}\n]*)", block)) or "runs"


def parameters(path: str) -> list[Parameter]:
    """The parameters of a study, in order."""
    lines = _block(path, "parameters")
    indent = min((_indent(line) for line in lines), default=0)
    texts: list[list[str]] = []
    for line in lines:
        if _indent(line) == indent:
            texts.append([])
        if texts:
            texts[-1].append(line)
    return [_parameter("\n".join(text)) for text in texts]


def split(line: str) -> list[str]:
    """A shell line up to the cursor → its words, the last one as far as it is typed.

    Quotes and backslashes are taken off; a quote that is still open runs to the end.
    """
    words, quote, escaped, inside = [""], "", False, False
    for character in line:
        if escaped:
            words[-1] += character
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                words[-1] += character
        elif character in "'\"":
            quote, inside = character, True
        elif character.isspace():
            if words[-1] or inside:
                words.append("")
            inside = False
        else:
            words[-1] += character
    return words


def _parameter(text: str) -> Parameter:
    name, _, rest = text.strip().partition(":")
    fields = {key: _scalar(_find(rf"\b{key}:\s*(\"[^\"]*\"|'[^']*'|[^,}}\n]*)", rest)) for key in ("type", "default", "help")}
    return Parameter(_scalar(name), fields["type"] or "text", fields["default"], fields["help"])


def _block(path: str, name: str) -> list[str]:
    lines: list[str] = []
    inside = False
    for line in _read(path).splitlines():
        if line[:1] not in ("", " ", "#"):
            inside = line.startswith(f"{name}:")
        elif inside and line.strip() and not line.lstrip().startswith("#"):
            lines.append(line)
    return lines


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(MOST_BYTES)
    except OSError:
        return ""


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _scalar(text: str) -> str:
    text = text.strip()
    if text[:1] in ("'", '"'):
        return text[1:].partition(text[0])[0]
    return re.split(r"\s#", text)[0].strip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

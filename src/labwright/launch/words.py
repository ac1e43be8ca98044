"""Words for the shell of the machine that works, where alone the variables of a site's options have a value."""

from __future__ import annotations

import re
import shlex

_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})")


def expanding(text: str) -> str:
    """A word in which ``$NAME`` and ``${NAME}`` are filled in where the script runs, and nothing else is."""
    if not _VARIABLE.search(text):
        return shlex.quote(text)
    pieces, end = [], 0
    for match in _VARIABLE.finditer(text):
        pieces += [_literal(text[end : match.start()]), match[0]]
        end = match.end()
    return f'"{"".join(pieces)}{_literal(text[end:])}"'


def _literal(text: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", text)

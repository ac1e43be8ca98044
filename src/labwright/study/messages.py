"""Mistakes in a study: gathered, put in words, and raised all at once.

A line reads: where it stands, the option, what is wrong, what is expected or meant, and the option's
own doc line, so that the reader need not look anything up.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from labwright.runs.errors import StudyError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a study."""

    where: str
    """``study.yaml:7``, ``--set`` or ``--param``."""
    path: str
    """The option: ``train.epochs``; empty for a mistake that belongs to none."""
    what: str
    expected: str = ""
    nearest: str = ""
    doc: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.what}" if self.path else self.what
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean '{self.nearest}'?"
        return f"{text} ({self.doc.rstrip('.')})" if self.doc else text


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of ``names`` that ``name`` was probably meant to be, or nothing."""
    known = {known.casefold().replace("-", "_"): known for known in names}
    found = difflib.get_close_matches(name.casefold().replace("-", "_"), known, n=1, cutoff=0.6)
    return known[found[0]] if found else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """``a, b and c``; a long list is cut and its rest counted."""
    names = list(names)
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def refuse(mistakes: Iterable[Mistake], study: str) -> None:
    """Raise one ``StudyError`` that holds every mistake, in the order of the lines; nothing to raise, nothing done."""
    found = sorted(set(mistakes), key=_order)
    if not found:
        return
    if len(found) == 1:
        raise StudyError(str(found[0]), where=found[0].where)
    width = max(len(mistake.where) for mistake in found)
    lines = [f"  {mistake.where:<{width}}  {mistake}" for mistake in found]
    raise StudyError("\n".join([f"{len(found)} mistakes", *lines]), where=study)


def _order(mistake: Mistake) -> tuple[bool, str, int, str]:
    name, _, line = mistake.where.rpartition(":")
    if not line.isdigit():
        name, line = mistake.where, "0"
    return name.startswith("--"), name, int(line), mistake.path

"""Mistakes in a study: gathered, put in words, and raised all at once.

A line reads: where it stands, the option, what is wrong, what is expected or meant, and the option's
own doc line, so that the reader need not look anything up.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
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
    meant: str = ""
    """Type and doc line of what ``nearest`` names."""

    def __str__(self) -> str:
        text = f"{self.path}: {self.what}" if self.path else self.what
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean '{self.nearest}'" + (f" ({self.meant})?" if self.meant else "?")
        return f"{text} ({first_sentence(self.doc)})" if self.doc else text


def first_sentence(text: str) -> str:
    return re.split(r"\.(?:\s|$)", text, maxsplit=1)[0]


def unknown(where: str, path: str, names: Mapping[str, str], known: Mapping[str, str], section: str, noun: str = "study") -> Mistake:
    """A key that is not there: the nearest name beside it, else where an option of that name is.

    Args:
        where: line or flag.
        path: the key as it was given, with its section.
        names: what the section has, each with its type and doc line.
        known: the same for every option of the study, by whole path.
        section: its path; empty for the top of the file.
        noun: what the file holds.
    """
    key = path.rpartition(".")[2]
    # At the top of a study stand sections only.
    what = "there is no such section" if noun == "study" and not section else "there is no such option"
    if path in known:
        return Mistake(where, path, f"this kind of section has no such option; it has {listed(names, 40)}")
    # The very name in another section is a better guess than a name here that is only somewhat like it.
    elsewhere = next((option for option in known if option.endswith(f".{key}")), "")
    if close := nearest(key, names, 0.8 if elsewhere else 0.6):
        return Mistake(where, path, what, nearest=f"{section}.{close}".lstrip("."), meant=names[close])
    if elsewhere:
        return Mistake(where, path, what, nearest=elsewhere, meant=known[elsewhere])
    place = f"'{section}'" if section else f"a {noun}"
    return Mistake(where, path, f"{what}; {place} has {listed(names, 40)}")


def nearest(name: str, names: Iterable[str], alike: float = 0.6) -> str:
    """The one of ``names`` that ``name`` was probably meant to be, or nothing; ``alike`` is 1 for equal names."""
    known = {known.casefold().replace("-", "_"): known for known in names}
    found = difflib.get_close_matches(name.casefold().replace("-", "_"), known, n=1, cutoff=alike)
    return known[found[0]] if found else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """``a, b and c``; a long list is cut and its rest counted."""
    names = list(names)
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def one_of(names: Iterable[str]) -> str:
    """``one of a, b, c``, or ``the word a``."""
    names = list(names)
    return f"one of {', '.join(names)}" if len(names) > 1 else f"the word {''.join(names)}"


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

"""Findings: what a check found, with a code that has a page of its own in the reference.

A recipe adds its own codes (``CEL…``) as a catalogue built from the same ``Code``; the codes here
(``LAB…``) concern every recipe. Severity *error* stops training with exit code 65, *warning* is shown
and counted, *note* is only recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

from labwright.runs.errors import DataError

Severity = Literal["error", "warning", "note"]


class Finding(NamedTuple):
    """One thing found. ``place`` is an item identity, a sequence, a split or a file; ``text`` says what is the case there."""

    code: str
    severity: Severity
    place: str
    text: str


@dataclass(frozen=True)
class Code:
    """What a code stands for.

    Args:
        code: letters of the owner and three digits, ``LAB001``.
        severity: the severity of every finding with this code.
        title: what is the case, half a sentence; the text of a finding that says nothing more particular.
        why: why it matters, sentences.
        todo: what to do about it, sentences.
    """

    code: str
    severity: Severity
    title: str
    why: str
    todo: str

    def at(self, place: str, text: str = "") -> Finding:
        """A finding with this code."""
        return Finding(self.code, self.severity, place, text or self.title)


def catalogue(*codes: Code) -> Mapping[str, Code]:
    """The codes by name, in order of name; ValueError where two have the same name."""
    named = {code.code: code for code in codes}
    if len(named) < len(codes):
        twice = sorted({code.code for code in codes if sum(other.code == code.code for other in codes) > 1})
        raise ValueError(f"finding codes used twice: {', '.join(twice)}")
    return MappingProxyType(dict(sorted(named.items())))


class Unusable(DataError):
    """One file or item that cannot be used; it is set aside and the rest goes on. A recipe's own class names its ``codes``.

    Args:
        finding: a code of ``codes``.
        text: what was seen, with values, without a full stop.
        where: the file.
    """

    codes: ClassVar[Mapping[str, Code]]

    def __init__(self, finding: str, text: str, *, where: str = "") -> None:
        super().__init__(text, where=where, todo=self.codes[finding].todo)
        self.finding = finding

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.finding, self.what, self.where)


def _rebuild(kind: type[Unusable], finding: str, what: str, where: str) -> Unusable:
    return kind(finding, what, where=where)


SAME_SEQUENCE = Code(
    "LAB001",
    "warning",
    "the same sequence lies in two splits",
    "Frames of one sequence share cells, illumination and background, so that a score on one part says little about another sequence. "
    "Where there is only one sequence, a split in time is all that can be had; then the score must be read as such.",
    "Give each sequence to one split, or keep the split in time and say so beside the score.",
)
NEIGHBOURING_FRAMES = Code(
    "LAB002",
    "error",
    "neighbouring frames lie on both sides of a split",
    "Two frames close in time are nearly the same picture: what is trained on one is known on the other, and the score is too high.",
    "Leave out frames between the splits (`01:0-19` and `01:28-36`), or lower the smallest gap where the objects really move fast.",
)
SAME_CONTENT = Code(
    "LAB003",
    "error",
    "identical items lie in two splits",
    "The same content was trained on and is scored. Often a sequence was copied under a second name, or a file was saved twice.",
    "Remove one of the two, or put both into the same split.",
)
EMPTY_SPLIT = Code(
    "LAB004",
    "error",
    "a split has no items",
    "A step that needs this split has nothing to work on.",
    "Correct the selectors of the split; the text names the sequences that are there.",
)
UNLABELLED_SPLIT = Code(
    "LAB005",
    "error",
    "a split that needs labels has an item without",
    "An item without labels teaches nothing and cannot be scored. Left in, it would count as an item with nothing on it.",
    "Add the labels, or take the item out of the split by a frame range.",
)
UNMATCHED_SELECTOR = Code(
    "LAB006",
    "error",
    "a split selector matches nothing",
    "Data that were meant to be in the split are not. Usually the name of a sequence is mistyped or a frame range is off.",
    "Correct the selector or take it out; the text names the sequences that are there.",
)
CONSTANT_SPLIT = Code(
    "LAB007",
    "error",
    "every item of a split is constant",
    "A constant item (all pixels alike, a black frame) shows nothing; a split of them can neither train nor score.",
    "Look whether the right channel or folder was read, and whether the files were written in full.",
)
UNUSED_ITEMS = Code(
    "LAB008",
    "note",
    "items belong to no split",
    "They are in the pack, but no step that works on a split sees them. That is right for frames left out between splits.",
    "Nothing, where they were left out on purpose; else add them to the selectors of a split.",
)

GENERIC = catalogue(
    SAME_SEQUENCE,
    NEIGHBOURING_FRAMES,
    SAME_CONTENT,
    EMPTY_SPLIT,
    UNLABELLED_SPLIT,
    UNMATCHED_SELECTOR,
    CONSTANT_SPLIT,
    UNUSED_ITEMS,
)
"""The codes that concern every recipe."""

"""Whole numbers written as ranges with both ends. Light: the recipe imports it."""

from __future__ import annotations

import itertools
import re

_PIECE = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


def intervals(text: str) -> tuple[int, ...]:
    """``0-2`` → 0, 1, 2; ``0 2 4`` → 0, 2, 4; ``0-2 4-6 8`` → 0, 1, 2, 4, 5, 6, 8. Commas part as blanks do.

    Raises:
        ValueError: a piece is neither a number nor a range, a range runs backwards, or a number comes twice.
    """
    found: list[int] = []
    for piece in text.replace(",", " ").split():
        match = _PIECE.fullmatch(piece)
        if match is None:
            raise ValueError(f"{piece!r} is neither a number nor a range; write '0-2', '0 2 4' or '0-2 4-6 8'")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"the range {piece!r} runs backwards; write '{last}-{first}'")
        found += range(first, last + 1)
    if not found:
        raise ValueError("there is no number; write '0-2', '0 2 4' or '0-2 4-6 8'")
    twice = [number for number, before in itertools.pairwise(sorted(found)) if number == before]
    if twice:
        raise ValueError(f"{twice[0]} is given twice")
    return tuple(found)

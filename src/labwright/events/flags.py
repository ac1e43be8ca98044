"""Flags of an event and conditions on them. Light: the recipe imports it."""

from __future__ import annotations

from labwright.study.messages import nearest

FLAGS = ("SB", "SR", "CR", "HHSR", "ZHSR", "ZZSR", "four_tag", "three_tag", "pass_hlt")
"""Names of the bits of ``EventTable.flags``, from the lowest on."""
Condition = tuple[tuple[str, bool], ...]
"""(flag, wanted) alternatives, of which one has to hold."""


def condition(text: str) -> Condition:
    """``SR`` → it is set; ``!SR`` → it is not; ``SB|SR`` → one of the two is.

    Raises:
        ValueError: there is no such flag.
    """
    found = []
    for piece in text.split("|"):
        name = piece.strip().removeprefix("!")
        if name not in FLAGS:
            near = nearest(name, FLAGS)
            guess = f"did you mean {near!r}?" if near else f"there are {', '.join(FLAGS)}"
            raise ValueError(f"there is no flag {name!r}; {guess}")
        found.append((name, not piece.strip().startswith("!")))
    return tuple(found)

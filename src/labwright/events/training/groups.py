"""Parts of a training: a single member, or several that train as one stack; the id of a part tells which."""

from __future__ import annotations

from collections.abc import Sequence

from labwright.events.folds import Member, members
from labwright.events.train_options import TrainOptions
from labwright.study.step import Part

GROUP = "members-"
"""Before first and last + 1 in the id of a part with several members."""


def part_of(models: Sequence[Member], start: int, stop: int) -> Part:
    """The part of the members from ``start`` to before ``stop``."""
    return Part(models[start].name if stop - start == 1 else f"{GROUP}{start}-{stop}", cost=stop - start)


def members_of(options: TrainOptions, part: str) -> list[Member]:
    """The members that train in a part, by its id."""
    models = members(options)
    if not part.startswith(GROUP):
        return [one for one in models if one.name == part]
    start, stop = _range(part)
    return models[start:stop]


def size(part: str) -> int:
    """How many members a part has, by its id."""
    if not part.startswith(GROUP):
        return 1
    start, stop = _range(part)
    return stop - start


def _range(part: str) -> tuple[int, int]:
    start, stop = map(int, part.removeprefix(GROUP).split("-"))
    return start, stop

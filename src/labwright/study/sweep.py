"""``--sweep train.learning_rate=1e-3,3e-4``: one list of ``--set`` for each point of a grid."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from labwright.runs.errors import CommandError
from labwright.study.messages import Mistake, refuse
from labwright.study.parameters import split_assignment

FLAG = "--sweep"
MOST_RUNS = 1000
_RANGE = re.compile(r"(0|[1-9][0-9]*)-(0|[1-9][0-9]*)")


def sweep(axes: Sequence[str]) -> list[list[str]]:
    """The grid of all axes, the last one varying fastest.

    Args:
        axes: ``option=a,b,c`` each; ``1-5`` is the whole numbers from 1 to 5, and commas within brackets part nothing.

    Raises:
        CommandError: an axis is not of the form ``option=values``.
        StudyError: its values cannot be read, it is named twice, or the grid is too large.
    """
    mistakes: list[Mistake] = []
    grid: dict[str, list[str]] = {}
    for axis in axes:
        pair = split_assignment(axis, FLAG, mistakes)
        if pair is None:
            raise CommandError(mistakes[-1].what, where=FLAG, todo="Write the option and its values: --sweep run.seed=1,2,3.")
        path, text = pair
        if path in grid:
            mistakes.append(Mistake(FLAG, path, "is swept twice; put all its values into one list"))
        grid[path] = _values(path, text, mistakes)
    refuse(mistakes, FLAG)
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_RUNS:
        refuse([Mistake(FLAG, "", f"the sweep makes {count} runs, more than {MOST_RUNS}; sweep fewer values")], FLAG)
    return (
        [[f"{path}={value}" for path, value in zip(grid, point, strict=True)] for point in itertools.product(*grid.values())]
        if grid
        else []
    )


def label(sets: Sequence[str]) -> str:
    """A short name for one point: ``learning_rate=1e-3 seed=2``, whole paths where last names are not enough."""
    pairs = [text.partition("=")[::2] for text in sets]
    short = [path.rpartition(".")[2] for path, _ in pairs]
    names = short if len(set(short)) == len(short) else [path for path, _ in pairs]
    return " ".join(f"{name}={value}" for name, (_, value) in zip(names, pairs, strict=True))


def _values(path: str, text: str, mistakes: list[Mistake]) -> list[str]:
    found: list[str] = []
    for item in _split(text):
        match = _RANGE.fullmatch(item)
        if match is None:
            found.append(item)
        elif int(match[1]) > int(match[2]):
            mistakes.append(Mistake(FLAG, path, f"the range '{item}' runs backwards"))
        elif int(match[2]) - int(match[1]) >= MOST_RUNS:
            mistakes.append(Mistake(FLAG, path, f"the range '{item}' holds more than {MOST_RUNS} values"))
        else:
            found += [str(value) for value in range(int(match[1]), int(match[2]) + 1)]
    if not all(found):
        mistakes.append(Mistake(FLAG, path, f"'{text}' holds an empty value"))
    if len(set(found)) < len(found):
        mistakes.append(Mistake(FLAG, path, f"'{text}' holds a value twice"))
    return found


def _split(text: str) -> list[str]:
    """The text parted at the commas that stand outside brackets."""
    items, depth = [""], 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return [item.strip() for item in items]

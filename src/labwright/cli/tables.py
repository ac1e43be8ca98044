"""Tables for people and for programs: rich on a terminal, aligned plain text in a pipe, JSON on demand."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "", json_mode: bool = False) -> None:
    """Print rows under columns.

    Args:
        columns: names, with units where a column has one (``energy_joules``).
        rows: values; None is shown as nothing, a float with four digits.
        title: a line above the table.
        json_mode: print a JSON list of objects, values as they are, instead.
    """
    if json_mode:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    cells = [[shown(value) for value in row] for row in rows]
    right = [all(row[index] is None or _is_number(row[index]) for row in rows) for index in range(len(columns))]
    if sys.stdout.isatty():
        _print_rich(columns, cells, right, title)
    else:
        _print_plain(columns, cells, right, title)


def print_json(value: Any) -> None:
    """Print one JSON value; paths and the like become text."""
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def shown(value: Any) -> str:
    """A value as text: four significant digits, yes and no, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item) for item in value)
    return str(value)


def scalars(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that fit into a cell: numbers and words, no lists or tables."""
    return {name: value for name, value in figures.items() if isinstance(value, (int, float, str)) and value != ""}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _print_plain(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], title: str) -> None:
    widths = [max(len(line[index]) for line in (columns, *rows)) for index in range(len(columns))]
    if title:
        print(title)
    for line in (columns, *rows):
        texts = [text.rjust(width) if numbers else text.ljust(width) for text, width, numbers in zip(line, widths, right, strict=True)]
        print("  ".join(texts).rstrip())


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], title: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column, numbers in zip(columns, right, strict=True):
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    Console().print(table)

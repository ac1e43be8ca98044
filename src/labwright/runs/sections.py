"""Report sections: what a step wants shown, as plain data.

A step writes ``output/report.json`` = ``{"sections": [...]}``; only ``labwright.watch`` knows how to
draw one. Every builder here returns a JSON-ready dict with ``kind`` and ``title``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Section = dict[str, Any]
Cell = str | int | float | bool | None


def figure(name: str, value: float | int | str | None, *, unit: str = "", method: str = "", note: str = "") -> dict[str, Any]:
    """One number with its unit and how it was measured; ``value=None`` is shown as "not measured"."""
    return {"name": name, "value": value, "unit": unit, "method": method, "note": note}


def figures(title: str, items: Sequence[dict[str, Any]], note: str = "") -> Section:
    """Headline numbers; ``items`` come from :func:`figure`."""
    return {"kind": "figures", "title": title, "items": list(items), "note": note}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], note: str = "") -> Section:
    """A table; numbers stay numbers, so that a page can sort them."""
    return {"kind": "table", "title": title, "columns": list(columns), "rows": [list(row) for row in rows], "note": note}


def curves(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    marks: Sequence[float] = (),
    log_x: bool = False,
    log_y: bool = False,
    steps: bool = False,
    dashed: Sequence[str] = (),
    note: str = "",
) -> Section:
    """Lines over a common axis; ``marks`` are x positions where a new attempt began, ``steps`` hold each value until the next x, and
    lines named in ``dashed`` are what others are held against."""
    lines = [{"name": name, "points": [list(point) for point in points]} for name, points in series.items()]
    axes = {"x": x, "y": y, "marks": list(marks), "log_x": log_x, "log_y": log_y, "steps": steps, "dashed": list(dashed)}
    return {"kind": "curves", "title": title, "series": lines, **axes, "note": note}


def frame(name: str, lines: Sequence[Sequence[float | None]], words: str = "") -> dict[str, Any]:
    """One picture of a :func:`film`: the y of each of its lines, and words about it."""
    return {"name": name, "lines": [list(line) for line in lines], "words": words}


def film(
    title: str,
    names: Sequence[str],
    places: Sequence[float],
    frames: Sequence[dict[str, Any]],
    *,
    x: str,
    y: str,
    over: str,
    hidden: Sequence[str] = (),
    note: str = "",
) -> Section:
    """Lines that change, with a slider over their frames.

    Args:
        title: of the section.
        names: of the lines.
        places: their common x.
        frames: from :func:`frame`, in order; the last is shown first.
        x, y: names of the axes.
        over: what the slider moves over, as ``epoch``.
        hidden: lines that are shown only when they are asked for.
        note: what there is to say.
    """
    axes = {"x": x, "y": y, "over": over, "names": list(names), "hidden": list(hidden), "places": list(places)}
    return {"kind": "film", "title": title, **axes, "frames": list(frames), "note": note}


def heat(
    title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], *, x: str, y: str, note: str = ""
) -> Section:
    """A matrix of numbers as colours, the first row on top; None stays blank."""
    axes = {"x": x, "y": y, "rows": list(rows), "columns": list(columns)}
    return {"kind": "heat", "title": title, **axes, "values": [list(row) for row in values], "note": note}


def bars(title: str, values: Mapping[str, float], *, unit: str = "", note: str = "") -> Section:
    """Named amounts, one bar each."""
    return {"kind": "bars", "title": title, "values": dict(values), "unit": unit, "note": note}


def images(title: str, items: Sequence[tuple[str, str]], note: str = "") -> Section:
    """Pictures; each item is (path of a PNG relative to the run's ``output``, caption)."""
    return {"kind": "images", "title": title, "items": [{"path": path, "caption": caption} for path, caption in items], "note": note}


def text(title: str, body: str) -> Section:
    """Plain words."""
    return {"kind": "text", "title": title, "body": body}

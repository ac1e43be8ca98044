"""Report sections as HTML. The one place that knows how a section looks; every text from a run is escaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

_plots = count()


def draw(section: dict[str, Any], output: Path) -> str:
    """One section as HTML.

    Args:
        section: as ``labwright.runs.sections`` makes it; an unknown kind is shown as its JSON.
        output: the folder that image paths are relative to.
    """
    kind = str(section.get("kind", ""))
    body = _DRAWERS[kind](section, output) if kind in _DRAWERS else f"<pre>{escape(json.dumps(section, indent=1))}</pre>"
    note = f"<p class=note>{escape(str(section['note']))}</p>" if section.get("note") else ""
    return f"<section class='{escape(kind)}'><h3>{escape(str(section.get('title', '')))}</h3>{body}{note}</section>"


def number(value: Any) -> str:
    """A value as people read it: four significant digits, thousands apart, "not measured" for None."""
    if value is None:
        return "<span class=absent>not measured</span>"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escape(str(value))
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}".replace(",", "\u202f")


def _figures(section: dict[str, Any], _output: Path) -> str:
    cards = []
    for item in section["items"]:
        unit = f" <span class=unit>{escape(item['unit'])}</span>" if item.get("unit") else ""
        method = f"<div class=method>{escape(item['method'])}</div>" if item.get("method") else ""
        cards.append(f"<div class=card><div class=name>{escape(item['name'])}</div><div class=value>{number(item['value'])}{unit}</div>{method}</div>")
    return f"<div class=cards>{''.join(cards)}</div>"


def _table(section: dict[str, Any], _output: Path) -> str:
    if not section["rows"]:
        return "<p class=note>none</p>"
    head = "".join(f"<th>{escape(str(name))}</th>" for name in section["columns"])
    rows = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in section["rows"])
    table = f"<div class=scroll><table class=sortable><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    return table if len(section["rows"]) <= 25 else f"<details><summary>{len(section['rows'])} rows</summary>{table}</details>"


def _cell(value: Any) -> str:
    if value is None:
        return "<td class=absent>–</td>"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"<td class=number data-value='{value}'>{number(value)}</td>"
    return f"<td>{escape(str(value))}</td>"


def _curves(section: dict[str, Any], _output: Path) -> str:
    traces = [
        {"type": "scatter", "mode": "lines+markers" if len(line["points"]) < 60 else "lines", "name": line["name"], "marker": {"size": 5}}
        | {"x": [point[0] for point in line["points"]], "y": [point[1] for point in line["points"]]}
        for line in section["series"]
    ]
    marks = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": mark, "x1": mark, "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1, "color": "#888"}}
        for mark in section["marks"]
    ]
    layout = {"xaxis": {"title": {"text": section["x"]}}, "yaxis": {"title": {"text": section["y"]}, "type": "log" if section["log_y"] else "linear"}, "shapes": marks}
    return _plot(traces, layout)


def _bars(section: dict[str, Any], _output: Path) -> str:
    values = section["values"]
    trace = {"type": "bar", "orientation": "h", "x": list(values.values()), "y": list(values)}
    layout = {"xaxis": {"title": {"text": section["unit"]}}, "yaxis": {"autorange": "reversed"}, "height": 90 + 28 * len(values)}
    return _plot([trace], layout)


def _plot(traces: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    # "<" never appears inside the script element, so no text of a run can close it.
    data = json.dumps({"data": traces, "layout": layout}).replace("<", "\\u003c")
    name = f"plot{next(_plots)}"
    return f"<div class=plot id={name}></div><script type='application/json' data-plot={name}>{data}</script>"


def _images(section: dict[str, Any], output: Path) -> str:
    figures = []
    for item in section["items"]:
        path = (output / item["path"]).resolve()
        if not path.is_relative_to(output.resolve()) or path.suffix != ".png" or not path.is_file():
            figures.append(f"<figure><figcaption>{escape(item['caption'])}: the picture is not there</figcaption></figure>")
            continue
        data = base64.b64encode(path.read_bytes()).decode()
        figures.append(f"<figure><img alt='{escape(item['caption'])}' src='data:image/png;base64,{data}'><figcaption>{escape(item['caption'])}</figcaption></figure>")
    return f"<div class=images>{''.join(figures)}</div>"


def _text(section: dict[str, Any], _output: Path) -> str:
    return f"<p>{escape(section['body'])}</p>"


_DRAWERS: dict[str, Callable[[dict[str, Any], Path], str]] = {
    "figures": _figures,
    "table": _table,
    "curves": _curves,
    "bars": _bars,
    "images": _images,
    "text": _text,
}

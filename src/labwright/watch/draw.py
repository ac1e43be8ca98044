"""Report sections as HTML. The one place that knows how a section looks; every text from a run is escaped."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labwright.runs.plain import encoder

LONG = 25
"""A table of more rows is folded."""
_encode = encoder(separators=(",", ":"))


def draw(section: dict[str, Any], output: Path) -> str:
    """One section as HTML.

    Args:
        section: as ``labwright.runs.sections`` makes it; what is none is shown as its JSON.
        output: the folder that image paths are relative to.
    """
    try:
        body = _DRAWERS[section["kind"]](section, output)
    except (KeyError, TypeError, ValueError, AttributeError):
        # A run of another version, or a foreign one, must not keep the rest of the page from its reader.
        return f"<section><pre>{escaped(json.dumps(section, indent=1))}</pre></section>"
    note = f"<p class=note>{escaped(section['note'])}</p>" if section.get("note") else ""
    return f"<section class='{escaped(section['kind'])}'><h3>{escaped(section.get('title', ''))}</h3>{body}{note}</section>"


def escaped(value: Any) -> str:
    """Any value as text that is safe within HTML and its quoted attributes."""
    return html.escape(str(value))


def number(value: Any) -> str:
    """A value as people read it: four significant digits, thousands apart, "not measured" for None."""
    if value is None:
        return "<span class=absent>not measured</span>"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escaped(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}".replace(",", "\u202f")


def _figures(section: dict[str, Any], _output: Path) -> str:
    cards = []
    for item in section["items"]:
        unit = f" <span class=unit>{escaped(item['unit'])}</span>" if item.get("unit") else ""
        lines = [f"<div class=name>{escaped(item['name'])}</div>", f"<div class=value>{number(item['value'])}{unit}</div>"]
        lines += [f"<div class=method>{escaped(item[key])}</div>" for key in ("method", "note") if item.get(key)]
        cards.append(f"<div class=card>{''.join(lines)}</div>")
    return f"<div class=cards>{''.join(cards)}</div>"


def _table(section: dict[str, Any], _output: Path) -> str:
    if not section["rows"]:
        return "<p class=note>none</p>"
    head = "".join(f"<th>{escaped(name)}</th>" for name in section["columns"])
    rows = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in section["rows"])
    table = f"<div class=scroll><table class=sortable><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    return table if len(section["rows"]) <= LONG else f"<details><summary>{len(section['rows'])} rows</summary>{table}</details>"


def _cell(value: Any) -> str:
    if value is None:
        return "<td class=absent>–</td>"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"<td class=number data-value='{value}'>{number(value)}</td>"
    return f"<td>{escaped(value)}</td>"


def _curves(section: dict[str, Any], _output: Path) -> str:
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(line["points"]) < 60 else "lines",
            "name": line["name"],
            "x": [x for x, _ in line["points"]],
            "y": [y for _, y in line["points"]],
        }
        for line in section["series"]
    ]
    dotted = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1, "color": "#888"}}
    layout = {
        "xaxis": {"title": {"text": section["x"]}},
        "yaxis": {"title": {"text": section["y"]}, "type": "log" if section["log_y"] else "linear"},
        "shapes": [{**dotted, "x0": mark, "x1": mark} for mark in section["marks"]],
        "showlegend": len(traces) > 1,
    }
    return _plot(traces, layout)


def _bars(section: dict[str, Any], _output: Path) -> str:
    values = section["values"]
    trace = {"type": "bar", "orientation": "h", "x": list(values.values()), "y": list(values)}
    layout = {
        "xaxis": {"title": {"text": section["unit"]}},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "height": 90 + 28 * len(values),
    }
    return _plot([trace], layout)


def _plot(traces: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    # "<" never appears inside the script element, so no text of a run can close it.
    data = _encode({"data": traces, "layout": layout}).decode().replace("<", "\\u003c")
    return f"<div class=plot></div><script type='application/json'>{data}</script>"


def _images(section: dict[str, Any], output: Path) -> str:
    figures = []
    for item in section["items"]:
        caption, path = escaped(item["caption"]), (output / item["path"]).resolve()
        if path.is_relative_to(output.resolve()) and path.suffix == ".png" and path.is_file():
            data = base64.b64encode(path.read_bytes()).decode()
            figures.append(f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'><figcaption>{caption}</figcaption></figure>")
        else:
            figures.append(f"<figure><figcaption>{caption}: the picture is not there</figcaption></figure>")
    return f"<div class=images>{''.join(figures)}</div>"


def _text(section: dict[str, Any], _output: Path) -> str:
    return f"<p>{escaped(section['body'])}</p>"


_DRAWERS: dict[str, Callable[[dict[str, Any], Path], str]] = {
    "figures": _figures,
    "table": _table,
    "curves": _curves,
    "bars": _bars,
    "images": _images,
    "text": _text,
}

"""How a report section looks. The one place that knows, for the report and the live page alike."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labwright.runs.plain import encoder
from labwright.watch.tree import Node, data, node

LONG = 25
"""A table of more rows is folded."""
FEW_LINES = 3
MOST_PICTURES, PICTURE_BYTES = 24, 4 << 20
"""More pictures, or larger ones, are named and not shown."""
_encode = encoder(separators=(",", ":"))


def draw(section: dict[str, Any], output: Path) -> Node:
    """One section as a tree.

    Args:
        section: as ``labwright.runs.sections`` or ``labwright.watch.panels`` make it; what is none is shown as its JSON.
        output: the folder that image paths are relative to.
    """
    try:
        body = _DRAWERS[section["kind"]](section, output)
    except (KeyError, TypeError, ValueError, AttributeError):
        # A run of another version, or a foreign one, must not keep the rest of the page from its reader.
        return node("section", node("pre", json.dumps(section, indent=1)))
    note = node("p", str(section["note"]), class_="note") if section.get("note") else None
    return node("section", node("h3", str(section.get("title", ""))), *body, note, class_=str(section["kind"]))


def number(value: Any) -> Node:
    """A value as people read it: four significant digits, thousands apart, "not measured" for None."""
    if value is None:
        return node("span", "not measured", class_="absent")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}".replace(",", "\u202f")


def _figures(section: dict[str, Any], _output: Path) -> list[Node]:
    cards = []
    for item in section["items"]:
        unit = node("span", f" {item['unit']}", class_="unit") if item.get("unit") else None
        words = [node("div", str(item[key]), class_="method") for key in ("method", "note") if item.get(key)]
        name, value = node("div", str(item["name"]), class_="name"), node("div", number(item["value"]), unit, class_="value")
        cards.append(node("div", name, value, *words, class_="card"))
    return [node("div", *cards, class_="cards")]


def _table(section: dict[str, Any], _output: Path) -> list[Node]:
    if not section["rows"]:
        return [node("p", "none", class_="note")]
    head = node("thead", node("tr", *(node("th", str(name)) for name in section["columns"])))
    body = node("tbody", *(node("tr", *(cell(value) for value in row)) for row in section["rows"]))
    table = node("div", node("table", head, body, class_="sortable"), class_="scroll")
    return [table if len(section["rows"]) <= LONG else node("details", node("summary", f"{len(section['rows'])} rows"), table)]


def cell(value: Any) -> Node:
    """A cell of a table; a number keeps its value, for sorting."""
    if value is None:
        return node("td", "–", class_="absent")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return node("td", number(value), class_="number", data_value=value)
    return node("td", str(value))


def _curves(section: dict[str, Any], _output: Path) -> list[Node]:
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(line["points"]) < 60 else "lines",
            "name": line["name"],
            "x": [x for x, _ in line["points"]],
            "y": [y for _, y in line["points"]],
            **_look(section, line["name"]),
        }
        for line in section["series"]
    ]
    lines = len(traces)
    for name, x, y in section.get("best", ()):
        star = {"symbol": "star", "size": 13, "line": {"width": 1, "color": "#fff"}}
        traces.append(
            {"type": "scatter", "mode": "markers", "name": f"best {name}", "x": [x], "y": [y], "marker": star, "showlegend": False}
        )
    dotted = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1, "color": "#888"}}
    layout = {
        "xaxis": {"title": {"text": section["x"]}, "type": "log" if section.get("log_x") else "linear"},
        "yaxis": {"title": {"text": section["y"]}, "type": "log" if section["log_y"] else "linear"},
        "shapes": [{**dotted, "x0": mark, "x1": mark} for mark in section["marks"]],
        "showlegend": lines > 1,
        # The names of many lines would leave these no room.
        **({"height": 270 + 16 * (lines - FEW_LINES)} if lines > FEW_LINES else {}),
    }
    return _plot(traces, layout)


def _look(section: dict[str, Any], name: str) -> dict[str, Any]:
    if name in section.get("dashed", ()):
        return {"mode": "lines", "line": {"dash": "dash", "width": 1, "color": "#888"}}
    return {"mode": "lines", "line": {"shape": "hv"}} if section.get("steps") else {}


def _bars(section: dict[str, Any], _output: Path) -> list[Node]:
    values = section["values"]
    trace = {"type": "bar", "orientation": "h", "x": list(values.values()), "y": list(values)}
    layout = {
        "xaxis": {"title": {"text": section["unit"]}},
        "yaxis": {"autorange": "reversed", "automargin": True},
        "height": 90 + 28 * len(values),
    }
    return _plot([trace], layout)


def _film(section: dict[str, Any], _output: Path) -> list[Node]:
    """Lines with plotly's own slider, each step of which brings the lines of a frame."""
    frames, hidden = section["frames"], section["hidden"]
    shown = len(frames) - 1
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": section["places"],
            "y": line,
            "visible": "legendonly" if name in hidden else True,
        }
        for name, line in zip(section["names"], frames[shown]["lines"], strict=True)
    ]
    steps = [
        {"label": one["name"], "method": "update", "args": [{"y": one["lines"]}, {"annotations[0].text": one["words"]}]} for one in frames
    ]
    inside = {"xref": "paper", "yref": "paper", "x": 0.98, "y": 0.04, "xanchor": "right", "yanchor": "bottom", "align": "right"}
    layout = {
        "xaxis": {"title": {"text": section["x"]}},
        "yaxis": {"title": {"text": section["y"]}},
        "height": 460,
        "margin": {"l": 55, "r": 15, "t": 10, "b": 42},
        "sliders": [{"active": shown, "steps": steps, "currentvalue": {"prefix": f"{section['over']} "}, "pad": {"t": 50}}],
        "annotations": [{**inside, "showarrow": False, "text": frames[shown]["words"]}],
        "showlegend": len(traces) > 1,
    }
    return _plot(traces, layout)


def _heat(section: dict[str, Any], _output: Path) -> list[Node]:
    trace = {
        "type": "heatmap",
        "x": section["columns"],
        "y": section["rows"],
        "z": section["values"],
        "texttemplate": "%{z:.3g}",
        "colorscale": [[0, "#f2f6fc"], [1, "#2f7fd8"]],
        "xgap": 2,
        "ygap": 2,
    }
    layout = {
        "xaxis": {"title": {"text": section["x"]}, "type": "category"},
        "yaxis": {"title": {"text": section["y"]}, "type": "category", "autorange": "reversed"},
        "height": 150 + 34 * len(section["rows"]),
        "hovermode": "closest",
    }
    return _plot([trace], layout)


def _plot(traces: list[dict[str, Any]], layout: dict[str, Any]) -> list[Node]:
    return [node("div", class_="plot"), data(_encode({"data": traces, "layout": layout}).decode("utf-8", "replace"))]


def _images(section: dict[str, Any], output: Path) -> list[Node]:
    figures = []
    for index, item in enumerate(section["items"]):
        caption, path = str(item["caption"]), (output / item["path"]).resolve()
        there = path.is_relative_to(output.resolve()) and path.suffix == ".png" and path.is_file()
        if there and index < MOST_PICTURES and path.stat().st_size <= PICTURE_BYTES:
            picture = base64.b64encode(path.read_bytes()).decode()
            image = node("img", alt=caption, src=f"data:image/png;base64,{picture}")
            figures.append(node("figure", image, node("figcaption", caption)))
        else:
            why = "is not shown here" if there else "is not there"
            figures.append(node("figure", node("figcaption", f"{caption}: the picture {why}")))
    return [node("div", *figures, class_="images")]


def _text(section: dict[str, Any], _output: Path) -> list[Node]:
    return [node("p", str(section["body"]))]


def _state(section: dict[str, Any], _output: Path) -> list[Node]:
    """Alive or not, in words; a time is kept as such, so that the live page can tell how long ago it was."""
    line = [node("span", class_=f"dot {section['state']}"), node("strong", str(section["state"]), class_="word")]
    facts = [node("span", str(fact), class_="fact") for fact in section["facts"]]
    if section.get("seen_at") is not None:
        facts.insert(0, node("span", f"{section['seen']} ", moment(section["seen_at"]), class_="fact"))
    return [node("div", *line, *facts, class_="line"), *(node("p", str(words), class_="words") for words in section["words"])]


def moment(t: float) -> Node:
    """A time; the live page writes how long ago it was instead."""
    return node("time", datetime.datetime.fromtimestamp(t).isoformat(" ", "seconds"), data_t=round(t, 1))


def _progress(section: dict[str, Any], output: Path) -> list[Node]:
    rows = []
    for bar in section["bars"]:
        share = min(1.0, max(0.0, bar["done"] / bar["total"])) if bar["total"] else 0.0
        amount: list[Node] = [number(bar["done"]), " of ", number(bar["total"]), f" · {100 * share:.0f} %"]
        head = node("div", node("span", str(bar["title"]), class_="title"), node("span", *amount, class_="amount"), class_="head")
        shown = node("progress", value=round(share, 4), max=1)
        rows.append(node("div", head, shown, node("div", str(bar["words"]), class_="method") if bar["words"] else None, class_="bar"))
    return [node("div", *rows, class_="bars"), *(_figures(section, output) if section["items"] else [])]


def _log(section: dict[str, Any], _output: Path) -> list[Node]:
    files = []
    for number_of_file, (name, lines) in enumerate(section["files"]):
        text = node("div", *(node("div", line) for line in lines), class_="lines")
        files.append(node("details", node("summary", str(name)), text, open=section["opened"] and number_of_file == 0))
    return [node("input", type="search", class_="filter", placeholder="only lines with …", aria_label="only lines with"), *files]


def _blocks(section: dict[str, Any], _output: Path) -> list[Node]:
    squares = [node("i", class_=str(state), title=f"{name}: {state}") for name, state in section["blocks"]]
    legend = [node("span", node("i", class_=state), f" {count} {state}") for state, count in section["counts"].items() if count]
    return [node("div", *squares, class_="map"), node("div", *legend, class_="legend")]


def _commands(section: dict[str, Any], _output: Path) -> list[Node]:
    rows = [
        node("tr", node("td", str(what)), node("td", node("code", str(command))), node("td", node("button", "copy", class_="copy")))
        for what, command in section["commands"]
    ]
    return [node("table", node("tbody", *rows))]


_DRAWERS: dict[str, Callable[[dict[str, Any], Path], list[Node]]] = {
    "figures": _figures,
    "table": _table,
    "curves": _curves,
    "bars": _bars,
    "film": _film,
    "heat": _heat,
    "images": _images,
    "text": _text,
    "state": _state,
    "progress": _progress,
    "log": _log,
    "blocks": _blocks,
    "commands": _commands,
}

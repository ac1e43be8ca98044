"""One self-contained HTML file for the runs of a study: no network, no server, nothing to install to read it.

It shows the panels of the live page, drawn by the same code, with the data inlined.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from labwright.runs.errors import MissingError
from labwright.runs.publish import publish
from labwright.runs.run import Run
from labwright.watch.chapters import chapters
from labwright.watch.draw import draw, number
from labwright.watch.follow import Follow
from labwright.watch.logs import Logs
from labwright.watch.plots import plotly_file
from labwright.watch.tree import Node, html, node
from labwright.watch.view import view

# The page may run its own inlined script and nothing from elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; font-src data:"


def write_report(runs: Sequence[Run], to: Path, title: str = "", ahead: Sequence[dict[str, Any]] = ()) -> Path:
    """Write the report of ``runs`` to the file ``to``.

    Args:
        runs: in the order of the study's steps.
        to: the HTML file.
        title: the study's name.
        ahead: sections that come before those of the runs, such as the table of a sweep.

    Raises:
        MissingError: there is no run, or plotly (the extra ``report``) is not installed.
    """
    if not runs:
        raise MissingError("there is no run to report on", todo="Run the study first.")
    page = _page(title or str(runs[-1].description.get("name") or runs[-1].folder.parent.parent.name), runs, ahead)
    with publish(to, "report") as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return to


def _page(title: str, runs: Sequence[Run], ahead: Sequence[dict[str, Any]]) -> str:
    links = [node("li", node("a", run.step, href=f"#{run.name}"), " ", node("span", run.state(), class_="state-word")) for run in runs]
    follows = [followed(run) for run in runs]
    # The last step's scores are what people open the page for: they come first.
    body = [_article(follow, follows) for follow in reversed(follows)]
    here = files("labwright.watch")
    script = plotly_file().read_text(encoding="utf-8").replace("</script", "<\\/script")
    top = html(
        node("header", node("h1", title), node("ul", *links)),
        node("main", *(draw(section, Path()) for section in ahead), _joules(runs), *body),
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{html(node("title", title))}'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="viewport" content="width=device-width">'
        f"<style>{(here / 'page.css').read_text(encoding='utf-8')}</style></head><body>{top}"
        f"<script>{script}</script><script>{(here / 'page.js').read_text(encoding='utf-8')}</script></body></html>"
    )


def followed(run: Run) -> Follow:
    """A run read to its present end."""
    follow = Follow(run)
    while follow.look(at_once=True):
        continue
    return follow


def _article(follow: Follow, all_of_them: Sequence[Follow]) -> Node:
    run, logs = follow.run, Logs(follow.run.folder)
    logs.look(follow.workers())
    # The same runs give the same page, whenever it is written.
    written_at = follow.seen_at()
    others = [one for one in all_of_them if one is not follow]
    panels = view(follow, others, log=logs.shown(), details=lambda: chapters(run), now=written_at)
    head = node("h2", run.step, " ", node("small", f"{run.name} · {run.state()}"))
    return node("article", head, *(node("div", *nodes, data_panel=key) for key, nodes in panels.items() if nodes), id=run.name)


def _joules(runs: Sequence[Run]) -> Node:
    """Joules of each step, a row for each method: unlike methods are not added up."""
    totals: dict[str, dict[str, float]] = {}
    for run in runs:
        for row in run.energy():
            if row["joules"] is not None:
                steps = totals.setdefault(f"{row['method']}, {row['scope']}", {})
                steps[run.name] = steps.get(run.name, 0.0) + row["joules"]
    if not totals:
        return node("section", node("h3", "Energy"), node("p", number(None)))
    head = node("tr", *(node("th", name) for name in ("method and scope", *(run.step for run in runs), "sum")))
    rows = []
    for method, steps in totals.items():
        cells = [number(steps.get(run.name)) for run in runs] + [number(sum(steps.values()))]
        rows.append(node("tr", node("td", method), *(node("td", cell, class_="number") for cell in cells)))
    table = node("div", node("table", node("thead", head), node("tbody", *rows)), class_="scroll")
    return node("section", node("h3", "Energy in joules"), table)

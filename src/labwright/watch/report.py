"""One self-contained HTML file for the runs of a study: no network, no server, nothing to install to read it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from labwright.runs.errors import MissingError
from labwright.runs.publish import publish
from labwright.runs.run import Run
from labwright.watch.chapters import chapters
from labwright.watch.draw import draw, escaped, number

# The page may run its own inlined script and nothing from elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; font-src data:"


def write_report(runs: Sequence[Run], to: Path, title: str = "") -> Path:
    """Write the report of ``runs`` to the file ``to``.

    Args:
        runs: in the order of the study's steps.
        to: the HTML file.
        title: the study's name.

    Raises:
        MissingError: there is no run, or plotly (the extra ``report``) is not installed.
    """
    if not runs:
        raise MissingError("there is no run to report on", todo="Run the study first.")
    page = _page(title or runs[-1].description.get("name") or runs[-1].folder.parent.parent.name, runs)
    with publish(to, "report") as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return to


def _page(title: str, runs: Sequence[Run]) -> str:
    links = "".join(
        f"<li><a href='#{escaped(run.name)}'>{escaped(run.step)}</a> <span class=state>{run.state()}</span></li>" for run in runs
    )
    # The last step's scores are what people open the page for: they come first.
    body = "".join(_chapter(run) for run in reversed(runs))
    here = files("labwright.watch")
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escaped(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name=viewport content="width=device-width">'
        f"<style>{(here / 'report.css').read_text()}</style></head><body>"
        f"<header><h1>{escaped(title)}</h1><ul>{links}</ul></header><main>{_joules(runs)}{body}</main>"
        f"<script>{_plotly()}</script><script>{(here / 'report.js').read_text()}</script></body></html>"
    )


def _chapter(run: Run) -> str:
    output = run.output()
    marks = _attempt_steps(run)
    own = "".join(draw({**section, "marks": marks} if section.get("x") == "step" else section, output) for section in run.sections())
    common = "".join(draw(section, output) for section in chapters(run))
    return (
        f"<article id='{escaped(run.name)}'><h2>{escaped(run.step)} <small>{escaped(run.name)} · {run.state()}</small></h2>"
        f"{own}<details><summary>Energy, use of the machine, attempts, options, versions</summary>{common}</details></article>"
    )


def _attempt_steps(run: Run) -> list[float]:
    """The first step that each attempt after the first recorded."""
    first: dict[str, float] = {}
    for record in run.records("metric"):
        first.setdefault(record["file"], float(record["step"]))
    return list(first.values())[1:]


def _joules(runs: Sequence[Run]) -> str:
    """Joules of each step, a row for each method: unlike methods are not added up."""
    totals: dict[str, dict[str, float]] = {}
    for run in runs:
        for row in run.energy():
            if row["joules"] is not None:
                steps = totals.setdefault(f"{row['method']}, {row['scope']}", {})
                steps[run.name] = steps.get(run.name, 0.0) + row["joules"]
    if not totals:
        return f"<section><h3>Energy</h3><p>{number(None)}</p></section>"
    head = "".join(f"<th>{escaped(name)}</th>" for name in ("method and scope", *(run.step for run in runs), "sum"))
    rows = ""
    for method, steps in totals.items():
        cells = [number(steps.get(run.name)) for run in runs] + [number(sum(steps.values()))]
        rows += f"<tr><td>{escaped(method)}</td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>"
    return f"<section><h3>Energy in joules</h3><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"


def _plotly() -> str:
    try:
        return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8").replace("</script", "<\\/script")
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise MissingError("a report needs plotly", todo="Install it with: pip install 'labwright[report]'.") from error

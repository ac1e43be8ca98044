"""``labwright list``: recipes, steps, ready studies, runs, options and finding codes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labwright.cli import places, scan
from labwright.cli.helptext import matching
from labwright.cli.manifest import load, refresh
from labwright.cli.tables import print_json, print_table, shown
from labwright.runs.errors import CommandError, Exit, MissingError
from labwright.study.messages import listed, nearest

Table = tuple[Sequence[str], list[list[Any]]]
MOST_FIGURES = 3


def run(arguments: argparse.Namespace) -> int:
    """Print the table that was asked for."""
    if arguments.finding:
        return _explain(arguments.finding, arguments.json)
    if arguments.to and arguments.what != "sources":
        raise CommandError(
            "only the list of raw files can be written to a file", where="--to", todo="labwright list sources STUDY --to FILE"
        )
    tables = {
        "recipes": _recipes,
        "steps": _steps,
        "studies": _studies,
        "runs": _runs,
        "findings": _findings,
        "options": _options,
        "sources": _sources,
    }
    columns, rows = tables[arguments.what or "runs"](arguments)
    if arguments.filter:
        rows = [row for row in rows if matching(["  ".join(map(shown, row))], arguments.filter)]
    print_table(columns, rows, json_mode=arguments.json)
    return Exit.DONE


def _recipes(arguments: argparse.Namespace) -> Table:
    # Asked for the recipes by name, it may take its time to look for those of third parties.
    refresh()
    rows = [[name, recipe["doc"], [step["name"] for step in recipe["steps"]]] for name, recipe in _chosen(arguments)]
    return ("recipe", "what", "steps"), rows


def _steps(arguments: argparse.Namespace) -> Table:
    rows = [
        [name, step["name"], step["needs"], step["gates"], step["doc"]] for name, recipe in _chosen(arguments) for step in recipe["steps"]
    ]
    return ("recipe", "step", "needs", "gates", "what"), rows


def _studies(arguments: argparse.Namespace) -> Table:
    rows = [[name, study, doc] for name, recipe in _chosen(arguments) for study, doc in recipe.get("studies", {}).items()]
    return ("recipe", "study", "what"), rows


def _options(arguments: argparse.Namespace) -> Table:
    rows = [
        [name, *(option[column] for column in ("path", "type", "default", "unit", "required", "effect", "doc"))]
        for name, recipe in _chosen(arguments)
        for option in recipe["options"]
    ]
    return ("recipe", "option", "type", "default", "unit", "required", "effect", "what"), rows


def _findings(arguments: argparse.Namespace) -> Table:
    return ("code", "severity", "what", "todo"), [
        [code, page["severity"], page["title"], page["todo"]] for code, page in load()["findings"].items()
    ]


def _runs(arguments: argparse.Namespace) -> Table:
    from labwright.runs.energy import in_words

    rows = []
    for run in places.runs_at(arguments.place, places.runs_option(arguments)):
        description = run.description
        if arguments.recipe and description["recipe"] != arguments.recipe:
            continue
        figures = run.figures() if arguments.json else _headlines(run.figures())
        energy = run.energy() if arguments.json else in_words(run.energy())
        rows.append(
            [
                run.name,
                run.state(),
                description.get("name", ""),
                description.get("tags", []),
                figures,
                energy,
                description.get("created", "")[:19],
            ]
        )
    return ("run", "state", "name", "tags", "figures", "energy", "created"), rows


def _sources(arguments: argparse.Namespace) -> Table:
    from labwright.study import listing
    from labwright.study.resolve import resolve

    listed_files = listing.sources(resolve([arguments.place or "."], params=arguments.param))
    if arguments.to:
        listing.write(listed_files, Path(arguments.to))
    return ("step", "file", "size"), [[step, file.name, file.size] for step, files in listed_files.items() for file in files]


def _headlines(figures: Mapping[str, Any]) -> str:
    # joules_per_frame stands for itself and for joules_per_frame_read, which is a share of it.
    whole = [name for name in figures if not any(name.startswith(f"{other}_") for other in figures)]
    numbers = [f"{name} {figures[name]:.4g}" for name in whole if isinstance(figures[name], float)]
    return ", ".join(numbers[:MOST_FIGURES])


def _explain(code: str, as_json: bool) -> int:
    pages = load()["findings"]
    page = pages.get(code.upper())
    if page is None:
        close = nearest(code, pages)
        raise MissingError(
            f"there is no finding {code!r}", todo=f"Did you mean {close}?" if close else "`labwright list findings` shows all."
        )
    if as_json:
        print_json({"code": code.upper(), **page})
    else:
        print(f"{code.upper()} ({page['severity']}): {page['title']}\n\nWhy it matters: {page['why']}\n\nWhat to do: {page['todo']}")
    return Exit.DONE


def _chosen(arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    known = load()["recipes"]
    name = arguments.recipe or ""
    if not name and arguments.place:
        place = os.path.join(arguments.place, places.STUDY) if os.path.isdir(arguments.place) else arguments.place
        name = scan.recipe(place)
    if name and name not in known:
        raise CommandError(f"there is no recipe {name!r}", where="labwright list", todo=f"There are {listed(known)}.")
    return [(key, recipe) for key, recipe in known.items() if name in ("", key)]

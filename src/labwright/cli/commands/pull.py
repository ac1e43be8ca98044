"""``labwright pull``: fetch the runs of a study from a site, and verify them."""

from __future__ import annotations

import argparse
import posixpath
from pathlib import Path
from typing import Any

from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import DataError, Exit

STUDY_ENDINGS = (".yaml", ".yml")


def run(arguments: argparse.Namespace) -> int:
    """Print a line a run; a run that does not fit its manifest ends with 65."""
    from labwright.launch.fetch import fetch
    from labwright.launch.site import load_site

    only = [word.strip() for word in (arguments.only or "").split(",") if word.strip()]
    site = load_site(arguments.site, asked="labwright pull")
    found = fetch(site, _places(arguments.place), Path(arguments.to), only)
    rows: list[list[Any]] = [[one.run.name, one.run.state(), one.kept_at, list(one.problems)] for one in found]
    broken = [one for one in found if one.problems]
    if arguments.json:
        lines = [dict(zip(("run", "state", "kept_at", "problems"), row, strict=True)) for row in rows]
        print_json({"code": int(Exit.DATA if broken else Exit.DONE), "host": site.login, "runs": lines})
        return Exit.DATA if broken else Exit.DONE
    print_table(["run", "state", "the whole is at", "does not fit"], [[*row[:3], row[3][:1]] for row in rows])
    print(f"fetched from {site.login}" if site.login else "copied on this machine")
    if broken:
        raise DataError(
            f"{len(broken)} of {len(found)} runs do not fit their manifest, such as {broken[0].run.name}: {broken[0].problems[0]}",
            where=arguments.to,
            todo="Pull again; if it stays so, the run is damaged where it was made.",
        )
    return Exit.DONE


def _places(word: str) -> list[str]:
    """Where the runs of a study may lie there: where its file says, where that is here too; else beside it."""
    folder = word.rstrip("/") or "/"
    if not word.endswith(STUDY_ENDINGS):
        return [posixpath.join(folder, "runs"), folder]
    own = _folder_in(Path(word))
    return [*([own] if own else []), posixpath.join(posixpath.dirname(word), "runs")]


def _folder_in(path: Path) -> str:
    """``run.folder`` of a study file that lies here as well, where it is an absolute path."""
    if not path.is_file():
        return ""
    from labwright.study.resolve import resolve

    folder = resolve([path]).run.folder
    return str(folder) if folder is not None and folder.is_absolute() else ""

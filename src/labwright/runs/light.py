"""What tells of a run without its bulk: journals, findings, tables, report, ``done.json``; for runs that stay where they were made.

A copy that lacks the rest holds ``partial.json``, which says where the whole run is kept. Its state is that of the
whole run, as far as its files tell; it cannot feed another step here.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from labwright.runs import publish
from labwright.runs.errors import MissingError

PARTIAL = "partial.json"
KINDS: dict[str, tuple[str, ...]] = {
    "state": ("step.json", "parts.json", "stale.json", "done.json"),
    "journal": ("journal/**", "jobs/**"),
    "report": ("output/report.json", "output/**/*.html", "output/**/*.png", "output/**/*.svg"),
    "tables": ("output/**/*.json", "output/**/*.csv", "output/**/*.tsv", "output/**/*.parquet"),
    "weights": ("output/model/**",),
    "output": ("output/**",),
    "checkpoints": ("checkpoints/**",),
}
"""What can be fetched of a run, by word → patterns of its files. Findings stand in the journal."""
LIGHT = ("state", "journal", "report", "tables")
ALWAYS = ("state", "journal")
BULK = frozenset({"zarr.json"})
"""Tables by their ending, but part of an array."""


def light_files(folder: Path, kinds: Iterable[str] = LIGHT) -> list[Path]:
    """The files of these kinds below a run folder, relative, ``done.json`` last: whoever sees it sees all that it tells of."""
    found = {path.relative_to(folder) for kind in kinds for pattern in KINDS[kind] for path in _matching(folder, pattern)}
    return sorted(found, key=lambda path: (path.name == "done.json", path.as_posix()))


def bring(folder: Path, to: Path, kept_at: str) -> int:
    """Copy what is light from a run folder to another, publishing each file; returns how many were new or had changed.

    Args:
        folder: the whole run.
        to: where its light part shall lie; what is there and the same stays.
        kept_at: where the whole run is kept, in words for people.
    """
    mark(to, kept_at)
    count = 0
    for name in light_files(folder):
        source, final = folder / name, to / name
        if final.is_file() and filecmp.cmp(source, final, shallow=False):
            continue
        with publish.publish(final, "output") as temporary:
            shutil.copy2(source, temporary)
        count += 1
    return count


def mark(folder: Path, kept_at: str) -> None:
    """Say that the whole run is kept elsewhere."""
    publish.write_json(folder / PARTIAL, {"kept_at": kept_at}, "output")


def kept_at(folder: Path) -> str:
    """Where the whole of a partial run is kept; empty where the run is whole."""
    try:
        content = json.loads((folder / PARTIAL).read_text(encoding="utf-8"))
        return str(content["kept_at"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, TypeError, KeyError):
        return "an unknown place"


def refuse_partial(folders: Iterable[Path]) -> None:
    """A run whose bulk is not here cannot feed a step.

    Raises:
        MissingError: one of these runs is partial.
    """
    for folder in folders:
        if place := kept_at(folder):
            raise MissingError(
                f"only a part of this run is here; the whole is kept at {place}",
                where=folder.name,
                todo="Run the next step there too (`labwright submit`), or fetch all of it with `labwright pull --only output`.",
            )


def present(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The entries of a manifest whose files are there."""
    return {name: entry for name, entry in manifest.items() if (folder / name).is_file()}


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    # ``a/**`` of pathlib means folders only.
    patterns: Sequence[str] = (f"{pattern}/*",) if pattern.endswith("**") else (pattern,)
    for one in patterns:
        for path in folder.glob(one):
            inside = path.relative_to(folder).parts
            if path.is_file() and path.name not in BULK and not any(part.startswith(publish.TEMPORARY) for part in inside):
                yield path

"""What the exports of all recipes have in common: which training and folder will do, and the tables of a model card."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from labwright.runs.errors import CommandError, MissingError
from labwright.runs.run import Run

CARD = "README.md"


def exportable(run: Run, to: Path, files: Collection[str]) -> None:
    """Refuse to export what is no training, or over what is no export.

    Args:
        run: whose weights are to be exported.
        to: a folder that is not there yet, or holds an earlier export.
        files: names of what an export holds.

    Raises:
        MissingError: the run is not a complete training.
        CommandError: ``to`` holds other files, which would be lost.
    """
    if run.step != "train" or run.done() is None:
        raise MissingError("this is not a complete training", where=str(run.folder), todo="Name a run such as train-0123456789.")
    if to.exists() and not (to.is_dir() and {path.name for path in to.iterdir()} <= set(files)):
        raise CommandError("there are other files here", where=str(to), todo="Name a folder that is not there yet.")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; numbers of six digits, None as *not measured*."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])


def energy(run: Run) -> str:
    """The section on what the training took."""
    rows = [[row[name] for name in ("stage", "joules", "method", "scope")] for row in run.energy()]
    return f"## Energy\n\n{table(['stage', 'joules', 'method', 'scope'], rows)}"


def _cell(value: object) -> str:
    return "not measured" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)

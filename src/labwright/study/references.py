"""Paths that options give → the runs that are meant: run folders, names below ``runs``, patterns, and folders of studies."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from labwright.runs.errors import DataError, MissingError
from labwright.runs.run import Run
from labwright.study.messages import listed

DESCRIPTION = "step.json"
RUNS = "runs"


def named(places: Iterable[Path], steps: Sequence[str]) -> list[Path]:
    """The run folders, each once, in the order in which they are named; those of one pattern or folder by name.

    Args:
        places: absolute paths.
        steps: the steps of which runs are meant; of others no folder or pattern has one.

    Raises:
        MissingError: a place stands for no such run, or for one that is not done: what is left out without a word is missed too late.
        DataError: a run lost files after it was done.
    """
    return list(dict.fromkeys(run.folder.resolve() for place in places for run in _done(place, steps)))


def _done(place: Path, steps: Sequence[str]) -> Iterator[Run]:
    found = [run for folder in _folders(place) if (run := Run.open(folder)).step in steps]
    if not found:
        raise MissingError(
            f"there is no run of {listed(steps)}",
            where=str(place),
            todo="Name a run folder, a run below `runs`, a pattern such as runs/predict-*, or the folder of a study.",
        )
    for run in found:
        state = run.state()
        if state == "damaged":
            raise DataError(
                f"the run does not fit its manifest: {'; '.join(run.verify()[:3])}",
                where=str(run.folder),
                todo="Copy it again, or make it again.",
            )
        if state != "done":
            raise MissingError(
                f"the run is {state}, not done", where=str(run.folder), todo="Run it to its end, remove it, or name the others alone."
            )
    return iter(found)


def _folders(place: Path) -> list[Path]:
    """Run folders of whatever step."""
    if (place / DESCRIPTION).is_file():
        return [place]
    if place.is_dir():
        return _below(place / RUNS) or _below(place)
    if glob.has_magic(str(place)):
        matching = [Path(one) for one in sorted(glob.glob(str(place)))]
        return [folder for one in matching for folder in ([one] if (one / DESCRIPTION).is_file() else _below(one / RUNS))]
    return [folder for folder in _below(place.parent / RUNS) if folder.name == place.name]


def _below(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{DESCRIPTION}"))

"""What words of a command line stand for: study files, folders of runs, runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import scan
from labwright.runs.errors import CommandError, MissingError, StudyError
from labwright.runs.run import Run, runs_in
from labwright.study.messages import listed

if TYPE_CHECKING:
    from labwright.study.resolve import Study
    from labwright.study.step import Recipe

STUDY = "study.yaml"


def recipe_named(name: str) -> Recipe:
    """The recipe of this name, as a word of the command line.

    Raises:
        CommandError: there is none; the nearest is named.
        StudyError: a third party's recipe cannot be loaded.
    """
    from labwright.study.registry import names, recipe

    try:
        return recipe(name)
    except StudyError as error:
        if name in names():
            raise
        raise CommandError(error.what, where="RECIPE", todo=error.todo) from error


def resolved(arguments: argparse.Namespace, sets: Sequence[str] = ()) -> Study:
    """The study of the command line, with its ``--set`` and ``--param``, and ``sets`` on top."""
    from labwright.study.resolve import resolve

    return resolve(arguments.study, sets=[*arguments.set, *sets], params=arguments.param)


def runs_option(arguments: argparse.Namespace) -> Path | None:
    """``--runs``, where it was given."""
    return Path(arguments.runs) if arguments.runs else None


def chosen(arguments: argparse.Namespace, study: Study) -> dict[str, Path]:
    """The runs named by ``--run``, by step.

    Raises:
        MissingError: there is no such run, or several.
        CommandError: two were named for one step.
    """
    from labwright.parts.conduct import find_run
    from labwright.study.plan import runs_folder

    found: dict[str, Path] = {}
    for name in arguments.run:
        run = find_run(runs_folder(study, runs_option(arguments)), name)
        if run.step in found:
            raise CommandError(f"two runs of {run.step} were named: {found[run.step].name} and {run.name}", where="--run")
        found[run.step] = run.folder
    return found


def runs_folder_at(place: Path, runs: Path | None = None) -> Path:
    """The folder of runs that a study file, the folder of a study, or a folder of runs stands for.

    Raises:
        MissingError: there is nothing of the kind.
    """
    if runs is not None:
        folder = runs
    elif place.is_file() or (place / STUDY).is_file():
        folder = _runs_of_study(place if place.is_file() else place / STUDY)
    else:
        folder = place / "runs" if (place / "runs").is_dir() else place
        if not any(folder.glob("*/step.json")):
            raise MissingError("there is no study and no run here", where=str(place), todo=f"Name a {STUDY}, a folder of runs, or a run.")
    return folder


def _runs_of_study(study: Path) -> Path:
    from labwright.study.plan import runs_folder
    from labwright.study.resolve import resolve

    try:
        return runs_folder(resolve([study]))
    except StudyError:
        # Runs can be looked at whatever a new run would miss, a parameter that has to be given for example.
        folder = study.parent / scan.runs_folder(str(study))
        if not any(folder.glob("*/step.json")):
            raise
        return folder.resolve()


def runs_at(place: str | None, runs: Path | None = None) -> list[Run]:
    """The runs that a place stands for, oldest first: one run itself, or all of a study or folder.

    Args:
        place: as the user wrote it; the current folder by default.
        runs: ``--runs``, where it was given.
    """
    path = Path(place or ".")
    if (path / "step.json").is_file():
        return [Run.open(path)]
    folder = runs_folder_at(path, runs)
    return runs_in(folder)


def runs_named(place: str | None, name: str | None, runs: Path | None = None) -> list[Run]:
    """Of the runs that a place stands for those whose name begins as was said; the one last active first.

    Raises:
        MissingError: there is none; those that are there are named.
    """
    found = runs_at(place, runs)
    fitting = [one for one in found if one.name.startswith(name or "")]
    if not fitting:
        there = listed(one.name for one in found) or "none"
        raise MissingError(f"no run begins with {name!r}" if name else "there are no runs", where=place or ".", todo=f"There are: {there}.")
    return sorted(fitting, key=lambda one: age if (age := one.heartbeat_age_s()) is not None else float("inf"))


def study_at(place: str | None) -> Study | None:
    """The study whose file, or whose folder, this is; None for runs and folders of them."""
    from labwright.study.resolve import resolve

    path = Path(place or ".")
    return resolve([path]) if path.is_file() or (path / STUDY).is_file() else None


def own_runs_at(place: str | None, runs: Path | None = None) -> list[Run]:
    """As :func:`runs_at`, but a study file stands for its own runs, also where others have theirs in the same folder."""
    found = runs_at(place, runs)
    if place is None or not Path(place).is_file():
        return found
    return [one for one in found if not of_another_study(one, Path(place))] or found


def of_another_study(run: Run, study: Path) -> bool:
    """Whether the run was begun by another study file than this one; a file that is gone may have been moved here."""
    made_by = Path(run.description.get("study_path") or study)
    return os.path.exists(made_by) and not made_by.samefile(study)


def one_run(name: str, runs: Path | None) -> Run:
    """A run by its path, or by its name or the beginning of it in ``--runs`` (``./runs`` by default)."""
    from labwright.parts.conduct import find_run

    return find_run(runs or Path("runs"), name)

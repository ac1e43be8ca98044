"""``labwright clean``: list the runs that newer ones have superseded, and remove them when told to."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from labwright.cli import places
from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import Exit
from labwright.runs.publish import disk_said, remove, set_aside
from labwright.runs.run import Run

UNFINISHED = ("ready", "stopped", "failed", "silent")


def run(arguments: argparse.Namespace) -> int:
    """Without ``--yes`` nothing is removed."""
    runs = places.runs_at(arguments.place, places.runs_option(arguments))
    reasons = stale(runs) if arguments.stale else superseded(runs, _planned(arguments))
    found = [one for one in runs if one.folder in reasons]
    sizes = {one.folder: _size(one.folder) for one in found}
    if arguments.yes:
        _remove(found)
    rows = [[one.name, reasons[one.folder], sizes[one.folder] / 1e6] for one in found]
    if arguments.json:
        listed = [{"run": one.name, "why": reasons[one.folder], "bytes": sizes[one.folder]} for one in found]
        print_json({"code": 0, "removed": arguments.yes, "runs": listed})
        return Exit.DONE
    if not found:
        print("nothing to clean")
        return Exit.DONE
    print_table(["run", "why", "size_mb"], rows)
    total = sum(sizes.values()) / 1e6
    print(f"removed, {total:.1f} MB" if arguments.yes else f"{total:.1f} MB; --yes removes them")
    return Exit.DONE


def superseded(runs: Sequence[Run], planned: Collection[Path] = ()) -> dict[Path, str]:
    """Why each run that a newer one of its kind replaces could go, by folder.

    Runs are of one kind where study file, run name, point of a sweep and step are the same. Kept are the newest complete run
    of each kind, the ``planned`` runs, every run that a kept run was made from, runs at work, and runs of a kind that has
    no newer complete one.
    """
    newest: dict[tuple[str, ...], Run] = {}
    states = {one.folder: one.state() for one in runs}
    for one in runs:
        if states[one.folder] == "done":
            newest[_kind(one)] = one
    order = {one.folder: index for index, one in enumerate(runs)}
    found = {}
    for one in runs:
        best = newest.get(_kind(one))
        replaced = best is not None and best is not one and order[best.folder] > order[one.folder]
        if replaced and one.folder.resolve() not in planned and states[one.folder] in ("done", "stale", "damaged", *UNFINISHED):
            found[one.folder] = f"{states[one.folder]}; {best.name if best else ''} is newer and complete"
    return _without_inputs_of_kept(runs, found)


def stale(runs: Sequence[Run]) -> dict[Path, str]:
    """Why each stale run, and each run made from one, could go, by folder."""
    found = {one.folder: "its raw files changed" for one in runs if one.state() == "stale"}
    grown = True
    while grown:
        made = {one.folder: f"made from {folder.name}" for one in runs for folder in one.inputs.values() if _same(folder, found)}
        fresh = {folder: why for folder, why in made.items() if folder not in found}
        grown = bool(fresh)
        found |= fresh
    return {one.folder: found[one.folder] for one in runs if one.folder in found and one.state() != "running"}


def _without_inputs_of_kept(runs: Sequence[Run], found: dict[Path, str]) -> dict[Path, str]:
    """What is left of ``found`` when every run that a kept run names as its input is kept too."""
    while True:
        needed = {folder for one in runs if one.folder not in found for folder in one.inputs.values()}
        kept = [folder for folder in found if folder.resolve() in needed]
        if not kept:
            return found
        for folder in kept:
            del found[folder]


def _remove(runs: Sequence[Run]) -> None:
    """Remove the runs, what was made from others first; a kill leaves no half run under a run's name."""
    for one in reversed(runs):
        with disk_said(one.folder):
            aside = set_aside(one.folder)
        remove(aside)


def _same(folder: Path, found: dict[Path, str]) -> bool:
    return any(folder == other.resolve() for other in found)


def _planned(arguments: argparse.Namespace) -> set[Path]:
    """The runs that the study at the place takes for its results as it stands; none where a folder of runs was named."""
    study = places.study_at(arguments.place)
    if study is None:
        return set()
    from labwright.study.plan import plan

    return {one.folder.resolve() for one in plan(study, runs=places.runs_option(arguments)) if one.state == "done"}


def _kind(run: Run) -> tuple[str, ...]:
    told = run.description
    study = told.get("study_path") or told.get("study", "")
    return tuple(map(str, (told["recipe"], run.step, study, told.get("name", ""), told.get("sweep", ""))))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

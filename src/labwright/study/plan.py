"""The plan: a study → its runs in order, each with fingerprint, folder and state.

Nothing is written here but the ``step.json`` of a run that is about to start (:func:`create`).
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from labwright.runs import machine, publish
from labwright.runs.errors import DataError, MissingError
from labwright.runs.run import Run, runs_in
from labwright.study import elsewhere, listing
from labwright.study.fingerprint import effective, fingerprint
from labwright.study.options import Options
from labwright.study.resolve import Study
from labwright.study.step import LazyStep, RawFile


@dataclass(frozen=True)
class Planned:
    """One step of the plan."""

    step: LazyStep[Any]
    options: Options
    fingerprint: str
    folder: Path
    inputs: Mapping[str, Planned]
    sources: tuple[RawFile, ...]
    state: str
    """``absent`` or a state of :meth:`labwright.runs.run.Run.state`."""
    changed: tuple[str, ...] = ()
    """Raw files that are no longer what the complete run read; found once, since finding out may read them."""
    given: bool = False
    """Whether the run was named by the user instead of following from the options."""

    @property
    def name(self) -> str:
        return self.step.name

    @property
    def run(self) -> Run:
        return Run.open(self.folder)


def runs_folder(study: Study, runs: Path | None = None) -> Path:
    """Where the study's run folders lie: ``--runs``, else ``run.folder``, else ``runs`` beside the study."""
    return (runs or study.run.folder or study.folder / "runs").resolve()


def plan(
    study: Study, *, runs: Path | None = None, chosen: Mapping[str, Path] | None = None, steps: Sequence[str] | None = None
) -> list[Planned]:
    """The study's steps in order.

    Args:
        study: the resolved study.
        runs: where run folders lie, instead of what the study says.
        chosen: run folders to take for steps, by step name (``--run``); the study's own ``from`` counts too.
        steps: plan only what these steps need, and the gates of those that are not done; by default all that the study has, less
            what optional steps stand for.

    Raises:
        MissingError: raw files, or a run taken from elsewhere, are not there.
        DataError: a run taken from elsewhere does not fit its manifest.
    """
    folder = runs_folder(study, runs)
    given = {**study.taken, **(chosen or {})}
    active = _active(study, steps or (), given)
    wanted = _closure(study, _ends(study, active) if steps is None else steps, given, active)
    planned: dict[str, Planned] = {}
    for step in study.recipe.steps:
        if step.name in given and step.name in wanted:
            planned[step.name] = _given(step, given[step.name])
        elif step.name in wanted:
            planned[step.name] = _planned(step, study, folder, planned, active)
    if steps is None:
        return list(planned.values())
    needed = _needed(planned, steps)
    return [one for one in planned.values() if one.name in needed]


def _active(study: Study, asked: Sequence[str], given: Mapping[str, Path]) -> list[str]:
    """The steps that the study has, in order: an optional one where it is asked for or given, or where the study says something of it.

    The points of a sweep do without: what brings several runs together comes after all of them, and is asked for by name.
    """
    own = () if study.label else study.said
    return [step.name for step in study.recipe.steps if not step.optional or step.name in (*own, *asked, *given)]


def _ends(study: Study, active: Sequence[str]) -> list[str]:
    """What a study is run for: its steps, less those in whose place an optional one feeds the others."""
    replaced = {name for one in map(study.recipe.step, active) if one.optional for name in one.replaces}
    return [name for name in active if name not in replaced]


def _feeding(step: LazyStep[Any], study: Study, active: Sequence[str]) -> list[str]:
    """The steps that feed this one; where an optional step is there that comes before it, those it replaces do not."""
    earlier = [study.recipe.step(name) for name in active[: active.index(step.name)]]
    instead = {name: one.name for one in earlier if one.optional for name in one.replaces}
    return list(dict.fromkeys(instead.get(name, name) for name in step.needed(study.steps[step.name])))


def _planned(step: LazyStep[Any], study: Study, folder: Path, before: Mapping[str, Planned], active: Sequence[str]) -> Planned:
    options = study.steps[step.name]
    inputs = {name: before[name] for name in _feeding(step, study, active)}
    inputs |= {run.name: _given(study.recipe.step(run.step), run.folder) for run in _named(step, options, study)}
    sources = _sources(step, options, study)
    mark = fingerprint(step, options, study.run.seed, {name: one.fingerprint for name, one in inputs.items()}, sources)
    place = folder / f"{step.name}-{mark[:10]}"
    state = "absent"
    changed: tuple[str, ...] = ()
    if (place / "step.json").is_file():
        run = Run.open(place)
        state = run.state()
        if state in ("done", "stale"):
            changed = tuple(changed_sources(run, sources))
        if changed:
            state = "stale"
    return Planned(step, options, mark, place, inputs, sources, state, changed)


def _named(step: LazyStep[Any], options: Options, study: Study) -> Iterator[Run]:
    """The runs that the options name, of whatever step of this recipe."""
    folders = step.named(options)
    for place in folders:
        run = Run.open(place)
        if (recipe := run.description["recipe"]) != study.recipe.name:
            raise MissingError(f"this is a run of the recipe {recipe}, not of {study.recipe.name}", where=str(place))
        if same := [other for other in folders if other.name == place.name and other != place]:
            raise MissingError(
                f"two runs have this name, the other is {same[0]}", where=str(place), todo="Equal runs have equal names: name one of them."
            )
        yield run


def _sources(step: LazyStep[Any], options: Options, study: Study) -> tuple[RawFile, ...]:
    """The raw files as they lie here, or as they were listed where they are."""
    try:
        return tuple(step.sources(options))
    except MissingError:
        if (listed := listing.read(study.folder, step.name)) is None:
            raise
        return tuple(listed)


def _given(step: LazyStep[Any], folder: Path) -> Planned:
    run = Run.open(folder)
    if run.step != step.name:
        raise MissingError(f"this is a run of {run.step}, not of {step.name}", where=str(folder))
    if not (run.folder / "done.json").is_file():
        raise MissingError(f"the run is {run.state()}, not done", where=str(folder), todo="Run it to its end first.")
    if problems := run.verify(checksums=True):
        raise DataError(
            f"the run does not fit its manifest: {'; '.join(problems[:3])}", where=str(folder), todo="Copy it again, or make it again."
        )
    return Planned(step, options_of(run, step), run.fingerprint, folder.resolve(), {}, (), run.state(), given=True)


def _closure(study: Study, steps: Sequence[str], given: Mapping[str, Path], active: Sequence[str]) -> set[str]:
    """The named steps and all that they need or are gated by; nothing beyond a given run."""
    wanted: set[str] = set()
    waiting = list(steps)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            if name not in given:
                step = study.recipe.step(name)
                waiting += [*_feeding(step, study, active), *step.gates]
    return wanted


def _needed(planned: Mapping[str, Planned], steps: Sequence[str]) -> set[str]:
    """The named steps, their inputs, and gates where something has yet to pass them."""
    needed: set[str] = set()
    waiting = list(steps)
    while waiting:
        one = planned[waiting.pop()]
        if one.name not in needed:
            needed.add(one.name)
            inputs = [name for name in one.inputs if name in planned]
            waiting += [*inputs, *(one.step.gates if one.state != "done" else ())]
    return needed


def changed_sources(run: Run, sources: Sequence[RawFile]) -> list[str]:
    """Names of raw files that are no longer what the run read.

    Only a file whose mtime moved is read again: a copy keeps its bytes but seldom its time.
    """
    read = run.sources()
    changed = []
    for file in sources:
        before = read.get(file.name)
        # What was listed elsewhere cannot be looked at here.
        if before is None or not file.path.exists():
            continue
        if file.path.stat().st_mtime_ns != before["mtime_ns"] and publish.digest(file.path) != before["sha256"]:
            changed.append(file.name)
    return changed


def create(planned: Planned, study: Study) -> Run:
    """Make the run folder with its ``step.json``, or open the one that is there.

    A run that exists keeps its description: what cannot change its result (name, tags, threads) was fixed with it.
    """
    path = planned.folder / "step.json"
    if path.is_file():
        return planned.run
    description = {
        "recipe": study.recipe.name,
        "step": planned.name,
        "version": planned.step.version,
        "fingerprint": planned.fingerprint,
        "options": planned.options.model_dump(mode="json", by_alias=True),
        "origins": {
            name.removeprefix(f"{planned.name}."): origin for name, origin in study.origins.items() if name.startswith(f"{planned.name}.")
        },
        "seed": study.run.seed,
        "inputs": {
            name: {"fingerprint": one.fingerprint, "folder": os.path.relpath(one.folder, planned.folder)}
            for name, one in planned.inputs.items()
        },
        "sources": [{"name": file.name, "size": file.size} for file in planned.sources],
        "machine": {**machine.describe(), "threads": study.run.on.threads or machine.usable_cores(), "workers": study.run.on.workers},
        "name": study.run.name,
        "tags": list(study.run.tags),
        "study": study.path.name,
        "study_path": str(study.path),
        "sweep": study.label,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    }
    publish.write_json(path, description, "step")
    return planned.run


def options_of(run: Run, step: LazyStep[Any]) -> Options:
    """The options that a run was made with, paths of raw data as this machine sees them.

    Raises:
        DataError: this version of the step does not know them.
    """
    try:
        options: Options = step.options.model_validate(elsewhere.moved(run.options, elsewhere.roots()))
        return options
    except ValidationError as error:
        raise DataError(
            f"its options do not fit this version of {step.name}",
            where=str(run.folder),
            todo="Use the version that its log names, or make it again.",
        ) from error


def differences(planned: Planned, run: Run) -> list[str]:
    """The options in which a run differs from what is planned, a line each."""
    try:
        have = effective(options_of(run, planned.step))
    except DataError as error:
        return [error.what]
    return list(_differing(have, effective(planned.options)))


def done_runs(folder: Path, recipe: str, step: str) -> list[Run]:
    """Complete runs of a step in a folder of runs, newest first."""
    return [run for run in reversed(runs_in(folder)) if run.step == step and run.description["recipe"] == recipe and run.state() == "done"]


def _differing(have: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A line for each option; one that is a section on one side only is one line."""
    for name in sorted(have.keys() | wanted.keys()):
        there, planned = have.get(name), wanted.get(name)
        if isinstance(there, dict) and isinstance(planned, dict):
            yield from _differing(there, planned, f"{prefix}{name}.")
        elif there != planned:
            yield f"{prefix}{name}: {there!r} there, {planned!r} planned"

"""Conduct a study on this machine: run what is missing, in order, and hand back what became of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from labwright.parts.execute import execute
from labwright.runs.errors import CommandError, DataError, MissingError
from labwright.runs.publish import write_json
from labwright.runs.run import Run, runs_in
from labwright.study import registry
from labwright.study.plan import Planned, create, differences, done_runs, plan, runs_folder
from labwright.study.resolve import Study

MOST_RUNS = 5
"""Done runs that are named where a training is missing."""


class Result(NamedTuple):
    """What became of one step."""

    step: str
    folder: Path
    state: str
    fresh: bool
    """Whether work was done now; False where the run was complete already."""
    figures: Mapping[str, Any]
    energy: list[dict[str, Any]]
    findings: Mapping[str, int]


def conduct(
    study: Study,
    *,
    step: str | None = None,
    runs: Path | None = None,
    chosen: Mapping[str, Path] | None = None,
    quiet: bool = False,
    deadline: float | None = None,
) -> Iterator[Result]:
    """Run what is missing for ``step`` (or for the whole study), yielding each step as it is complete.

    Raises:
        CommandError: no such step in the recipe.
        MissingError: a training that ``step`` needs is not done; trainings start only when asked for.
        DataError: a gate found errors, or raw files changed after they were packed.
        LabwrightError: whatever went wrong within a step.
    """
    names = [one.name for one in study.recipe.steps]
    if step is not None and step not in names:
        raise CommandError(f"recipe {study.recipe.name} has no step {step!r}", where="--step", todo=f"Its steps are {', '.join(names)}.")
    steps = plan(study, runs=runs, chosen=chosen, steps=[step] if step is not None else None)
    for planned in steps:
        if error := unasked(planned, study, step, runs):
            raise error
    by_name = {one.name: one for one in steps}
    for planned in steps:
        yield _one(planned, study, by_name, quiet, deadline)


def _one(planned: Planned, study: Study, steps: Mapping[str, Planned], quiet: bool, deadline: float | None) -> Result:
    if error := unusable(planned):
        if planned.changed:
            write_json(planned.folder / "stale.json", {"changed": planned.changed}, "done")
        raise error
    fresh = planned.state != "done"
    if fresh:
        for gate in planned.step.gates:
            if gate in steps and (closed := closed_gate(steps[gate], planned.name)):
                raise closed
        execute(create(planned, study), quiet=quiet, deadline=deadline, workers=study.run.on.workers)
    run = planned.run
    done = run.done()
    assert done is not None, "execute returns when the run is complete"
    return Result(planned.name, planned.folder, run.state(), fresh, done["figures"], run.energy(), done["findings"])


def closed_gate(gate: Planned, step: str) -> DataError | None:
    """Why a complete gate does not let ``step`` start; None where it does."""
    return _closed(gate.run, step)


def closes(run: Run) -> DataError | None:
    """Why a complete run does not let the steps start that it is a gate of; None where it does, or is no gate."""
    steps = registry.recipe(run.description["recipe"]).steps
    gated = [step.name for step in steps if run.step in step.gates]
    return _closed(run, " and ".join(gated)) if gated and run.state() == "done" else None


def _closed(gate: Run, step: str) -> DataError | None:
    errors = [one for one in gate.findings() if one["severity"] == "error"]
    if not errors:
        return None
    first = f"{errors[0]['code']} {errors[0]['place']}: {errors[0]['text']}"
    return DataError(
        f"{gate.step} found {len(errors)} {'error' if len(errors) == 1 else 'errors'}, so {step} does not start; the first is {first}",
        where=gate.name,
        todo="Mend the data or leave the items out; `labwright list findings` explains each code.",
    )


def unusable(planned: Planned) -> DataError | None:
    """Why a run that was complete can be neither used nor gone on with: stale or damaged; None otherwise."""
    if planned.state == "damaged":
        problems = "; ".join(planned.run.verify()[:3])
        return DataError(
            f"the run does not fit its manifest: {problems}", where=str(planned.folder), todo="Remove the folder and run again."
        )
    if planned.state != "stale":
        return None
    names = ", ".join(planned.changed[:3]) or "see stale.json"
    return DataError(
        f"raw files changed after they were read: {names}",
        where=planned.folder.name,
        todo="Remove the run with `labwright clean --stale --yes`, then run again.",
    )


def unasked(planned: Planned, study: Study, step: str | None, runs: Path | None) -> MissingError | None:
    """Why a training does not start for the sake of another ``step``; None for what is no such training or is over."""
    if step in (None, planned.name) or not planned.step.trains or planned.state in ("done", "stale", "damaged"):
        return None
    others = done_runs(runs_folder(study, runs), study.recipe.name, planned.name)[:MOST_RUNS]
    lines = [f"\n  {run.name}: {'; '.join(differences(planned, run)) or 'same options, other inputs or another seed'}" for run in others]
    there = f"done runs of {planned.name}:{''.join(lines)}" if lines else f"no run of {planned.name} is done"
    choice = ", or take one of these with `--run NAME`" if lines else ""
    return MissingError(
        f"{planned.name} is {planned.state} with these options, and no training starts unasked; {there}",
        where=planned.folder.name,
        todo=f"Start it with `labwright run STUDY --step {planned.name}` and the same options{choice}.",
    )


def find_run(folder: Path, name: str) -> Run:
    """A run by its name, an unambiguous beginning of it, or its path.

    Raises:
        MissingError: none or several fit; those that are there are named.
    """
    if "/" in name or Path(name).is_dir():
        return Run.open(Path(name))
    there = [run.name for run in reversed(runs_in(folder))]
    fitting = [one for one in there if one.startswith(name)]
    if len(fitting) == 1 or name in fitting:
        return Run.open(folder / (name if name in fitting else fitting[0]))
    # A name ends in a fingerprint; what comes before it is the step.
    meant = fitting or [one for one in there if one.rpartition("-")[0] == name.rpartition("-")[0]] or there
    more = f" and {len(meant) - MOST_RUNS} more" if len(meant) > MOST_RUNS else ""
    raise MissingError(
        f"{'several runs begin' if fitting else 'no run begins'} with {name!r}",
        where=str(folder),
        todo=f"There are, newest first: {', '.join(meant[:MOST_RUNS])}{more}." if meant else "There are none.",
    )

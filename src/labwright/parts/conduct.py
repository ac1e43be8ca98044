"""Conduct a study on this machine: run what is missing, in order, and hand back what became of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from labwright.parts.execute import execute
from labwright.runs.errors import CommandError, DataError, Exit, FaultError, MissingError
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.plan import Planned, changed_sources, create, differences, done_runs, plan, runs_folder
from labwright.study.resolve import Study


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
        if step is not None and planned.step.trains and planned.name != step and planned.state != "done":
            raise _training_missing(planned, study, runs)
    for planned in steps:
        yield _one(planned, study, {one.name: one for one in steps}, quiet, deadline)


def _one(planned: Planned, study: Study, steps: Mapping[str, Planned], quiet: bool, deadline: float | None) -> Result:
    fresh = False
    if planned.state == "stale":
        _mark_stale(planned)
    if planned.state == "damaged":
        problems = "; ".join(planned.run.verify()[:3])
        raise DataError(f"the run does not fit its manifest: {problems}", where=str(planned.folder), todo="Remove the folder and run again.")
    for gate in planned.step.gates:
        if gate in steps:
            _pass_gate(steps[gate], planned.name)
    if not planned.given and planned.state != "done":
        code = execute(create(planned, study), quiet=quiet, deadline=deadline)
        if code != Exit.DONE:
            raise FaultError(f"the step ended with exit code {int(code)}", where=planned.folder.name)
        fresh = True
    done = planned.run.done()
    if done is None:
        raise MissingError("the run is not complete", where=str(planned.folder))
    return Result(planned.name, planned.folder, planned.run.state(), fresh, done["figures"], done["energy"], done["findings"])


def _pass_gate(gate: Planned, step: str) -> None:
    done = gate.run.done() or {"findings": {"error": 1}}
    errors = done["findings"]["error"]
    if errors:
        worst = [one for one in gate.run.findings() if one["severity"] == "error"]
        first = f"{worst[0]['code']} {worst[0]['place']}: {worst[0]['text']}" if worst else "see its log"
        raise DataError(
            f"{gate.name} found {errors} {'error' if errors == 1 else 'errors'}, so {step} does not start; the first is {first}",
            where=gate.folder.name,
            todo="Mend the data or leave the items out; `labwright list findings` explains each code.",
        )


def _mark_stale(planned: Planned) -> None:
    changed = changed_sources(planned.run, planned.sources)
    if changed:
        write_json(planned.folder / "stale.json", {"changed": changed}, "done")
    names = ", ".join(changed[:3]) or "see stale.json"
    raise DataError(
        f"raw files changed after they were read: {names}", where=planned.folder.name, todo="Remove the run with `labwright clean --stale --yes`, then run again."
    )


def _training_missing(planned: Planned, study: Study, runs: Path | None) -> MissingError:
    folder = runs_folder(study, runs)
    lines = []
    for run in done_runs(folder, study.recipe.name, planned.name)[:5]:
        lines.append(f"\n  {run.name}: " + ("; ".join(differences(planned, run)) or "same options, other inputs"))
    there = "".join(lines) or "\n  (none is done)"
    return MissingError(
        f"{planned.name} is {planned.state} with these options, and no training starts unasked; done runs of {planned.name}:{there}\n",
        where=planned.folder.name,
        todo=f"Start it with `labwright {planned.name} STUDY`, or take one of these with --run NAME.",
    )


def find_run(folder: Path, name: str) -> Run:
    """A run by its name, an unambiguous beginning of it, or its path.

    Raises:
        MissingError: none or several fit; those that are there are named.
    """
    if "/" in name or Path(name).is_dir():
        return Run.open(Path(name))
    there = sorted(path.parent.name for path in folder.glob("*/step.json"))
    fitting = [one for one in there if one.startswith(name)]
    if len(fitting) == 1:
        return Run.open(folder / fitting[0])
    raise MissingError(
        f"{'several runs begin' if fitting else 'no run begins'} with {name!r}", where=str(folder), todo=f"There are: {', '.join(fitting or there) or 'none'}."
    )

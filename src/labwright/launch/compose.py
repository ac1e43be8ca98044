"""A planned study, or the rows of a sweep → the jobs that do what is missing, in an order in which they can be queued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from labwright.launch.job import After, Job, Task
from labwright.launch.site import Site
from labwright.parts.conduct import closed_gate, unusable
from labwright.parts.shares import Share
from labwright.runs.errors import LabwrightError, StudyError
from labwright.runs.run import Run
from labwright.study.messages import listed, nearest
from labwright.study.plan import Planned
from labwright.study.resolve import Study
from labwright.study.resources import Resources

Row = tuple[Study, Sequence[Planned]]
"""One study with its plan; a sweep is several."""


def compose(rows: Sequence[Row], site: Site) -> list[Job]:
    """The jobs for all that is not done, in the recipe's order.

    A run that several rows share is made once. The rows of a sweep become the tasks of one array, and so do the shares of a run;
    finishing a run that was dealt into shares is a job of its own.

    Raises:
        DataError: a complete run can no longer be used, or a gate is closed.
        StudyError: resources are given for a step that the recipe has not.
    """
    study = rows[0][0]
    _check_names(study)
    jobs: list[Job] = []
    last: dict[str, Job] = {}  # the job after which a step's runs are done
    for step in study.recipe.steps:
        planned = _missing(rows, step.name)
        if not planned:
            continue
        for one in planned:
            for gate in one.step.gates:
                _pass(rows, gate, one)
        queue_name, queue = site.queue_name(step.name, gpu=step.gpu), site.queue(step.name, gpu=step.gpu)
        resources = resources_of(study, step.name, queue.resources)
        shares = resources.shares or 1
        folders = [one.folder for one in planned]
        deal = [Share(index, shares) for index in range(shares)] if shares > 1 else [None]
        main = Job(
            name=step.name,
            step=step.name,
            tasks=tuple(Task(folder, share) for folder in folders for share in deal),
            resources=resources,
            queue=queue,
            queue_name=queue_name,
            gpu=step.gpu,
            trains=step.trains,
            after=_after(planned, rows, last, dealt=shares > 1),
            inputs=tuple(dict.fromkeys(folder for one in planned for folder in upstream(one))),
            fed_by={one.folder: tuple(dict.fromkeys(upstream(one))) for one in planned},
            raw=tuple(dict.fromkeys(place for one in planned for place in raw_folders(one))),
        )
        jobs.append(main)
        last[step.name] = main
        if shares > 1:
            finish = Job(
                name=f"{step.name}-finish",
                step=step.name,
                tasks=tuple(Task(folder, finish=True) for folder in folders),
                resources=resources.model_copy(update={"gpus": 0, "nodes": 1}),
                queue=site.queue(f"{step.name}-finish", gpu=False),
                queue_name=site.queue_name(f"{step.name}-finish", gpu=False),
                after=(After(main.name),),
                inputs=main.inputs,
                fed_by=main.fed_by,
                raw=main.raw,
            )
            jobs.append(finish)
            last[step.name] = finish
    return jobs


def resources_of(study: Study, step: str, defaults: Resources) -> Resources:
    """What a step asks for: the study's word, else the site's."""
    asked = study.run.on.resources.get(step, Resources())
    return defaults.model_copy(update={name: value for name, value in asked.model_dump().items() if value is not None})


def upstream(planned: Planned) -> Iterator[Path]:
    """The runs that feed a step, and those that feed them: a step may look into a pack by way of the predictions on it."""
    for given in planned.inputs.values():
        yield given.folder
        yield from _upstream_of(given.run) if given.given else upstream(given)


def _upstream_of(run: Run) -> Iterator[Path]:
    for folder in run.inputs.values():
        if (folder / "step.json").is_file():
            yield folder
            yield from _upstream_of(Run.open(folder))


def raw_folders(planned: Planned) -> Iterable[Path]:
    """The folders below which a step's raw files lie: each file's path less its name relative to the source."""
    for file in planned.sources:
        depth = len(Path(file.name).parts)
        yield file.path.parents[depth - 1]


def _missing(rows: Sequence[Row], step: str) -> list[Planned]:
    """The distinct runs of a step that are not done, in the order of the rows."""
    found: dict[Path, Planned] = {}
    for _, plan in rows:
        for one in plan:
            if one.name == step:
                if error := unusable(one):
                    raise error
                if one.state != "done":
                    found.setdefault(one.folder, one)
    return list(found.values())


def _pass(rows: Sequence[Row], gate: str, one: Planned) -> None:
    """Refuse a step whose gate is complete and closed; a gate that is still to run ends its own job with 65."""
    for _, plan in rows:
        if one in plan:
            for other in plan:
                if other.name == gate and other.state == "done" and (closed := closed_gate(other, one.name)):
                    raise closed


def _after(planned: Sequence[Planned], rows: Sequence[Row], last: Mapping[str, Job], *, dealt: bool) -> tuple[After, ...]:
    """The jobs that make what these runs need, and those that gate them."""
    step = planned[0].step
    found = []
    for name in dict.fromkeys([*(name for one in planned for name in one.inputs), *step.gates]):
        if name not in last:
            continue
        before = last[name]
        found.append(After(before.name, each=not dealt and len(planned) > 1 and _paired(planned, rows, name, before)))
    return tuple(found)


def _paired(planned: Sequence[Planned], rows: Sequence[Row], name: str, before: Job) -> bool:
    """Whether task i of the job needs no other task of ``before`` than its own i."""
    if [task.share for task in before.tasks] != [None] * len(planned):
        return False
    feeding = []
    for one in planned:
        plan = next(plan for _, plan in rows if any(other.folder == one.folder for other in plan))
        feeding.append(next(other.folder for other in plan if other.name == name))
    return feeding == [task.run for task in before.tasks]


def _check_names(study: Study) -> None:
    steps = [step.name for step in study.recipe.steps]
    wrong: list[LabwrightError] = []
    for name in study.run.on.resources:
        if name not in steps:
            close = nearest(name, steps)
            hint = f"did you mean {close}? " if close else ""
            wrong.append(StudyError(f"{hint}the steps are {listed(steps)}", where=f"run.on.resources.{name}: there is no such step"))
    if wrong:
        raise wrong[0]

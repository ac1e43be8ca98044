"""A plan becomes the fewest jobs that do what is missing, each after those that it needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from labwright.launch.compose import Row, compose
from labwright.launch.job import After, Job
from labwright.launch.site import Queue, Site
from labwright.runs.errors import DataError, StudyError
from labwright.study.plan import plan
from labwright.study.resources import Resources
from labwright.study.sweep import sweep
from tests.parts.toy_recipe import Desk

SITE = Site(
    kind="slurm",
    name="toy",
    queues={
        "cpu": Queue(partition="cpu", resources=Resources(cpus=2, minutes=30)),
        "gpu": Queue(partition="gpu", resources=Resources(cpus=8, gpus=1, minutes=600)),
        "sum": Queue(partition="quick"),
    },
)


def rows(desk: Desk, axes: Sequence[str] = (), *sets: str) -> list[Row]:
    studies = [desk.study(*sets, *point) for point in sweep(axes) or [[]]]
    return [(study, plan(study)) for study in studies]


def jobs(desk: Desk, axes: Sequence[str] = (), *sets: str) -> dict[str, Job]:
    return {job.name: job for job in compose(rows(desk, axes, *sets), SITE)}


def test_a_study_is_a_job_a_step_each_after_what_feeds_and_gates_it(desk: Desk) -> None:
    made = jobs(desk)
    assert list(made) == ["count", "gate", "fit", "sum"]
    after = {name: [one.job for one in job.after] for name, job in made.items()}
    assert after == {"count": [], "gate": ["count"], "fit": ["count", "gate"], "sum": ["count", "fit"]}
    assert not any(job.is_array for job in made.values())


def test_a_job_names_its_queue_as_the_site_does(desk: Desk) -> None:
    made = jobs(desk, (), "run.on.resources.count.shares=3")
    assert {job.queue_name for job in made.values()} <= set(SITE.queues)
    assert all(job.queue == SITE.queues[job.queue_name] for job in made.values())
    (bare,) = {job.queue_name for job in compose(rows(desk), Site(kind="slurm"))}
    assert bare == ""


def test_what_is_done_is_not_queued_again(desk: Desk) -> None:
    desk.conduct(step="gate")
    made = jobs(desk)
    assert list(made) == ["fit", "sum"]
    assert made["fit"].after == ()


def test_a_closed_gate_queues_nothing(desk: Desk) -> None:
    desk.conduct("gate.most=2", step="gate")
    with pytest.raises(DataError, match="gate found"):
        jobs(desk, (), "gate.most=2")


def test_shares_are_an_array_and_finishing_is_a_job_after_it(desk: Desk) -> None:
    made = jobs(desk, (), "run.on.resources.count.shares=3")
    count, finish = made["count"], made["count-finish"]
    assert [str(task.share) for task in count.tasks] == ["0/3", "1/3", "2/3"]
    assert [task.words for task in finish.tasks] == [("--finish",)]
    assert finish.after == (After("count"),)
    assert {one.job for one in made["gate"].after} == {"count-finish"}
    assert finish.resources.gpus == 0


def test_a_sweep_is_one_array_a_row_a_task_and_shares_what_the_rows_have_in_common(desk: Desk) -> None:
    made = jobs(desk, ["fit.rate=0.1,0.2,0.3"])
    assert len(made["count"].tasks) == len(made["gate"].tasks) == 1
    assert len(made["fit"].tasks) == len(made["sum"].tasks) == 3
    assert made["fit"].after == (After("count"), After("gate"))


def test_a_failed_row_of_a_sweep_stops_only_its_own_later_steps(desk: Desk) -> None:
    made = jobs(desk, ["fit.rate=0.1,0.2,0.3"])
    assert After("fit", each=True) in made["sum"].after


def test_rows_that_are_partly_done_are_no_longer_paired_by_index(desk: Desk) -> None:
    desk.conduct("fit.rate=0.1", step="fit")
    made = jobs(desk, ["fit.rate=0.1,0.2,0.3"])
    assert len(made["fit"].tasks) == 2
    assert len(made["sum"].tasks) == 3
    assert After("fit") in made["sum"].after


def test_a_grid_crosses_its_axes(desk: Desk) -> None:
    assert len(jobs(desk, ["fit.rate=0.1,0.2", "fit.rounds=1-3"])["fit"].tasks) == 6


def test_the_study_has_the_last_word_about_resources(desk: Desk) -> None:
    made = jobs(desk, (), "run.on.resources.fit.minutes=5")
    assert (made["fit"].resources.minutes, made["fit"].resources.cpus) == (5, 2)
    assert made["sum"].queue.partition == "quick"


def test_resources_of_a_step_that_is_none_are_refused_with_the_nearest_name(desk: Desk) -> None:
    with pytest.raises(StudyError, match="did you mean fit"):
        jobs(desk, (), "run.on.resources.fitt.minutes=5")


def test_a_step_for_a_gpu_goes_where_gpus_are() -> None:
    assert SITE.queue("train", gpu=True).partition == "gpu"
    assert SITE.queue("pack", gpu=False).partition == "cpu"
    assert SITE.queue("sum", gpu=True).partition == "quick"


def test_raw_folders_are_those_that_names_are_relative_to(desk: Desk) -> None:
    assert jobs(desk)["count"].raw == (desk.texts,)
    assert jobs(desk)["fit"].inputs == (desk.plan()["count"].folder,)

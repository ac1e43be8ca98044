"""The sites that come with Labwright can be read, tell where their values come from, and refuse jobs rather than guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.launch import launcher
from labwright.launch.job import Job, Task
from labwright.launch.site import Site, load_site, sites, unknowns
from labwright.runs.errors import StudyError
from labwright.study.resources import Resources

BUNDLED = Path(launcher.__file__).with_name("sites")
NAMES = ("chtc", "generic-htcondor", "generic-server", "generic-slurm", "horeka", "lpc")
PLACE = Path("/srv/mara/runs/jobs/20261121-101500-3f2a")


def job(site: Site, step: str, *, gpu: bool) -> Job:
    queue, task = site.queue(step, gpu=gpu), Task(PLACE.parents[1] / f"{step}-0a1b2c3d4e")
    return Job(step, step, (task,), queue.resources, queue, site.queue_name(step, gpu=gpu), gpu=gpu, trains=step == "train")


def test_these_are_all() -> None:
    assert tuple(sorted(path.stem for path in BUNDLED.glob("*.yaml"))) == NAMES
    assert set(NAMES) <= set(sites())


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_site_can_be_read_and_begins_with_what_it_is_and_what_to_edit(name: str) -> None:
    path = BUNDLED / f"{name}.yaml"
    assert load_site(str(path)).about
    comment = "".join(line for line in path.read_text().splitlines(keepends=True)[:12] if line.startswith("#"))
    assert "edit" in comment
    assert f"sites/{name}.yaml" in comment or "sites/NAME.yaml" in comment


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("horeka", ["login", "queues.cpu.reservation"]),
        ("chtc", ["login", "container.image"]),
        ("lpc", ["login", "container.python"]),
        ("generic-slurm", []),
    ],
)
def test_what_was_not_published_is_unknown(name: str, unknown: list[str]) -> None:
    assert unknowns(load_site(str(BUNDLED / f"{name}.yaml"))) == unknown


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("generic-server", "generic-slurm")])
def test_a_job_that_needs_what_is_unknown_is_refused(name: str) -> None:
    site = load_site(str(BUNDLED / f"{name}.yaml"))
    first = {"horeka": r"queues\.cpu\.reservation", "lpc": r"container\.python"}.get(name, r"container\.image")
    with pytest.raises(StudyError, match=f"^[^ ]*: {first} of site {name} is marked as unknown"):
        launcher.render(site.kind, job(site, "pack", gpu=False), site, PLACE)


def test_horeka_sends_only_what_gains_from_a_gpu_to_gpu_nodes() -> None:
    site = load_site(str(BUNDLED / "horeka.yaml"))
    train, predict, pack = (job(site, step, gpu=step != "pack") for step in ("train", "predict", "pack"))
    assert [one.queue.partition for one in (train, predict, pack)] == ["accelerated", "accelerated", "cpuonly"]
    assert train.ranks_per_node * (train.resources.cpus or 0) == predict.resources.cpus == pack.resources.cpus == 152
    assert (train.resources.gpus, predict.resources.gpus, pack.resources.gpus) == (4, 1, None)
    assert all(one.queue.exclusive and one.resources.minutes == 20 * 60 for one in (train, predict, pack))
    (text,) = launcher.render("slurm", train, site, PLACE).values()
    assert "#SBATCH --reservation=aihero-gpu\n" in text


def test_the_generic_sites_ask_for_little_and_name_nothing() -> None:
    for name in ("generic-slurm", "generic-server"):
        site = load_site(str(BUNDLED / f"{name}.yaml"))
        made = job(site, "train", gpu=True)
        assert made.queue.model_copy(update={"resources": Resources()}) == type(made.queue)()
        (text,) = launcher.render(site.kind, made, site, PLACE).values()
        assert "partition" not in text

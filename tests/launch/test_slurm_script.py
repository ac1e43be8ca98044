"""A Slurm batch script is the text that was agreed upon, and does what it says when bash runs it under twins of Slurm's tools."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from labwright.launch.container import Container
from labwright.launch.job import After, Job, Task
from labwright.launch.site import UNKNOWN, Queue, Site
from labwright.launch.slurm_script import output, render
from labwright.parts.shares import Share
from labwright.runs.errors import StudyError
from labwright.study.resources import Resources
from labwright.testing import schedulers
from labwright.testing.schedulers import Twins

GOLDEN = Path(__file__).with_name("golden") / "slurm"
RUNS = Path("/srv/mara/colony/runs")
PLACE = RUNS / "jobs" / "20261121-101500"
SITE = Site(kind="slurm", name="toy", python="/opt/labwright/bin/python")
CPU = Queue(partition="cpuonly", account="hk-bio")
GPU = Queue(partition="accelerated", account="hk-bio")
TRAIN = Job(
    "train",
    "train",
    (Task(RUNS / "train-1f6a0c92d3"),),
    Resources(cpus=38, memory_gb=120, gpus=1, minutes=20 * 60, scratch_gb=200),
    GPU,
    trains=True,
)
PREDICT = Job(
    "predict",
    "predict",
    tuple(Task(RUNS / "predict-77aa01be55", Share(index, 8)) for index in range(8)),
    Resources(cpus=4, minutes=30),
    CPU,
    after=(After("train"),),
)
IMAGE = "docker://ghcr.io/lab/labwright@sha256:" + "5e" * 32

CASES: dict[str, tuple[Job, Site]] = {
    "plain": (Job("pack", "pack", (Task(RUNS / "pack-0a1b2c3d4e"),), Resources(cpus=8, memory_gb=16, minutes=90), CPU), SITE),
    "gpu": (TRAIN, SITE),
    "shares": (PREDICT, SITE.model_copy(update={"array_limit": 3})),
    "finish": (Job("predict-finish", "predict", (Task(RUNS / "predict-77aa01be55", finish=True),), Resources(cpus=1), CPU), SITE),
    "sweep": (
        Job(
            "train",
            "train",
            tuple(Task(RUNS / f"train-{row}") for row in ("1f6a0c92d3", "2b7d11e0a4")),
            Resources(gpus=1),
            GPU,
            trains=True,
        ),
        SITE,
    ),
    "sweep-shares": (
        Job("predict", "predict", tuple(Task(RUNS / f"predict-{row}", Share(n, 2)) for row in "ab" for n in range(2)), Resources(), CPU),
        SITE,
    ),
    "two-nodes": (
        Job("train", "train", TRAIN.tasks, Resources(cpus=19, memory_gb=60, gpus=4, nodes=2, minutes=2880), GPU, trains=True),
        SITE.model_copy(update={"env": {"NCCL_SOCKET_IFNAME": "ib0"}}),
    ),
    "one-node-four-gpus": (Job("train", "train", TRAIN.tasks, Resources(gpus=4), GPU, trains=True), SITE),
    "container": (
        Job("train", "train", TRAIN.tasks, Resources(gpus=2), GPU, trains=True, raw=(Path("/data/cells"),)),
        Site(
            kind="slurm",
            name="toy",
            scratch="/scratch/$USER",
            container=Container(kind="apptainer", image=IMAGE, gpu=True, binds=("/cvmfs:/cvmfs:ro",)),
        ),
    ),
    "reservation": (
        Job(
            "train",
            "train",
            TRAIN.tasks,
            Resources(minutes=2),
            Queue(
                reservation="aihero-gpu",
                qos="high",
                constraint="a100&nvme",
                exclusive=True,
                attributes={"licenses": "matlab:1", "hint": ""},
            ),
        ),
        SITE.model_copy(update={"requeues": 0}),
    ),
    "elsewhere": (
        Job("train", "train", tuple(Task(RUNS / f"train-{row}") for row in "ab"), Resources(), CPU),
        SITE.model_copy(update={"runs_root": "$WORK/runs", "data_root": {"/data/cells": "$WORK/cells"}}),
    ),
    "odd": (
        Job("train", "train", (Task(Path('/srv/Mára Ü/it\'s 100% "mine" #1/runs/train-1')),), Resources(), CPU),
        SITE.model_copy(
            update={
                "setup": ("module load python/3.11", 'source "$HOME/my venv/bin/activate"  # mine', "# only a remark"),
                "env": {"GREETING": 'it\'s "$USER" `whoami` $(id) \\ 5 $ # done', "OMP_NUM_THREADS": "1"},
            }
        ),
    ),
}


def text(job: Job, site: Site, place: Path = PLACE) -> str:
    (made,) = render(job, site, place).values()
    return made


@pytest.mark.parametrize("name", CASES)
def test_scripts_are_as_agreed(name: str) -> None:
    job, site = CASES[name]
    place = job.tasks[0].run.parent / "jobs" / PLACE.name
    golden = GOLDEN / f"{name}.sbatch"
    made = text(job, site, place)
    if os.environ.get("LABWRIGHT_GOLDEN") == "write":
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", golden], check=True)


@pytest.mark.parametrize("name", CASES)
def test_options_stand_before_the_first_command_and_the_payload_in_all(name: str) -> None:
    job, site = CASES[name]
    lines = text(job, site).splitlines()
    options = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert options == list(range(1, len(options) + 1))
    payload = [line for line in lines if '-m labwright step "$run"' in line]
    assert len(payload) == 1
    assert "CUDA_VISIBLE_DEVICES=" not in "\n".join(lines)


def test_jobs_of_any_number_of_runs_print_to_a_file_of_their_own() -> None:
    assert output(TRAIN, PLACE) == TRAIN.tasks[0].run / "jobs" / "slurm-%j.out"
    assert output(PREDICT, PLACE) == PREDICT.tasks[0].run / "jobs" / "slurm-%A_%a.out"
    assert output(CASES["sweep"][0], PLACE) == PLACE / "slurm-%A_%a.out"


def test_a_short_job_is_warned_at_half_its_time() -> None:
    assert "--signal=B:USR1@60\n" in text(CASES["reservation"][0], SITE)
    assert "--signal=B:USR1@180\n" in text(TRAIN, SITE)


@pytest.mark.parametrize("name", ["partition", "account", "qos", "reservation", "constraint"])
def test_what_a_site_does_not_know_is_not_guessed(name: str) -> None:
    job = Job("train", "train", TRAIN.tasks, Resources(), Queue.model_validate({name: UNKNOWN}), "gpu")
    with pytest.raises(StudyError, match=rf"queues\.gpu\.{name} of site toy is marked as unknown"):
        text(job, SITE)


def test_a_folder_that_slurm_cannot_write_to_is_refused() -> None:
    with pytest.raises(StudyError, match="no folder with"):
        text(Job("train", "train", (Task(Path("/a\\b/runs/train-1")),), Resources(), CPU), SITE)


# ---- What the scripts do ----


class Stage:
    """A place where bash runs batch scripts, with twins of Slurm's tools and of the interpreter."""

    def __init__(self, folder: Path) -> None:
        self.twins: Twins = schedulers.slurm(folder / "bin")
        self.site = Site(kind="slurm", name="toy", python=str(folder / "bin" / "python"), requeues=2)
        self.runs = folder / "colony" / "runs"
        self.place = self.runs / "jobs" / "stamp"
        self.place.mkdir(parents=True)

    def task(self, name: str, share: Share | None = None) -> Task:
        (self.runs / name / "jobs").mkdir(parents=True, exist_ok=True)
        return Task(self.runs / name, share)

    def start(self, job: Job, site: Site | None = None, /, **variables: str) -> subprocess.Popen[str]:
        script = self.place / f"{job.name}.sbatch"
        script.write_text(text(job, site or self.site, self.place))
        environment = {"PATH": self.twins.path, "HOME": "/nowhere", "SLURM_JOB_ID": "1001", **variables}
        return subprocess.Popen(["bash", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, job: Job, site: Site | None = None, /, **variables: str) -> tuple[int, str]:
        process = self.start(job, site, **variables)
        out, err = process.communicate(timeout=30)
        return process.returncode, out + err

    @property
    def scontrol(self) -> list[str]:
        return [" ".join(words) for words in self.twins.calls("scontrol")]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def job_of(*tasks: Task, **more: object) -> Job:
    return Job("train", "train", tasks, Resources(), Queue(), **more)  # type: ignore[arg-type]


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=20)
    return process.returncode


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


@pytest.mark.parametrize("code", [0, 65, 66, 70, 78])
def test_the_code_of_the_payload_is_that_of_the_job(stage: Stage, code: int) -> None:
    stage.twins.runs("python", f"exit {code}")
    assert stage.run(job_of(stage.task("train-1")))[0] == code
    assert stage.twins.calls("python") == [["-m", "labwright", "step", str(stage.runs / "train-1")]]
    assert stage.scontrol == []


WARNED = ("trap 'touch \"${0%/*}/saved\"; exit 75' USR1", 'touch "${0%/*}/up"', "while :; do sleep 0.02; done")
"""A payload that works until it is told to save."""


def test_a_warned_payload_saves_and_its_job_is_queued_again_once(stage: Stage) -> None:
    stage.twins.runs("python", *WARNED)
    process = stage.start(job_of(stage.task("train-1")), SLURM_RESTART_COUNT="1")
    until((stage.twins.folder / "up").exists)
    process.send_signal(signal.SIGUSR1)
    assert ended(process) == 75
    assert (stage.twins.folder / "saved").exists()
    assert stage.scontrol == ["requeue 1001"]


def test_a_task_of_an_array_is_queued_again_by_its_own_name(stage: Stage) -> None:
    stage.twins.runs("python", *WARNED)
    tasks = [stage.task("train-1", Share(index, 3)) for index in range(3)]
    process = stage.start(job_of(*tasks), SLURM_ARRAY_JOB_ID="1001", SLURM_ARRAY_TASK_ID="2", SLURM_JOB_ID="1004")
    until((stage.twins.folder / "up").exists)
    process.send_signal(signal.SIGUSR1)
    assert ended(process) == 75
    assert stage.scontrol == ["requeue 1001_2"]
    assert stage.twins.calls("python")[0][-2:] == ["--share", "2/3"]


def test_who_finds_the_run_busy_looks_again_later(stage: Stage) -> None:
    stage.twins.runs("python", "exit 75")
    assert stage.run(job_of(stage.task("train-1")))[0] == 75
    assert stage.scontrol == ["requeue 1001", "update JobId=1001 StartTime=now+600"]


def test_a_job_is_not_queued_again_for_ever(stage: Stage) -> None:
    stage.twins.runs("python", "exit 75")
    code, said = stage.run(job_of(stage.task("train-1")), SLURM_RESTART_COUNT="2")
    assert code == 75
    assert "as often as the site allows (2 times)" in said
    assert stage.scontrol == []


@pytest.mark.parametrize("mark", ["cancelled", "cancelled.train", "cancelled.train.1"])
def test_a_cancelled_task_neither_begins_nor_comes_back(stage: Stage, mark: str) -> None:
    tasks = [stage.task("train-1", Share(index, 2)) for index in range(2)]
    array = {"SLURM_ARRAY_JOB_ID": "1001", "SLURM_ARRAY_TASK_ID": "1"}
    stage.twins.runs("python", f"touch {stage.place / mark}; exit 75")
    code, said = stage.run(job_of(*tasks), **array)
    assert (code, stage.scontrol) == (75, [])
    assert "cancelled; what is done is kept" in said
    code, said = stage.run(job_of(*tasks), **array)
    assert code == 75
    assert "cancelled before it began" in said
    assert len(stage.twins.calls("python")) == 1


def test_a_mark_for_one_task_leaves_the_others_alone(stage: Stage) -> None:
    (stage.place / "cancelled.train.1").touch()
    (stage.place / "cancelled.pack").touch()
    stage.twins.runs("python", "exit 0")
    tasks = [stage.task("train-1", Share(index, 2)) for index in range(2)]
    assert stage.run(job_of(*tasks), SLURM_ARRAY_JOB_ID="1001", SLURM_ARRAY_TASK_ID="0")[0] == 0


@pytest.mark.parametrize("broken", ["missing", "failing"])
def test_where_scontrol_does_not_help_the_user_is_told(stage: Stage, broken: str) -> None:
    stage.twins.runs("python", "exit 75")
    search: dict[str, str] = {}
    if broken == "missing":
        (stage.twins.folder / "scontrol").unlink()
        # Only this folder is searched: a real one may be installed.
        for tool in ("bash", "cat", "flock"):
            (stage.twins.folder / tool).symlink_to(f"/usr/bin/{tool}")
        search = {"PATH": str(stage.twins.folder)}
    else:
        stage.twins.answers("scontrol", schedulers.Answer(complains="Requested operation is presently disabled", code=1))
    code, said = stage.run(job_of(stage.task("train-1")), **search)
    assert code == 75
    assert "it could not be queued again; submit the study again to go on" in said


def test_what_slurm_ends_saves_and_is_not_queued_again_by_the_script(stage: Stage) -> None:
    # At scancel and pre-emption all processes of the job get TERM, the payload too; another TERM would end it unsaved.
    stage.twins.runs("python", "trap 'exit 143' TERM", *WARNED)
    process = stage.start(job_of(stage.task("train-1")))
    until((stage.twins.folder / "up").exists)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 75
    assert (stage.twins.folder / "saved").exists()
    assert stage.scontrol == []


def test_tasks_of_several_runs_print_into_the_folders_of_their_runs(stage: Stage) -> None:
    stage.twins.runs("python", 'echo "at work on ${!#}"')
    job = job_of(stage.task("train-1"), stage.task("train-2"))
    assert stage.run(job, SLURM_ARRAY_JOB_ID="1001", SLURM_ARRAY_TASK_ID="1")[0] == 0
    printed = stage.runs / "train-2" / "jobs" / "slurm-1001_1.out"
    assert printed.read_text() == f"at work on {stage.runs / 'train-2'}\n"


def ranks(stage: Stage, nodes: int, site: Site | None = None) -> list[Mapping[str, str]]:
    stage.twins.runs("python", 'env >"${0%/*}/env-$SLURM_PROCID"')
    job = Job("train", "train", (stage.task("train-1"),), Resources(gpus=2, nodes=nodes), Queue(), trains=True)
    assert stage.run(job, site, SLURM_JOB_NODELIST="n[1-2]")[0] == 0
    files = [stage.twins.folder / f"env-{rank}" for rank in range(2 * nodes)]
    return [dict(re.findall(r"^(\w+)=(.*)$", file.read_text(), re.M)) for file in files]


def test_processes_that_train_together_know_where_to_meet(stage: Stage) -> None:
    stage.twins.answers("scontrol", "n1\nn2\n")
    seen = ranks(stage, nodes=2)
    assert stage.twins.calls("srun")[0][:4] == ["--mpi=none", "--kill-on-bad-exit=0", "--wait=0", "--nodes=2"]
    assert {one["LABWRIGHT_RANKS"] for one in seen} == {"slurm"}
    assert {one["MASTER_ADDR"] for one in seen} == {"n1"}
    (port,) = {int(one["MASTER_PORT"]) for one in seen}
    assert 20000 <= port < 32000
    assert stage.scontrol == ["show hostnames n[1-2]"]


def test_a_site_may_name_the_meeting_place(stage: Stage) -> None:
    site = stage.site.model_copy(update={"env": {"MASTER_ADDR": "127.0.0.1"}})
    assert {one["MASTER_ADDR"] for one in ranks(stage, nodes=2, site=site)} == {"127.0.0.1"}
    assert stage.scontrol == []


def test_jobs_of_one_node_meet_at_different_ports(stage: Stage) -> None:
    assert len({one["MASTER_PORT"] for _ in range(4) for one in ranks(stage, nodes=1)}) > 1


def test_a_warning_reaches_all_processes_and_is_waited_for(stage: Stage) -> None:
    stage.twins.runs(
        "python",
        "trap 'sleep 0.2; touch \"${0%/*}/saved-$SLURM_PROCID\"; exit 75' USR1",
        'touch "${0%/*}/up-$SLURM_PROCID"',
        "while :; do sleep 0.02; done",
    )
    job = Job("train", "train", (stage.task("train-1"),), Resources(gpus=3), Queue(), trains=True)
    process = stage.start(job)
    until(lambda: len(list(stage.twins.folder.glob("up-*"))) == 3)
    process.send_signal(signal.SIGUSR1)
    assert ended(process) == 75
    assert len(list(stage.twins.folder.glob("saved-*"))) == 3
    assert stage.scontrol == ["requeue 1001"]

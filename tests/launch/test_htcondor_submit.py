"""Submit descriptions are the text that was agreed upon, and mean to HTCondor's own parser what they should."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from labwright.launch.container import Container
from labwright.launch.htcondor_submit import render
from labwright.launch.job import After, Job, Task
from labwright.launch.site import UNKNOWN, Queue, Site
from labwright.parts.shares import Share
from labwright.runs.errors import CommandError, StudyError
from labwright.study.resources import Resources
from labwright.testing import condor_language as language
from tests.launch.condor import evaluate, htcondor2, parsed

GOLDEN = Path(__file__).with_name("golden") / "htcondor"
RUNS = Path("/lab/mara/colony/runs")
PLACE = RUNS / "jobs" / "20261121-101500-3f2a"
DIGEST = "ghcr.io/lab/labwright@sha256:" + "5e" * 32
RAW = Path("/groups/coba/plates/2026 may")
CPU, GPU = Queue(account="COBA"), Queue(account="COBA", attributes={"+WantGPULab": "true", "gpus_minimum_memory": "20GB"})
PACK, TRAIN, MODELS = RUNS / "pack-0a1b2c3d4e", RUNS / "train-1f6a0c92d3", RUNS / "train-2b7d11e0a4"

PLAIN = Site(kind="htcondor", name="lab", python="/opt/labwright/bin/python", scratch="/scratch/$USER")
POOL = Site(kind="htcondor", name="pool", shared_files=False, container=Container(kind="docker", image=f"docker://{DIGEST}"))
CVMFS = Container(kind="apptainer", image="/cvmfs/unpacked.example.org/labwright", python="/opt/venv/bin/python")

CASES: dict[str, tuple[Job, Site]] = {
    "vanilla": (Job("pack", "pack", (Task(PACK),), Resources(cpus=8, memory_gb=16, minutes=90), CPU, raw=(RAW,)), PLAIN),
    "docker": (
        Job(
            "train",
            "train",
            (Task(TRAIN),),
            Resources(cpus=4, memory_gb=16, gpus=1, scratch_gb=20, minutes=3000),
            GPU,
            trains=True,
            inputs=(PACK,),
        ),
        POOL,
    ),
    "raw": (Job("pack", "pack", (Task(PACK),), Resources(), Queue(constraint='(Machine == "coba2000.chtc.wisc.edu")'), raw=(RAW,)), POOL),
    "shares": (
        Job(
            "predict",
            "predict",
            tuple(Task(RUNS / "predict-77aa01be55", Share(index, 3)) for index in range(3)),
            Resources(cpus=2),
            CPU,
            after=(After("train"),),
            inputs=(PACK, TRAIN),
        ),
        POOL.model_copy(update={"array_limit": 2, "checkpoint_minutes": 30}),
    ),
    "finish": (
        Job("predict-finish", "predict", (Task(RUNS / "predict-77aa01be55", finish=True),), Resources(), CPU, inputs=(PACK, TRAIN)),
        POOL,
    ),
    "sweep": (
        Job(
            "evaluate",
            "evaluate",
            (Task(RUNS / "evaluate-aaaaaaaaaa"), Task(RUNS / "evaluate-bbbbbbbbbb")),
            Resources(),
            CPU,
            inputs=(TRAIN, MODELS),
            fed_by={RUNS / "evaluate-aaaaaaaaaa": (TRAIN,), RUNS / "evaluate-bbbbbbbbbb": (MODELS,)},
        ),
        POOL,
    ),
    "cvmfs": (
        Job("train", "train", (Task(TRAIN),), Resources(gpus=2), CPU, trains=True, inputs=(PACK,)),
        Site(
            kind="htcondor",
            name="lpc",
            shared_files=False,
            container=CVMFS,
            setup=("source /cvmfs/setup.sh",),
            env={"OMP_NUM_THREADS": "4"},
        ),
    ),
    "elsewhere": (
        Job("predict", "predict", (Task(RUNS / "predict-77aa01be55"),), Resources(), CPU, inputs=(PACK, TRAIN), raw=(RAW,)),
        POOL.model_copy(update={"runs_root": "/staging/$USER/runs", "data_root": {str(RAW.parent): "/staging/coba"}}),
    ),
    "hello": (Job("hello", "hello", (Task(PLACE / "hello", verb="hello"),), Resources(), GPU, gpu=True), POOL),
}


def texts(name: str) -> dict[str, str]:
    job, site = CASES[name]
    return {f"{name}{Path(file).suffix}": text for file, text in render(job, site, PLACE).items()}


def fill(submit: Any, row: dict[str, str], proc: int) -> None:
    """Set what HTCondor sets for each job."""
    for name, value in {**row, "Cluster": "812", "Process": str(proc)}.items():
        submit[name] = value


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any, Job, Site]:
    """A case with its description, as HTCondor's parser has it."""
    job, site = CASES[request.param]
    (tmp_path / "place").mkdir()
    for name, text in render(job, site, tmp_path / "place").items():
        (tmp_path / "place" / name).write_text(text)
    return request.param, parsed(tmp_path / "place" / f"{job.name}.sub"), job, site


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", [".sub", ".sh", ".tasks"])
def test_the_text_is_as_agreed(name: str, suffix: str) -> None:
    golden, made = GOLDEN / f"{name}{suffix}", texts(name)[f"{name}{suffix}"]
    if os.environ.get("LABWRIGHT_GOLDEN") == "write":
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")
    if suffix == ".sh":
        subprocess.run(["bash", "-n", golden], check=True)


def test_htcondor_reads_every_command_and_a_row_for_each_task(case: tuple[str, Any, Job, Site]) -> None:
    _, submit, job, site = case
    rows = list(submit.itemdata())
    assert [row["run"] for row in rows] == [task.run.name for task in job.tasks]
    assert [row.get("share") for row in rows] == [str(task.share) if task.share else None for task in job.tasks]
    assert ("files" in rows[0]) == (not site.shared_files)
    fill(submit, rows[0], 0)
    told = {name.lower(): submit.expand(name) for name in submit}
    assert told["arguments"].split() == [
        job.tasks[0].run.name,
        *(job.tasks[0].words if site.shared_files or not job.tasks[0].finish else ()),
    ]
    assert not any("$(" in value for value in told.values())


def test_output_error_and_log_lie_in_the_run_folder_and_no_two_have_one_name(case: tuple[str, Any, Job, Site]) -> None:
    _, submit, job, _ = case
    seen = []
    for proc, (row, task) in enumerate(zip(submit.itemdata(), job.tasks, strict=True)):
        fill(submit, row, proc)
        assert submit.expand("output") == str(task.run / "jobs" / f"condor-812.{proc}.out")
        assert submit.expand("error") == str(task.run / "jobs" / f"condor-812.{proc}.err")
        assert submit.expand("log") == str(task.run / "jobs" / "condor-812.log")
        seen.append(submit.expand("output"))
    assert len(set(seen)) == len(seen)


def test_the_twins_read_a_description_as_htcondor_does(tmp_path: Path, case: tuple[str, Any, Job, Site]) -> None:
    _, submit, job, _ = case
    commands, rows = language.description(tmp_path / "place" / f"{job.name}.sub")
    assert rows == list(submit.itemdata())
    assert commands.items() <= {name.lower().replace("my.", "+"): value for name, value in submit.items()}.items()


def test_shares_take_only_what_tells_of_the_run_and_come_home_with_what_they_made() -> None:
    rows = texts("shares")["shares.tasks"].splitlines()
    assert rows[1] == ("predict-77aa01be55 1/3 predict-77aa01be55/step.json, predict-77aa01be55/journal, pack-0a1b2c3d4e, train-1f6a0c92d3")


def test_a_row_of_a_sweep_takes_along_only_what_feeds_it() -> None:
    rows = texts("sweep")["sweep.tasks"].splitlines()
    assert rows == [
        "evaluate-aaaaaaaaaa evaluate-aaaaaaaaaa, train-1f6a0c92d3",
        "evaluate-bbbbbbbbbb evaluate-bbbbbbbbbb, train-2b7d11e0a4",
    ]


@pytest.mark.parametrize(
    ("facts", "held", "removed"),
    [
        ({"ExitCode": 0}, False, True),
        ({"ExitCode": 130}, False, True),
        ({"ExitCode": 75}, False, False),
        *(({"ExitCode": code}, True, False) for code in (64, 65, 66, 70, 78)),
        ({"ExitCode": 1}, False, False),
        ({"ExitCode": 1, "NumJobCompletions": 4}, True, False),
        ({"ExitCode": 75, "NumJobCompletions": 100}, False, False),
        ({"ExitCode": 75, "NumJobCompletions": 101}, True, False),
        ({"ExitBySignal": True, "ExitSignal": 9}, False, False),
        ({"ExitBySignal": True, "ExitSignal": 9, "NumJobCompletions": 4}, True, False),
    ],
)
def test_what_exit_codes_lead_to(facts: dict[str, Any], held: bool, removed: bool) -> None:
    submit = htcondor2.Submit(texts("docker")["docker.sub"].partition("\nqueue ")[0])
    known = {"ExitBySignal": False, "NumJobCompletions": 1, **facts}
    assert evaluate(submit["on_exit_hold"], known) is held
    assert evaluate(submit["on_exit_remove"], known) is removed
    reason = evaluate(submit["on_exit_hold_reason"], known)
    assert str(facts.get("ExitCode", facts.get("ExitSignal"))) in reason
    assert evaluate(submit["on_exit_hold_subcode"], known) == facts.get("ExitCode", 137)


def test_a_job_goes_nowhere_with_a_value_that_nobody_knows() -> None:
    job = CASES["docker"][0]
    for said in ({"account": UNKNOWN}, {"constraint": UNKNOWN}, {"attributes": {"+Project": UNKNOWN}}):
        with pytest.raises(StudyError, match=rf"queues\.train\.{next(iter(said))}.* marked as unknown"):
            render(Job(job.name, job.step, job.tasks, job.resources, Queue.model_validate(said), "train"), POOL, PLACE)


def test_several_nodes_are_refused() -> None:
    job = Job("train", "train", (Task(TRAIN),), Resources(nodes=2), CPU, trains=True)
    with pytest.raises(StudyError, match="on HTCondor a training has one"):
        render(job, POOL, PLACE)


def test_variables_in_the_name_of_an_image_are_refused() -> None:
    site = POOL.model_copy(update={"container": Container(kind="apptainer", image="$HOME/labwright.sif")})
    with pytest.raises(StudyError, match="no variables"):
        render(CASES["docker"][0], site, PLACE)


@pytest.mark.parametrize("runs", ["/lab/mara/a,b", '/lab/mara/"x"', "/lab/mara/$(x)", "/lab/mara/a;b"])
def test_folders_that_a_description_cannot_name_are_refused(runs: str) -> None:
    job = Job("pack", "pack", (Task(Path(runs) / "pack-0a1b2c3d4e"),), Resources(), CPU)
    with pytest.raises(CommandError, match="in its name"):
        render(job, POOL, PLACE)


def test_two_raw_folders_of_one_name_are_refused_and_one_within_another_goes_with_it() -> None:
    def made(*raw: str) -> str:
        return render(Job("pack", "pack", (Task(PACK),), Resources(), CPU, raw=tuple(map(Path, raw))), POOL, PLACE)["pack.tasks"]

    assert made("/data/a", "/data/a/b") == f"{PACK.name} {PACK.name}, /data/a\n"
    with pytest.raises(StudyError, match="two folders named b"):
        made("/data/a/b", "/data/c/b")
    with pytest.raises(StudyError, match="lies within the raw data"):
        made("/lab/mara")
    with pytest.raises(CommandError, match="':' in its name"):
        made("/data/a:b")

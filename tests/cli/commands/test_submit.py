"""``submit``: what is missing is queued, job by job; what ``run`` would refuse is refused, and nothing is written then."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import labwright
from labwright.launch import hello
from labwright.launch.findings import MOVED_TAG
from labwright.launch.launcher import CANCELLED, FAILED, RUNNING
from labwright.launch.prepare import STAMP
from labwright.launch.submission import Submission, submissions
from labwright.runs.errors import FaultError
from labwright.runs.journal import Journal
from labwright.runs.run import Run
from tests.cli.conftest import SITE
from tests.cli.scheduler import Scheduler


def run_folders() -> list[str]:
    return sorted(path.parent.name for path in Path("runs").glob("*/step.json"))


def test_steps_are_jobs_that_depend_on_each_other(labwright, study: Path, slurm: Scheduler) -> None:
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 0
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0][:3] == ["queued", "on", "generic-slurm;"]
    assert lines[1] == ["job", "id", "after", "tasks", "runs"]
    assert [line[:2] for line in lines[2:6]] == [["pack", "100"], ["check", "101"], ["train", "102"], ["evaluate", "103"]]
    assert lines[4][2:4] == ["pack,", "check"]
    assert "  labwright logs study.yaml pack -f" in said.out.splitlines()
    (made,) = submissions(Path("runs"))
    assert {path.name for path in made.folder.iterdir()} == {
        "submission.json",
        *(f"{name}.sbatch" for name in ("pack", "check", "train", "evaluate")),
    }
    assert all(Path("runs", line[-1], "step.json").is_file() for line in lines[2:6])


def test_threads_follow_the_cores_of_the_job(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm", "--set", "run.on.resources={train: {cpus: 3}}")
    threads = {run.step: run.description["machine"]["threads"] for run in map(Run.open, Path("runs").glob("*-*"))}
    assert threads["train"] == 3
    assert threads["pack"] == 4  # of the site
    slurm.say_all(CANCELLED)
    labwright("submit", "study.yaml", "--on", "slurm", "--set", "train.guess=2", "--set", "run.on.threads=1")
    assert sorted(Run.open(folder).description["machine"]["threads"] for folder in Path("runs").glob("train-*")) == [1, 3]


def test_a_dry_run_shows_the_files_that_are_sent_later_and_writes_nothing(labwright, study: Path, slurm: Scheduler) -> None:
    shown = labwright("submit", "study.yaml", "--on", "slurm", "--dry-run", "--json").json["files"]
    assert not Path("runs").exists()
    assert slurm.submitted == []
    said = labwright("submit", "study.yaml", "--on", "slurm", "--dry-run").out
    assert f"==> runs/jobs/{STAMP}/train.sbatch <==\n#!/bin/bash\n" in said
    labwright("submit", "study.yaml", "--on", "slurm")
    (made,) = submissions(Path("runs"))
    for name, text in shown.items():
        assert (made.folder / name).read_text() == text.replace(STAMP, made.folder.name)


def test_the_study_may_name_the_site(labwright, study: Path, slurm: Scheduler) -> None:
    Path("sites").mkdir()
    Path("sites/mine.yaml").write_text("kind: slurm\nqueues: {cpu: {partition: night}}\n")
    said = labwright("submit", "study.yaml", "--set", "run.on.kind=mine", "--json").json
    assert said["site"] == "mine"
    assert "--partition=night" in Path(said["submission"], "pack.sbatch").read_text()


def test_what_is_done_is_not_queued(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("run", "study.yaml", "--step", "train", "--quiet")
    assert [job["job"] for job in labwright("submit", "study.yaml", "--on", "slurm", "--json").json["jobs"]] == ["evaluate"]
    slurm.work(submissions(Path("runs"))[-1])
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert (said.code, said.out) == (0, "everything is done with these options; there is nothing to queue\n")
    assert len(slurm.submitted) == 1


def test_no_training_is_queued_unasked(labwright, study: Path, slurm: Scheduler) -> None:
    said = labwright("submit", "study.yaml", "--on", "slurm", "--step", "evaluate")
    assert said.code == 66
    assert "no training starts unasked" in said.err
    assert not Path("runs").exists()
    assert labwright("submit", "study.yaml", "--on", "slurm", "--step", "train").code == 0


def test_a_closed_gate_queues_nothing(labwright, study: Path, slurm: Scheduler) -> None:
    Path("data/d.txt").write_text("-1")
    labwright("check", "study.yaml")
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 65
    assert "check found 1 error" in said.err
    assert slurm.submitted == []


def test_a_run_is_not_queued_twice(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 75
    assert "job 100 has this run already; it is queued" in said.err
    assert "labwright cancel 100" in said.err
    assert len(submissions(Path("runs"))) == 1
    slurm.say_all(CANCELLED)
    assert labwright("submit", "study.yaml", "--on", "slurm").code == 0


def test_a_job_that_nothing_is_heard_of_keeps_its_run_until_it_is_given_up(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    slurm.states.clear()
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 75
    assert "job 100 may still have this run; the scheduler says nothing of it. `labwright cancel 100` gives it up" in said.err
    slurm.answers = False
    assert labwright("cancel", "study.yaml").code == 0
    assert labwright("submit", "study.yaml", "--on", "slurm").code == 0


def test_a_run_that_was_seen_to_fail_waits_for_no_word_of_the_scheduler(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm", "--step", "pack")
    slurm.states.clear()
    (run,) = Path("runs").glob("pack-*")
    journal = Journal(run / "journal" / "0001.jsonl")
    journal.record("start", attempt=1)
    journal.record("end", code=65, reason="a number is missing")
    journal.close()
    assert labwright("submit", "study.yaml", "--on", "slurm").code == 0


def test_two_at_once_queue_a_study_once(study: Path) -> None:
    """Processes of their own: what keeps them apart is a lock of the file system."""
    script = f"""
import sys, time
sys.path.insert(0, {str(SITE)!r})
from labwright.cli.main import main
from labwright.launch import slurm
from tests.cli.scheduler import Scheduler
scheduler = slurm.LAUNCHER = Scheduler()
take = scheduler.submit
def slowly(*words):
    time.sleep(1)
    take(*words)
scheduler.submit = slowly
sys.exit(main(["submit", "study.yaml", "--on", "slurm"]))
"""
    path = os.pathsep.join([str(Path(labwright.__file__).parents[1]), str(Path(__file__).parents[3])])
    both = [
        subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 75], said
    assert any("job 100 may still have this run" in text for text in said)
    assert len(submissions(Path("runs"))) == 1


def test_a_study_that_was_queued_twice_is_cancelled_twice(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    before = dict(slurm.states)
    slurm.say_all(CANCELLED)
    labwright("submit", "study.yaml", "--on", "slurm")
    slurm.states |= before
    assert labwright("submit", "study.yaml", "--on", "slurm").code == 75
    cancelled = labwright("cancel", "study.yaml", "--json").json["cancelled"]
    assert sorted(job["job"] for job in cancelled) == ["100", "101", "102", "103", "110", "111", "112", "113"]


def test_a_sweep_is_one_array_a_run_a_task(labwright, study: Path, slurm: Scheduler) -> None:
    said = labwright("submit", "study.yaml", "--on", "slurm", "--sweep", "train.guess=1-3", "--sweep", "check.smallest=0,-1", "--json").json
    tasks = {job["job"]: job["tasks"] for job in said["jobs"]}
    assert tasks == {"pack": 1, "check": 2, "train": 3, "evaluate": 3}
    labels = {Run.open(Path("runs", name)).description["sweep"] for name in said["jobs"][2]["runs"]}
    assert labels == {"guess=1 smallest=0", "guess=2 smallest=0", "guess=3 smallest=0"}


def test_what_is_offered_after_a_sweep_works(labwright, study: Path, slurm: Scheduler) -> None:
    words = ["submit", "study.yaml", "--on", "slurm", "--set", "run.name=two words", "--sweep", "train.guess=1,2", "--runs", "my runs"]
    said = labwright(*words).out
    offered = [shlex.split(line)[1:] for line in said[said.index("next:") :].splitlines()[1:]]
    logs, report = (next(line for line in offered if line[0] == verb) for verb in ("logs", "report"))
    assert report == ["report", "study.yaml", "--runs", "my runs", "--set", "run.name=two words", "--sweep", "train.guess=1,2"]
    slurm.work(submissions(Path("my runs"))[-1])
    followed = labwright(*logs)
    assert followed.code == 0
    assert "==> 0001.log <==" in followed.out
    assert logs[-2] in {path.name for path in Path("my runs").glob("train-*")}
    assert labwright(*report, "--json").json["not_done"] == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--on", "nowhere"], 66, "there is no site 'nowhere'. There are: local, slurm, htcondor"),
        (["--on", "slurm", "--gpu", "1"], 64, "the GPUs of site generic-slurm are dealt out by its scheduler"),
        (["--on", "local", "--gpu", "one"], 64, "'one' is not a list of numbers"),
        (["--on", "htcondor"], 78, "marked as unknown"),
        (["--step", "trian"], 64, "Did you mean train?"),
        (["--sweep", "train.gess=1,2"], 78, "train.guess"),
    ],
)
def test_mistakes_are_sentences(labwright, study: Path, slurm: Scheduler, words: list[str], code: int, text: str) -> None:
    said = labwright("submit", "study.yaml", *words)
    assert said.code == code
    assert text in said.err
    assert not Path("runs").exists()


def test_a_study_is_needed(labwright) -> None:
    said = labwright("submit", "--on", "slurm")
    assert said.code == 64
    assert "STUDY is missing" in said.err


def test_a_refusal_of_the_scheduler_leaves_what_it_took_recorded(labwright, study: Path, slurm: Scheduler) -> None:
    def refuse(made) -> None:
        raise OSError(28, "No space left on device", str(made.folder))

    slurm.on_submit = refuse
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 70
    assert "disk is full" in said.err.lower() or "No space left" in said.err
    assert [job.id for job in submissions(Path("runs"))[0].jobs] == ["100", "101", "102", "103"]


def test_a_refusal_leaves_no_run_behind_that_no_job_has(labwright, study: Path, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    labwright("run", "study.yaml", "--step", "pack", "--quiet")
    before = run_folders()

    def refuse(made: Submission, *_: object) -> None:
        made.queued("check", "100")
        raise FaultError("sbatch: error: Invalid account")

    monkeypatch.setattr(slurm, "submit", refuse)
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 70
    assert "Invalid account" in said.err
    (check,) = set(run_folders()) - set(before)
    assert check.startswith("check-")
    assert {row["step"]: row["state"] for row in labwright("plan", "study.yaml", "--json").json}["train"] == "absent"


def test_the_image_is_pinned_and_a_moved_tag_is_told(labwright, study: Path, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sites").mkdir()
    Path("sites/mine.yaml").write_text("kind: slurm\nscratch: /scratch\ncontainer: {kind: apptainer, image: 'docker://lab/wright:1'}\n")
    asked = []

    def pinned(image: str, recorded: str | None) -> tuple[str, object]:
        asked.append((image, recorded))
        digest = f"docker://lab/wright@sha256:{str(len(asked)) * 64}"
        return digest, MOVED_TAG.at(image, "it meant another image") if recorded else None

    monkeypatch.setattr("labwright.launch.registry.pinned", pinned)
    assert "LCH001" not in labwright("submit", "study.yaml", "--on", "mine").err
    slurm.say_all(FAILED)
    said = labwright("submit", "study.yaml", "--on", "mine")
    assert "warning LCH001 docker://lab/wright:1: it meant another image" in said.err
    first, second = submissions(Path("runs"))
    assert asked == [("docker://lab/wright:1", None), ("docker://lab/wright:1", first.image)]
    assert second.tag == "docker://lab/wright:1"
    assert second.findings[0]["code"] == "LCH001"
    assert "@sha256:2222" in (second.folder / "pack.sbatch").read_text()


def test_hello_comes_back_with_what_a_machine_is(labwright, study: Path, slurm: Scheduler) -> None:
    slurm.on_submit = lambda made: hello.look(made.jobs[0].tasks[0].run) and None
    said = labwright("submit", "--hello", "--on", "slurm")
    assert said.code == 0
    names = [line.split()[0] for line in said.out.splitlines()[2:]]
    assert names[:4] == ["host", "CPU", "memory", "GPU"]
    assert {"disk", "Python"} <= set(names)
    assert slurm.cancelled == []
    assert labwright("submit", "--hello", "--on", "slurm", "--json").json["host"]
    assert run_folders() == []


def test_hello_tells_the_last_words_of_a_job_that_failed(labwright, study: Path, slurm: Scheduler) -> None:
    def fail(made) -> None:
        (folder := made.jobs[0].tasks[0].run / "jobs").mkdir()
        (folder / "slurm-100.out").write_text("module: command not found\nlabwright: this setup line failed\n\n")
        slurm.say_all(FAILED)
        slurm.say(made.jobs[0], 0, FAILED, "exit code 78")

    slurm.on_submit = fail
    said = labwright("submit", "--hello", "--on", "slurm")
    assert said.code == 70
    assert "without an answer: labwright: this setup line failed" in said.err


def test_hello_has_an_end(labwright, study: Path, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labwright.cli.commands.submit.HELLO_WITHIN_S", 0.2)
    said = labwright("submit", "--hello", "--on", "slurm")
    assert said.code == 75
    assert "job 100: queued ((Priority))" in said.err
    assert "no machine answered" in said.err
    assert slurm.cancelled == [("hello", None)]


def test_a_run_that_works_without_a_job_is_not_queued(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    slurm.states.clear()
    run = next(Path("runs").glob("pack-*"))
    (run / "journal").mkdir()
    start = {"t": time.time(), "kind": "start", "pid": 1, "host": "elsewhere", "attempt": 1}
    (run / "journal" / "0001.jsonl").write_text(json.dumps(start) + "\n")
    said = labwright("submit", "study.yaml", "--on", "slurm")
    assert said.code == 75
    assert "process 1 on elsewhere" in said.err
    assert RUNNING in labwright("status", "study.yaml").out

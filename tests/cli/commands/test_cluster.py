"""``status``, ``cancel``, ``attach``, ``logs`` and ``run --on`` of runs that a scheduler has."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from labwright.launch.launcher import CANCELLED, DONE, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen
from labwright.runs.journal import Journal
from tests.cli.scheduler import Scheduler, jobs


@pytest.fixture
def queued(labwright, study: Path, slurm: Scheduler) -> dict[str, Any]:
    """The jobs of a study that was submitted, by name."""
    assert labwright("submit", "study.yaml", "--on", "slurm", "--json").code == 0
    return jobs(Path("runs"))


def states(labwright) -> dict[str, str]:
    return {row["run"].split("-")[0]: row["state"] for row in labwright("status", "study.yaml", "--json").json}


def begin(run: Path, attempt: str = "0001") -> Journal:
    journal = Journal(run / "journal" / f"{attempt}.jsonl")
    journal.record("start", attempt=1, pid=os.getpid(), host="node1", share="0/1")
    return journal


def test_status_shows_jobs_beside_runs(labwright, queued, slurm: Scheduler) -> None:
    slurm.say(queued["pack"], 0, RUNNING, host="node1")
    slurm.say(queued["check"], 0, HELD, "JobHeldUser")
    rows = {row["run"].split("-")[0]: row for row in labwright("status", "study.yaml", "--json").json}
    assert rows["pack"]["state"] == "running"
    assert (rows["pack"]["job"], rows["pack"]["scheduler"], rows["pack"]["host"]) == (["100"], "running", "node1")
    assert (rows["check"]["state"], rows["check"]["reason"]) == ("held", "JobHeldUser")
    assert rows["train"]["state"] == "queued"
    assert "JobHeldUser" in labwright("status", "study.yaml").out


def test_silence_of_the_scheduler_makes_nothing_dead(labwright, queued, slurm: Scheduler) -> None:
    for slurm.answers in (True, False):
        slurm.states.clear()
        assert set(states(labwright).values()) == {"unknown"}
    # What the journal tells needs no scheduler.
    begin(queued["pack"].tasks[0].run).close()
    assert states(labwright)["pack"] == "running"


def test_the_journal_wins_over_the_scheduler(labwright, queued, slurm: Scheduler) -> None:
    slurm.say_all(FAILED, "NODE_FAIL")
    journal = begin(queued["pack"].tasks[0].run)
    assert states(labwright) == {"pack": "running", "check": "failed", "train": "failed", "evaluate": "failed"}
    journal.record("end", code=75, reason="SIGTERM came")
    journal.close()
    assert states(labwright)["pack"] == "stopped"
    slurm.say_all(QUEUED, "BeginTime")
    assert states(labwright)["pack"] == "resuming"
    slurm.say_all(DONE)
    labwright("run", "study.yaml", "--quiet")
    assert set(states(labwright).values()) == {"done"}


def test_without_a_study_all_jobs_are_listed(labwright, queued, slurm: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm.say(queued["pack"], 0, RUNNING, host="node1")
    slurm.foreign = {"100": Seen("100", RUNNING), "77_3": Seen("77_3", QUEUED, "Priority", "", "somebody's")}
    monkeypatch.chdir(tmp_path)
    rows = labwright("status", "--json").json
    assert [(row["job"], row["name"], row["state"]) for row in rows] == [
        ("100", "pack", "running"),
        ("101", "check", "queued"),
        ("102", "train", "queued"),
        ("103", "evaluate", "queued"),
        ("77_3", "somebody's", "queued"),
    ]
    assert {row["site"] for row in rows} == {"generic-slurm", "slurm"}
    out = labwright("status").out
    assert "generic-slurm: lab/study.yaml" in out
    assert "slurm: jobs that Labwright did not submit" in out
    assert out.splitlines()[-1] == "the runs of one study: labwright status STUDY"


def test_jobs_that_are_over_leave_the_list_after_a_day(labwright, queued, slurm: Scheduler) -> None:
    slurm.say_all(CANCELLED)
    assert len(labwright("status", "--json").json) == 4
    path = queued["pack"].folder / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"when": "2020-01-01T00:00:00+00:00"}))
    assert labwright("status", "--json").json == []
    assert "no job is queued" in labwright("status").out
    # What was seen to be over is so, whatever is heard of it later.
    slurm.answers = False
    assert labwright("status", "--json").json == []
    slurm.answers = True
    slurm.say(queued["train"], 0, QUEUED)
    assert [row["name"] for row in labwright("status", "--json").json] == ["train"]


def test_no_scheduler_is_asked_for_ever(labwright, queued, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    poll = slurm.poll

    def note(those: Any) -> Any:
        asked.append([job.name for job in those or ()])
        return poll(those)

    monkeypatch.setattr(slurm, "poll", note)
    slurm.say(queued["pack"], 0, DONE)
    slurm.say(queued["check"], 0, FAILED)
    labwright("status")
    assert asked[0] == ["pack", "check", "train", "evaluate"]
    for path in queued["pack"].folder.glob("over.*.json"):
        os.utime(path, (0, 0))
    asked.clear()
    labwright("status")
    assert asked[0] == ["train", "evaluate"]
    path = queued["pack"].folder / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"when": "2020-01-01T00:00:00+00:00"}))
    asked.clear()
    assert "2 jobs were submitted more than 30 days ago and never seen to end; nobody was asked about them" in labwright("status").out
    assert not any(asked)


def test_a_study_is_cancelled_the_last_job_first(labwright, queued, slurm: Scheduler) -> None:
    slurm.say(queued["pack"], 0, DONE)
    said = labwright("cancel", "study.yaml")
    assert said.code == 0
    assert [name for name, _ in slurm.cancelled] == ["evaluate", "train", "check"]
    assert "What was saved is kept" in said.out
    again = labwright("cancel", "study.yaml")
    assert (again.code, again.err) == (0, "nothing of it is queued or running\n")


def test_a_run_and_a_task_are_cancelled_by_name(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm", "--sweep", "train.guess=1-3")
    train = jobs(Path("runs"))["train"]
    assert labwright("cancel", train.tasks[1].run).code == 0
    assert slurm.cancelled == [("train", (1,))]
    assert labwright("cancel", "102_2", "--json").json["cancelled"][0]["runs"] == [train.tasks[2].run.name]
    assert labwright("cancel", "100").code == 0
    assert slurm.cancelled[1:] == [("train", (2,)), ("pack", None)]
    assert labwright("cancel", "102").code == 0
    assert slurm.cancelled[3:] == [("train", (0,))]
    said = labwright("cancel", "4711")
    assert said.code == 66
    assert "there is no study, run or job '4711'" in said.err


def test_what_could_not_be_cancelled_is_said(labwright, queued, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job: Any, indices: Any = None) -> None:
        raise KeyError

    slurm.answers = False
    said = labwright("cancel", "study.yaml")
    # For all that is known they may be over.
    assert said.code == 0
    assert "job 103 may be over: scancel gave no answer" in said.err
    poll = slurm.poll
    slurm.answers = True
    seen = poll([queued["pack"]])
    slurm.answers = False
    monkeypatch.setattr(slurm, "poll", lambda _: seen)
    said = labwright("cancel", "study.yaml")
    assert said.code == 70
    assert "scancel gave no answer" in said.err


def test_attach_becomes_the_schedulers_command(labwright, queued, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []

    def become(file: str, words: list[str]) -> None:
        became.append(words)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvp", become)
    said = labwright("attach", "study.yaml", "pack")
    assert said.code == 66
    assert "nothing runs there" in said.err
    assert "queued, job 100: (Priority)" in said.err
    slurm.say(queued["pack"], 0, RUNNING, host="node1")
    for words, command in (([], ["bash"]), (["--", "nvidia-smi", "--loop=1", "-q"], ["nvidia-smi", "--loop=1", "-q"])):
        with pytest.raises(SystemExit):
            labwright("attach", "study.yaml", *words)
        assert became.pop() == ["srun", "--jobid=100", *command]
    assert labwright("attach", "study.yaml", "pack", "--task", "5").code == 66
    assert labwright("attach", "study.yaml", "pack", "--task", "x").code == 64


def test_attach_says_that_a_run_has_no_job(labwright, study: Path) -> None:
    labwright("pack", "study.yaml", "--quiet")
    said = labwright("attach", "study.yaml", "pack")
    assert said.code == 66
    assert "no job was submitted for it" in said.err


def test_logs_of_a_job_come_before_those_of_the_run(labwright, queued, slurm: Scheduler) -> None:
    run = queued["pack"].tasks[0].run
    assert labwright("logs", run).code == 66
    (run / "jobs").mkdir(exist_ok=True)
    for number in (9, 10):
        (run / "jobs" / f"slurm-{number}.out").write_text(f"job {number}\n")
    said = labwright("logs", "study.yaml", "pack")
    assert said.out == "==> slurm-9.out <==\njob 9\n==> slurm-10.out <==\njob 10\n"
    begin(run).close()
    (run / "journal" / "0001.log").write_text("the run\n")
    assert labwright("logs", run).out == "==> 0001.log <==\nthe run\n"
    assert "job 10" in labwright("logs", run, "--job").out


def test_the_run_that_a_job_has_is_followed_and_none_without_one(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("export", "study.yaml", "--to", "sbatch", "--set", "train.guess=7", "--folder", "by-hand")
    (left,) = Path("runs").glob("train-*")
    said = labwright("logs", "study.yaml", "train", "-f")
    assert (said.code, said.out) == (0, "")
    assert said.err.splitlines() == [f"following {left.name}", f"{left.name}: no process works on it, and no job has it"]
    labwright("submit", "study.yaml", "--on", "slurm", "--sweep", "train.guess=1-3")
    train = jobs(Path("runs"))["train"]
    slurm.say_all(CANCELLED)
    slurm.say(train, 1, QUEUED)
    threading.Timer(0.3, lambda: begin(train.tasks[1].run).record("end", code=65, reason="")).start()
    said = labwright("logs", "study.yaml", "train", "-f")
    assert said.err.splitlines()[0] == f"following {train.tasks[1].run.name}, one of 4 runs that fit"
    slurm.say(train, 2, RUNNING)
    threading.Timer(0.3, lambda: begin(train.tasks[2].run).record("end", code=65, reason="")).start()
    said = labwright("logs", "study.yaml", "train", "-f")
    assert said.err.splitlines()[0] == f"following {train.tasks[2].run.name}, one of 4 runs that fit"


def test_following_waits_in_the_queue_and_goes_on_after_a_requeue(
    labwright, queued, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labwright.cli.commands.logs.POLL_S", 0.02)
    monkeypatch.setattr("labwright.cli.commands.logs.ASK_AGAIN_S", 0.02)
    job = queued["pack"]
    run = job.tasks[0].run

    def attempt(number: str, code: int) -> None:
        slurm.say(job, 0, RUNNING, host="node1")
        journal = begin(run, number)
        (run / "journal" / f"{number}.log").write_text(f"attempt {number}\n")
        time.sleep(0.2)
        if code == 75:
            slurm.say(job, 0, QUEUED, "BeginTime")
        journal.record("end", code=code, reason="")
        journal.close()

    def work() -> None:
        time.sleep(0.3)
        attempt("0001", 75)
        time.sleep(0.3)
        attempt("0002", 65)
        slurm.say(job, 0, FAILED)

    worker = threading.Thread(target=work)
    worker.start()
    said = labwright("logs", "study.yaml", "pack", "-f")
    worker.join()
    assert said.code == 0
    assert said.out == "==> 0001.log <==\nattempt 0001\n==> 0002.log <==\nattempt 0002\n"
    assert "queued, job 100 (Priority)" in said.err
    assert "resuming, job 100 BeginTime" in said.err


def test_files_of_another_machine_are_followed_by_the_schedulers_command(
    labwright, queued, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labwright.cli.commands.logs.POLL_S", 0.02)
    slurm.say(queued["pack"], 0, RUNNING)
    slurm.tails = ["sh", "-c", "echo from afar"]
    threading.Timer(0.3, lambda: begin(queued["pack"].tasks[0].run).record("end", code=65, reason="")).start()
    said = labwright("logs", "study.yaml", "pack", "-f")
    assert said.out == "from afar\n"


def test_an_earlier_attempt_ends_no_following_of_a_job_elsewhere(
    labwright, queued, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("labwright.cli.commands.logs.POLL_S", 0.02)
    monkeypatch.setattr("labwright.cli.commands.logs.ASK_AGAIN_S", 0.1)
    job = queued["pack"]
    (run := job.tasks[0].run).joinpath("journal").mkdir()
    run = run.resolve()
    first = begin(run)
    first.record("end", code=75, reason="evicted")
    first.close()
    slurm.say(job, 0, RUNNING)
    slurm.tails = ["sh", "-c", f"echo from afar; echo >> {tmp_path}/tailed"]

    def work() -> None:
        time.sleep(0.3)
        slurm.answers = False
        time.sleep(0.15)
        slurm.answers = True
        slurm.say(job, 0, QUEUED, "evicted")
        time.sleep(0.3)
        journal = begin(run, "0002")
        (run / "journal" / "0002.log").write_text("brought home\n")
        journal.record("end", code=65, reason="")
        journal.close()
        slurm.say(job, 0, DONE)

    worker = threading.Thread(target=work)
    worker.start()
    said = labwright("logs", "study.yaml", "pack", "-f")
    worker.join()
    assert said.out.startswith("from afar\n")
    assert said.out.endswith("==> 0002.log <==\nbrought home\n")
    assert "resuming, job 100 evicted" in said.err
    # A command that ends at once is not called again and again.
    assert len((tmp_path / "tailed").read_text()) < 8


def test_a_foreground_run_follows_to_the_end(labwright, study: Path, slurm: Scheduler) -> None:
    slurm.on_submit = slurm.work
    said = labwright("run", "study.yaml", "--on", "slurm")
    assert said.code == 0
    assert said.out.splitlines()[0] == "queued on generic-slurm: pack 100, check 101, train 102, evaluate 103"
    assert "read 3 numbers" in said.out
    assert "distance_mm  1.417" in said.out
    assert slurm.cancelled == []
    again = labwright("run", "study.yaml", "--on", "slurm", "--json").json
    assert [run["fresh"] for run in again["runs"]] == [False] * 4
    assert len(slurm.submitted) == 1


def test_a_study_that_names_a_site_is_run_there(labwright, study: Path, slurm: Scheduler) -> None:
    slurm.on_submit = slurm.work
    said = labwright("run", "study.yaml", "--set", "run.on.kind=slurm", "--sweep", "train.guess=1,2", "--quiet")
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[1][:3] == ["train.guess", "state", "distance_mm"]
    assert [row[:3] for row in rows[2:]] == [["1", "done", "1.417"], ["2", "done", "0.4167"]]
    assert len(slurm.submitted) == 1


def test_a_foreground_run_ends_with_the_code_of_the_step_that_failed(labwright, study: Path, slurm: Scheduler) -> None:
    slurm.on_submit = slurm.work
    Path("data/d.txt").write_text("-1")
    said = labwright("run", "study.yaml", "--on", "slurm")
    assert said.code == 65
    assert "check found 1 error" in said.err
    assert "train-" in said.out
    assert "cancelled" in said.out


def test_a_job_that_failed_without_a_word_of_the_run_is_told_by_the_scheduler(labwright, study: Path, slurm: Scheduler) -> None:
    slurm.on_submit = lambda made: slurm.say_all(FAILED, "OUT_OF_MEMORY")
    slurm.on_submit = lambda made: [slurm.say(job, 0, FAILED, "OUT_OF_MEMORY") for job in made.jobs] and None
    said = labwright("run", "study.yaml", "--on", "slurm")
    assert said.code == 70
    assert "failed (job 100): OUT_OF_MEMORY" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_foreground_run_cancels_what_it_started(labwright, study: Path, slurm: Scheduler, number: signal.Signals) -> None:
    slurm.on_submit = lambda made: threading.Timer(0.3, lambda: os.kill(os.getpid(), number)).start()
    said = labwright("run", "study.yaml", "--on", "slurm")
    assert said.code == 75
    assert f"{number.name} came; 4 jobs were cancelled. Run the same command to go on." in said.err
    assert [name for name, _ in slurm.cancelled] == ["evaluate", "train", "check", "pack"]


def test_silence_of_the_scheduler_ends_no_foreground_run(labwright, study: Path, slurm: Scheduler) -> None:
    def silent(made) -> None:
        slurm.answers = False

        def speak() -> None:
            slurm.answers = True
            slurm.work(made)

        threading.Timer(0.4, speak).start()

    slurm.on_submit = silent
    said = labwright("run", "study.yaml", "--on", "slurm")
    assert said.code == 0
    assert UNKNOWN in said.out


def test_a_fault_while_following_cancels_too(labwright, study: Path, slurm: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("labwright.launch.foreground._can_go_on", fail)
    assert labwright("run", "study.yaml", "--on", "slurm").code == 70
    assert len(slurm.cancelled) == 4

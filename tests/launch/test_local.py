"""Whole studies on this machine: submitted, left alone, pre-empted, cancelled, abandoned, and gone on with."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from labwright.launch import prepare, submission
from labwright.launch.launcher import CANCELLED, DONE, FAILED, QUEUED, RUNNING, UNKNOWN, Seen
from labwright.launch.local import LAUNCHER
from labwright.launch.local_events import Process, Reader, started, tell, told
from labwright.launch.local_plan import output
from labwright.launch.site import Site, load_site
from labwright.launch.submission import Submission
from labwright.runs import gpus
from labwright.runs.errors import FaultError, MissingError
from labwright.runs.run import Run
from labwright.study.plan import plan
from labwright.study.resolve import resolve
from labwright.study.sweep import label, sweep
from labwright.testing.commands import until
from labwright.testing.nvml import Device, FakeNvml
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.parts.toy_recipe import Desk, output_of

OVER = (DONE, FAILED, CANCELLED)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without history, whose processes find what this one finds; no queue is left behind."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    for queue in [told(path.parent).queue for path in tmp_path.rglob("events.jsonl")]:
        if queue is not None and queue.is_alive:
            for process in [psutil.Process(queue.pid), *psutil.Process(queue.pid).children(recursive=True)]:
                process.kill()


@pytest.fixture
def seen_by_children(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The toy recipe's study, on the path of processes that start anew too."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    return desk


def submit(path: Path, *sets: str, site: Site | None = None, axes: tuple[str, ...] = ()) -> Submission:
    site = site or load_site("local")
    studies = [replace(resolve([path], sets=[*sets, *point]), label=label(point)) for point in sweep(axes) or [[]]]
    ready = prepare.prepare([(study, plan(study)) for study in studies], site)
    return prepare.queue(ready, prepare.begin(ready))


def look(made: Submission) -> dict[str, Seen]:
    """How each task is getting on, by ``<job>/<index>``."""
    return {key.partition("/")[2]: seen for key, seen in LAUNCHER.poll(submission.read(made.folder).jobs).items()}


def finish(made: Submission, seconds: float = 60.0) -> dict[str, str]:
    """Wait until all is over."""
    until(lambda: all(seen.state in OVER for seen in look(made).values()), seconds)
    until(lambda: told(made.folder).queue is None)
    return {name: seen.state for name, seen in look(made).items()}


def at_work(made: Submission, name: str) -> Process:
    """The script of a task, once its run has begun to do something."""
    job = next(job for job in made.jobs if job.name == name.partition("/")[0])
    run = Run.open(job.tasks[int(name.partition("/")[2])].run)
    until(lambda: bool(run.records("metric")))
    process = told(made.folder).task(name).process
    assert process is not None
    return process


def test_a_study_runs_to_its_end_by_itself(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path)
    queue = told(made.folder).queue
    assert queue is not None
    own = psutil.Process(queue.pid)
    assert os.getsid(own.pid) != os.getsid(0), "it has no terminal"
    assert os.getpid() not in [parent.pid for parent in own.parents()], "and no parent that would have to stay"
    assert finish(made) == {"count/0": DONE, "gate/0": DONE, "fit/0": DONE, "sum/0": DONE}
    until(lambda: not queue.is_alive)
    steps = seen_by_children.plan()
    assert {one.state for one in steps.values()} == {"done"}
    log = output(made.jobs[0], 0)
    assert log.parent == steps["count"].folder / "jobs"
    assert "native words about a\n" in log.read_text()
    assert {seen.id for seen in LAUNCHER.poll(None).values()} == {f"{made.folder.name}/{step}/0" for step in steps}
    assert (made.folder / "queue.log").read_text() == ""


def test_a_closed_gate_stops_what_comes_after_it(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path, "gate.most=2")
    assert finish(made) == {"count/0": DONE, "gate/0": FAILED, "fit/0": CANCELLED, "sum/0": CANCELLED}
    assert look(made)["gate/0"].reason == "exit code 65"
    assert look(made)["fit/0"].reason == "gate/0 did not end well"


LONG = ("fit.rounds=60", "fit.sleep_s=0.05")


def test_a_training_that_is_stopped_goes_on_and_ends_as_one_that_was_not(seen_by_children: Desk, tmp_path: Path) -> None:
    made = submit(seen_by_children.path, *LONG)
    at_work(made, "fit/0").terminate()
    assert set(finish(made).values()) == {DONE}
    assert told(made.folder).task("fit/0").attempts == 2
    stopped = seen_by_children.plan(*LONG)
    unbroken = seen_by_children.conduct(*LONG, runs=tmp_path / "unbroken")
    assert output_of(stopped["fit"].run) == output_of(Run.open(unbroken["fit"].folder))


def test_a_cancelled_study_saves_and_another_submission_goes_on(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path, *LONG)
    at_work(made, "fit/0")
    for job in made.jobs:
        LAUNCHER.cancel(job)
    assert finish(made) == {"count/0": DONE, "gate/0": DONE, "fit/0": CANCELLED, "sum/0": CANCELLED}
    assert seen_by_children.plan(*LONG)["fit"].state == "stopped"
    again = submit(seen_by_children.path, *LONG)
    assert finish(again) == {"fit/0": DONE, "sum/0": DONE}


def test_a_killed_queue_loses_nothing(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path, *LONG)
    script = at_work(made, "fit/0")
    queue = told(made.folder).queue
    assert queue is not None
    os.kill(queue.pid, signal.SIGKILL)
    until(lambda: not queue.is_alive)
    assert look(made)["fit/0"].state == RUNNING
    assert look(made)["fit/0"].reason == "its queue has ended; it works on, and is not queued again"
    assert look(made)["sum/0"].state == UNKNOWN
    until(lambda: not script.is_alive)
    assert look(made)["fit/0"].state == UNKNOWN
    assert seen_by_children.plan(*LONG)["fit"].state == "done"
    assert finish(submit(seen_by_children.path, *LONG)) == {"sum/0": DONE}


def test_what_a_killed_queue_left_at_work_can_be_cancelled(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path, *LONG)
    script = at_work(made, "fit/0")
    queue = told(made.folder).queue
    assert queue is not None
    os.kill(queue.pid, signal.SIGKILL)
    until(lambda: not queue.is_alive)
    LAUNCHER.cancel(made.jobs[2])
    until(lambda: not script.is_alive)
    assert seen_by_children.plan(*LONG)["fit"].state == "stopped"


def test_a_sweep_is_one_array(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path, axes=("fit.rate=0.1,0.2,0.3",), site=load_site("local").model_copy(update={"slots": 3}))
    assert set(finish(made).values()) == {DONE}
    fits = [event for event in Reader(made.folder).news() if event["kind"] == "begin" and event["task"].startswith("fit")]
    assert [event["task"] for event in fits] == ["fit/0", "fit/1", "fit/2"]
    logs = {output(next(job for job in made.jobs if job.name == "sum"), index) for index in range(3)}
    assert all(log.is_file() for log in logs)
    assert len(logs) == 3


def test_two_users_have_studies_on_one_machine(seen_by_children: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hers = submit(seen_by_children.path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    his_desk = Desk(tmp_path / "his")
    his = submit(his_desk.path)
    assert set(finish(his).values()) == set(finish(hers).values()) == {DONE}
    assert {key.partition("/")[0] for key in LAUNCHER.poll(None)} == {his.folder.name}


def test_more_gpus_than_there_are_are_refused_at_once(seen_by_children: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(Device("GPU-a")), ""))
    with pytest.raises(MissingError, match="fit asks for 2 GPUs, and there is 1"):
        submit(seen_by_children.path, "run.on.resources.fit.gpus=2")


def test_a_gpu_named_by_hand_that_somebody_uses_is_refused_at_once(seen_by_children: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(Device("GPU-a"), Device("GPU-b", pids=(os.getpid(),))), ""))
    with pytest.raises(MissingError, match=f"GPU 1 is used by process {os.getpid()} of "):
        submit(seen_by_children.path, site=load_site("local").model_copy(update={"gpus": (1,)}))


def test_a_queue_that_cannot_begin_says_why(seen_by_children: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FaultError, match=r"the queue did not begin: .*/nowhere/python"):
        submit(seen_by_children.path)


def test_a_task_elsewhere_can_only_be_seen_there(seen_by_children: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = submit(seen_by_children.path, *LONG)
    at_work(made, "fit/0")
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    host = told(made.folder).host
    assert look(made)["fit/0"] == Seen(f"{made.folder.name}/fit/0", UNKNOWN, f"it can be seen from {host} only", host, "fit")
    assert LAUNCHER.attach(made.jobs[2], 0, ["nvidia-smi", "-q x"]) == ["ssh", "-t", host, "nvidia-smi '-q x'"]
    monkeypatch.undo()
    os.kill(told(made.folder).queue.pid, signal.SIGTERM)  # type: ignore[union-attr]
    until(lambda: told(made.folder).queue is None)


def test_a_command_beside_a_task_sees_its_gpus(seen_by_children: Desk) -> None:
    made = submit(seen_by_children.path, *LONG)
    at_work(made, "fit/0")
    assert LAUNCHER.attach(made.jobs[2], 0, ["htop"]) == ["htop"]
    tell(made.folder, "begin", ["fit/0"], pid=os.getpid(), started=started(os.getpid()), gpus=["GPU-a", "GPU-b"])
    assert LAUNCHER.attach(made.jobs[2], 0, ["htop"]) == ["env", "CUDA_VISIBLE_DEVICES=GPU-a,GPU-b", "htop"]
    with pytest.raises(MissingError, match="is done, so there is nothing"):
        LAUNCHER.attach(made.jobs[0], 0, ["htop"])
    assert look(made)["sum/0"].state == QUEUED
    LAUNCHER.cancel(made.jobs[2])


@pytest.mark.slow
def test_the_cells_study_runs_to_its_end(tmp_path: Path) -> None:
    study = tiny_study(tmp_path / "tiny", tiny_sequences(tmp_path / "data"))
    made = submit(study, "run.on.workers=1", "run.on.threads=1", "run.on.resources.predict.shares=2")
    assert set(finish(made, 300).values()) == {DONE}
    assert {one.state for one in plan(resolve([study], sets=["run.on.workers=1", "run.on.threads=1"]))} == {"done"}

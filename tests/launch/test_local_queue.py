"""The queue of this machine starts what is due, no more than fits, again what asks for it, and never what cannot be.

Scripts are written by hand here; whole studies run in ``test_local.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from labwright.launch import local_queue, slots
from labwright.launch.job import After, Job, Task
from labwright.launch.launcher import CANCELLED, DONE, FAILED, QUEUED, RUNNING
from labwright.launch.local import LAUNCHER
from labwright.launch.local_events import Reader, Standing, told
from labwright.launch.local_plan import output, write_plan
from labwright.launch.local_queue import conduct
from labwright.launch.site import Queue, Site
from labwright.launch.submission import Submission, begin, read
from labwright.runs import gpus
from labwright.runs.errors import Exit, MissingError
from labwright.study.resources import Resources
from labwright.testing.commands import until
from labwright.testing.nvml import Device, FakeNvml

Submit = Callable[..., Submission]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    """Write a submission of jobs by name: the lines of its script, and what else differs from one task without a GPU."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(slots, "DEVICE", str(tmp_path / "nvidia"))
    monkeypatch.setattr(gpus, "load", lambda: (None, "no driver here"))
    monkeypatch.setattr(local_queue, "LOOK_S", 0.01)
    monkeypatch.setattr(local_queue, "LATER_S", 0.01)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def made(scripts: dict[str, str], site: Site | None = None, **options: object) -> Submission:
        jobs = [_job(tmp_path / "runs", name, **options.get(name, {})) for name in scripts]  # type: ignore[attr-defined]
        submission = begin(tmp_path / "runs", site="toy", kind="local", study="study.yaml", jobs=jobs)
        for name, text in scripts.items():
            (submission.folder / f"{name}.sh").write_text(text)
        write_plan(submission.folder, jobs, site or Site(kind="local"))
        return submission

    return made


def _job(runs: Path, name: str, tasks: int = 1, after: Sequence[After] = (), **resources: int) -> Job:
    return Job(
        name, name, tuple(Task(runs / f"{name}-{index}") for index in range(tasks)), Resources(**resources), Queue(), after=tuple(after)
    )


def states(submission: Submission) -> dict[str, str]:
    return {name: task.state for name, task in told(submission.folder).tasks.items()}


def task(submission: Submission, name: str) -> Standing:
    return told(submission.folder).task(name)


def said(submission: Submission, name: str, index: int = 0) -> str:
    return output(next(job for job in read(submission.folder).jobs if job.name == name), index).read_text()


def begun(submission: Submission) -> list[str]:
    return [event["task"] for event in Reader(submission.folder).news() if event["kind"] == "begin"]


def test_a_job_begins_when_all_that_it_needs_ended_well(submit: Submit) -> None:
    made = submit(
        {"last": "exit 0", "first": "echo first $1", "middle": "exit 0"},
        last={"after": [After("middle"), After("first")]},
        middle={"after": [After("first")]},
        first={"tasks": 2},
    )
    assert conduct(made.folder) == Exit.DONE
    assert begun(made) == ["first/0", "first/1", "middle/0", "last/0"]
    assert set(states(made).values()) == {DONE}
    assert said(made, "first", 1) == "first 1\n"


def test_a_failed_row_stops_only_its_own_later_steps(submit: Submit) -> None:
    made = submit(
        {"fit": "exit $(($1 == 1 ? 65 : 0))", "sum": "exit 0", "all": "exit 0"},
        fit={"tasks": 3},
        sum={"tasks": 3, "after": [After("fit", each=True)]},
        all={"after": [After("sum")]},
    )
    conduct(made.folder)
    fits, sums = ([states(made)[f"{name}/{row}"] for row in range(3)] for name in ("fit", "sum"))
    assert fits == [DONE, FAILED, DONE]
    assert sums == [DONE, CANCELLED, DONE]
    assert task(made, "fit/1").why == "exit code 65"
    assert task(made, "sum/1").why == "fit/1 did not end well"
    assert task(made, "all/0").why == "sum/1 did not end well"


def test_a_task_that_asks_for_it_is_run_again(submit: Submit) -> None:
    made = submit({"fit": 'echo again >>"$0.count"; [ "$(wc -l <"$0.count")" -ge 3 ] || exit 75'})
    conduct(made.folder)
    assert task(made, "fit/0") == Standing(DONE, "", 3, task(made, "fit/0").process)


def test_but_not_for_ever(submit: Submit) -> None:
    made = submit({"fit": "exit 75"}, Site(kind="local", requeues=2))
    conduct(made.folder)
    assert (task(made, "fit/0").state, task(made, "fit/0").why) == (FAILED, "it asked 3 times to be run again")


def test_who_found_another_at_work_comes_back_ever_later(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_queue, "LATER_S", 0.05)
    made = submit({"fit": "exit 75"}, Site(kind="local", requeues=3))
    conduct(made.folder)
    events = list(Reader(made.folder).news())
    ends = [event["t"] for event in events if event["kind"] == "end"]
    begins = [event["t"] for event in events if event["kind"] == "begin"]
    pauses = [after - before for before, after in zip(ends, begins[1:], strict=False)]
    assert all(pause >= least for pause, least in zip(pauses, (0.04, 0.09, 0.19), strict=True))


def test_who_has_worked_for_long_lets_others_go_first(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_queue, "BRIEF_S", 0.0)
    monkeypatch.setattr(local_queue, "ASIDE_S", 0.1)
    made = submit({"fit": '[ -e "$0.$1" ] || { touch "$0.$1"; exit 75; }'}, fit={"tasks": 2})
    conduct(made.folder)
    assert begun(made) == ["fit/0", "fit/1", "fit/0", "fit/1"]


def test_a_script_that_a_signal_ends_has_failed(submit: Submit) -> None:
    made = submit({"fit": "kill -KILL $$"})
    conduct(made.folder)
    assert task(made, "fit/0").why == "ended by SIGKILL"


# As many files as tasks at work; the number is written down by each, and the first two wait for each other.
COUNTED = """here="$0.at-work"; mkdir -p "$here"; touch "$here/$1"
while [ "$1" -lt 2 ] && [ ! -e "$0.met" ]; do [ "$(ls "$here" | wc -l)" -ge 2 ] && touch "$0.met"; done
ls "$here" | wc -l >>"$0.counts"; sleep 0.05; rm "$here/$1"
"""


def most_at_work(submission: Submission) -> int:
    return max(map(int, (submission.folder / "predict.sh.counts").read_text().split()))


def test_no_more_jobs_run_than_there_are_slots(submit: Submit) -> None:
    made = submit({"predict": COUNTED}, Site(kind="local", slots=2), predict={"tasks": 5})
    conduct(made.folder)
    assert most_at_work(made) == 2


def test_an_array_keeps_to_its_limit(submit: Submit) -> None:
    made = submit({"predict": COUNTED}, Site(kind="local", slots=5, array_limit=2), predict={"tasks": 5})
    conduct(made.folder)
    assert most_at_work(made) == 2


def test_two_queues_share_the_slots_and_the_gpus(submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(Device("GPU-a"), Device("GPU-b")), ""))
    (tmp_path / "nvidia0").touch(), (tmp_path / "nvidia1").touch()
    # A directory can be made once only: two jobs on one GPU would fail.
    lines = f'mkdir "{tmp_path}/on-$CUDA_VISIBLE_DEVICES" || exit 1; sleep 0.1; rmdir "{tmp_path}/on-$CUDA_VISIBLE_DEVICES"'
    both = [submit({"fit": lines, "pack": lines}, fit={"tasks": 4, "gpus": 1}) for _ in range(2)]
    queues = [threading.Thread(target=conduct, args=(made.folder,)) for made in both]
    for queue in queues:
        queue.start()
    for queue in queues:
        queue.join()
    assert [set(states(made).values()) for made in both] == [{DONE}, {DONE}]
    used = {gpu for made in both for name, one in told(made.folder).tasks.items() if name.startswith("fit") for gpu in one.gpus}
    assert used <= {"GPU-a", "GPU-b"}
    assert not any(one.gpus for made in both for name, one in told(made.folder).tasks.items() if name.startswith("pack"))


def test_a_job_waits_for_a_busy_gpu_and_says_for_whom(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Device("GPU-a", pids=(os.getpid(),))
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(busy), ""))
    made = submit({"fit": 'echo "on $CUDA_VISIBLE_DEVICES"'}, fit={"gpus": 1})
    queue = threading.Thread(target=conduct, args=(made.folder,))
    queue.start()
    until(lambda: f"GPU 0 is used by process {os.getpid()}" in task(made, "fit/0").why)
    busy.pids = ()
    queue.join()
    assert said(made, "fit") == "on GPU-a\n"


def test_what_a_scheduler_gave_reaches_the_job_as_it_was(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(*(Device(f"GPU-{index}") for index in range(4))), ""))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    made = submit({"fit": 'echo "$CUDA_VISIBLE_DEVICES"', "pack": 'echo "$CUDA_VISIBLE_DEVICES"'}, fit={"gpus": 2})
    conduct(made.folder)
    assert said(made, "fit") == said(made, "pack") == "2, 3\n"


STAYS = "trap 'echo saved; exit 75' TERM USR1; echo ready; while :; do sleep 0.02; done"


def test_a_cancelled_task_saves_and_is_not_queued_again(submit: Submit) -> None:
    made = submit({"fit": STAYS, "sum": "exit 0", "pack": "exit 0"}, sum={"after": [After("fit")]}, pack={"after": [After("fit")]})
    (fit, _, pack) = read(made.folder).jobs
    queue = threading.Thread(target=conduct, args=(made.folder,))
    queue.start()
    until(lambda: output(fit, 0).exists() and "ready" in said(made, "fit"))
    LAUNCHER.cancel(pack)
    LAUNCHER.cancel(fit)
    queue.join()
    assert said(made, "fit") == "ready\nsaved\n"
    assert states(made) == {"fit/0": CANCELLED, "sum/0": CANCELLED, "pack/0": CANCELLED}
    assert task(made, "pack/0").why == "cancelled before it began"


def test_some_tasks_of_an_array_are_cancelled_alone(submit: Submit) -> None:
    made = submit({"fit": "exit 0"}, fit={"tasks": 3})
    LAUNCHER.cancel(read(made.folder).jobs[0], [1])
    conduct(made.folder)
    assert states(made) == {"fit/0": DONE, "fit/1": CANCELLED, "fit/2": DONE}


def test_a_queue_that_is_told_to_stop_lets_its_jobs_save_and_another_goes_on(submit: Submit) -> None:
    made = submit({"fit": f'[ -e "$0.second" ] && exit 0; touch "$0.second"; {STAYS}'})
    fit = read(made.folder).jobs[0]

    def stop() -> None:
        until(lambda: output(fit, 0).exists() and "ready" in said(made, "fit"))
        os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=stop)
    teller.start()
    assert conduct(made.folder) == Exit.AGAIN
    teller.join()
    assert task(made, "fit/0").state == QUEUED
    assert conduct(made.folder) == Exit.DONE
    assert task(made, "fit/0").state == DONE


def test_only_one_queue_works_on_a_submission(submit: Submit) -> None:
    made = submit({"fit": "sleep 0.2"})
    queue = threading.Thread(target=conduct, args=(made.folder,))
    queue.start()
    until(lambda: task(made, "fit/0").state == RUNNING)
    assert conduct(made.folder) == Exit.DONE
    assert begun(made) == ["fit/0"]
    queue.join()


def test_scripts_that_outlived_their_queue_are_waited_for(submit: Submit) -> None:
    made = submit({"fit": 'echo once; [ -e "$0.second" ]'})
    # What a queue leaves that is killed right after it began a task.
    with subprocess.Popen(["sleep", "0.3"]) as script:
        local_queue.tell(made.folder, "queue", pid=2**22 + 1, started=0.0, host="")
        local_queue.tell(made.folder, "begin", ["fit/0"], pid=script.pid, started=local_queue.started(script.pid), gpus=[])
        reaper = threading.Thread(target=script.wait)
        reaper.start()
        (made.folder / "fit.sh.second").touch()
        begin_s = time.time()
        conduct(made.folder)
        reaper.join()
    ended = next(event for event in Reader(made.folder).news() if event["kind"] == "end")
    assert ended["t"] > begin_s
    assert ended["why"] == "ended while no queue was there"
    assert (task(made, "fit/0").state, task(made, "fit/0").attempts) == (DONE, 2)


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no submission for a queue"):
        conduct(tmp_path)

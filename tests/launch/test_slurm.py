"""Jobs are queued, seen, stopped and entered by Slurm's tools, whatever these do: all by twins with a written history."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labwright.launch import slurm, submission
from labwright.launch.job import After, Job, Task
from labwright.launch.launcher import CANCELLED, DONE, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen
from labwright.launch.site import Queue, Site
from labwright.launch.slurm import LAUNCHER
from labwright.launch.submission import Submission, Submitted
from labwright.parts.shares import Share
from labwright.runs.errors import FaultError, MissingError, StudyError
from labwright.study.resources import Resources
from labwright.testing import schedulers
from labwright.testing.schedulers import Answer, Twins

SITE = Site(kind="slurm", name="toy")


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twins:
    made = schedulers.slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", made.path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return made


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "colony" / "runs"


def study(runs: Path, reservation: str = "") -> list[Job]:
    """pack → train (two rows) → predict (three shares) → its end."""
    rows = (Task(runs / "train-1"), Task(runs / "train-2"))
    shares = tuple(Task(runs / "predict-1", Share(index, 3)) for index in range(3))
    return [
        Job("pack", "pack", (Task(runs / "pack-1"),), Resources(), Queue()),
        Job("train", "train", rows, Resources(), Queue(reservation=reservation), after=(After("pack"),)),
        Job("predict", "predict", shares, Resources(), Queue(), after=(After("pack"), After("train", each=True))),
        Job("predict-finish", "predict", (Task(runs / "predict-1", finish=True),), Resources(), Queue(), after=(After("predict"),)),
    ]


def submit(runs: Path, reservation: str = "") -> Submission:
    jobs = study(runs, reservation)
    made = submission.begin(runs, site="toy", kind="slurm", study="study.yaml", jobs=jobs)
    LAUNCHER.submit(made, jobs, SITE)
    return submission.read(made.folder)


def queued(runs: Path, name: str = "predict", id: str = "1003") -> Submitted:
    """One job of a submission that has its id."""
    made = submission.begin(runs, site="toy", kind="slurm", study="study.yaml", jobs=study(runs))
    made.queued(name, id)
    return next(job for job in submission.read(made.folder).jobs if job.name == name)


# ---- Submitting ----


def test_jobs_wait_for_those_they_need_and_options_go_before_the_script(twins: Twins, runs: Path) -> None:
    made = submit(runs)
    assert {job.name: job.id for job in made.jobs} == {"pack": "1001", "train": "1002", "predict": "1003", "predict-finish": "1004"}
    script = {job.name: str(made.folder / f"{job.name}.sbatch") for job in made.jobs}
    kill = "--kill-on-invalid-dep=yes"
    assert twins.calls("sbatch") == [
        ["--parsable", script["pack"]],
        ["--parsable", "--dependency=afterok:1001", kill, script["train"]],
        ["--parsable", "--dependency=afterok:1001,aftercorr:1002", kill, script["predict"]],
        ["--parsable", "--dependency=afterok:1003", kill, script["predict-finish"]],
    ]
    assert twins.calls("scancel") == []


def test_the_folder_for_what_is_printed_is_there_before_the_job(twins: Twins, runs: Path) -> None:
    submit(runs)
    assert all((runs / name / "jobs").is_dir() for name in ("pack-1", "train-1", "train-2", "predict-1"))


@pytest.mark.parametrize("answer", ["77\n", "77;horeka\n", "Welcome to the cluster\n77\n"])
def test_an_id_is_found_in_what_sites_make_of_it(twins: Twins, runs: Path, answer: str) -> None:
    twins.answers("sbatch", answer)
    assert submit(runs).jobs[0].id == "77"


@pytest.mark.parametrize("answer", ["", "Submitted\n"])
def test_an_answer_without_an_id_is_an_error(twins: Twins, runs: Path, answer: str) -> None:
    twins.answers("sbatch", answer)
    with pytest.raises(FaultError, match="named no job id"):
        submit(runs)


def test_what_was_queued_before_a_refusal_is_taken_back(twins: Twins, runs: Path) -> None:
    twins.answers(
        "sbatch", "1001\n", "1002\n", Answer(complains="sbatch: error: x\nsbatch: error: Invalid partition name specified\n", code=1)
    )
    with pytest.raises(
        FaultError, match=r"refused the job predict: Invalid partition name specified. What was queued before it is cancelled again\."
    ):
        submit(runs)
    assert twins.calls("scancel") == [["1001", "1002"]]
    (made,) = submission.submissions(runs)
    assert made.cancelled
    assert [job.id for job in made.jobs] == ["", "", "", ""]


def test_jobs_that_cannot_be_taken_back_stay_recorded(twins: Twins, runs: Path) -> None:
    twins.answers("sbatch", "1001\n", Answer(complains="no", code=1))
    twins.answers("scancel", Answer(complains="Unable to contact slurm controller", code=1))
    with pytest.raises(FaultError, match=r"refused the job train: no$"):
        submit(runs)
    (made,) = submission.submissions(runs)
    assert [job.id for job in made.jobs] == ["1001", "", "", ""]


def test_a_job_whose_id_was_not_heard_is_found_by_its_script(twins: Twins, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "SUBMIT_WITHIN_S", 0.3)
    twins.runs("sbatch", 'echo "5|/elsewhere/train.sbatch" >"$book/queue"; echo "1001|${!#}" >>"$book/queue"', "exec sleep 20")
    twins.runs("squeue", 'cat "${book%/*}/.sbatch/queue"')
    with pytest.raises(FaultError, match="no answer"):
        submit(runs)
    assert twins.calls("scancel") == [["1001"]]


def test_where_there_is_no_slurm_that_is_said(twins: Twins, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(runs))
    with pytest.raises(MissingError, match="sbatch is not installed here"):
        submit(runs)


def test_a_job_submitted_from_within_a_job_inherits_nothing_of_it(twins: Twins, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_MEM_PER_CPU", "SLURM_JOB_ID", "SLURM_CONF", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "7")
    twins.runs("sbatch", 'env >"$book/env"; echo 1')
    submit(runs)
    seen = {line.partition("=")[0] for line in (twins.folder / ".sbatch" / "env").read_text().splitlines()}
    assert {"SLURM_CONF", "SBATCH_ACCOUNT"} == {name for name in seen if name.startswith(("SLURM_", "SBATCH_"))}


def test_a_reservation_has_to_be_taken(twins: Twins, runs: Path) -> None:
    twins.answers("scontrol", "JobId=1002 JobName=train Reservation=aihero-gpu Partition=main\n")
    assert submit(runs, "aihero-gpu").jobs[1].id == "1002"
    assert twins.calls("scontrol") == [["--oneliner", "show", "job", "1002"]]


def test_a_reservation_that_was_dropped_stops_the_submission(twins: Twins, runs: Path) -> None:
    twins.answers("scontrol", "JobId=1002 JobName=train Partition=main\n")
    with pytest.raises(StudyError, match="not into the reservation aihero-gpu"):
        submit(runs, "aihero-gpu")
    assert twins.calls("scancel") == [["1001", "1002"]]


def test_a_reservation_that_cannot_be_looked_at_stops_nothing(twins: Twins, runs: Path) -> None:
    twins.answers("scontrol", Answer(complains="slurm_load_jobs error: Unable to contact slurm controller", code=1))
    assert len(submit(runs, "aihero-gpu").jobs) == 4


# ---- Seeing ----


def test_one_question_to_the_queue_and_one_to_the_accounting_tell_of_all(twins: Twins, runs: Path) -> None:
    twins.answers("squeue", "1002_1|RUNNING|None|2026-11-21T04:12:54|n1|train\n1003_[0-2%2]|PENDING|Dependency|N/A||predict\n")
    twins.answers("sacct", "1001|COMPLETED|0:0|n2\n1002_0|FAILED|65:0|n1\n")
    made = submit(runs)
    seen = {key.partition("/")[2]: one for key, one in LAUNCHER.poll(made.jobs[:3]).items()}
    assert {key: (one.id, one.state, one.host) for key, one in seen.items()} == {
        "pack/0": ("1001", DONE, "n2"),
        "train/0": ("1002_0", FAILED, "n1"),
        "train/1": ("1002_1", RUNNING, "n1"),
        "predict/0": ("1003_0", QUEUED, ""),
        "predict/1": ("1003_1", QUEUED, ""),
        "predict/2": ("1003_2", QUEUED, ""),
    }
    assert len(twins.calls("squeue")) == 1
    assert "--jobs=1001,1002,1003" in twins.calls("squeue")[0]
    (words,) = twins.calls("sacct")
    assert "--jobs=1001,1002" in words


def test_what_the_queue_has_is_not_asked_of_the_accounting(twins: Twins, runs: Path) -> None:
    job = queued(runs, "pack", "7")
    twins.answers("squeue", "7|PENDING|JobHeldUser|N/A||pack\n")
    assert LAUNCHER.poll([job])[job.key(0)].state == HELD
    assert twins.calls("sacct") == []


@pytest.mark.parametrize(
    ("squeue", "sacct", "reason"),
    [
        (Answer(), Answer(), "neither Slurm's queue nor its accounting knows it"),
        (Answer(), Answer(complains="Slurm accounting storage is disabled", code=1), "accounting gives no answer: .* disabled"),
        (Answer(), Answer("9|COMPLETED|0:0|n1\n", after_s=5), "accounting gives no answer: .* within"),
        (Answer(complains="Unable to contact slurm controller (connect failure)", code=1), Answer(), "squeue gave no answer: Unable"),
        (Answer("slurm is down for maintenance today\n"), Answer("<html>\n"), "neither"),
        (Answer(complains="slurm_load_jobs error: Invalid job id specified", code=1), Answer(), "neither"),
    ],
    ids=["empty", "no accounting", "slow accounting", "no controller", "odd", "forgotten"],
)
def test_no_answer_is_never_an_end(
    twins: Twins, runs: Path, squeue: Answer, sacct: Answer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "ACCOUNTING_WITHIN_S", 0.3)
    job = queued(runs, "pack", "9")
    twins.answers("squeue", squeue)
    twins.answers("sacct", sacct)
    seen = LAUNCHER.poll([job])[job.key(0)]
    assert seen.state == UNKNOWN
    assert re.search(reason, seen.reason)


def test_where_no_tool_is_installed_all_is_unknown(twins: Twins, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = queued(runs)
    monkeypatch.setenv("PATH", str(runs))
    assert {seen.state for seen in LAUNCHER.poll([job]).values()} == {UNKNOWN}


def test_the_accounting_is_asked_where_the_queue_is_silent(twins: Twins, runs: Path) -> None:
    job = queued(runs, "pack", "9")
    twins.answers("squeue", Answer(complains="Unable to contact slurm controller", code=1))
    twins.answers("sacct", "9|COMPLETED|0:0|n1\n")
    assert LAUNCHER.poll([job])[job.key(0)] == Seen("9", DONE, "", "n1")


def test_all_jobs_of_the_user_are_listed_by_the_ids_of_slurm(twins: Twins) -> None:
    twins.answers("squeue", "12|RUNNING|None|N/A|n1|other\n13_[0-99%5]|PENDING|Priority|N/A||many\n")
    seen = LAUNCHER.poll(None)
    assert [(id, one.name) for id, one in seen.items()] == [("12", "other"), ("13_[0-99]", "many")]
    assert "--me" in twins.calls("squeue")[0]


def test_a_task_that_saved_and_ended_as_asked_has_not_failed(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    job.mark_cancelled([1])
    twins.answers("sacct", "1003_0|FAILED|75:0|n1\n1003_1|FAILED|75:0|n1\n1003_2|FAILED|70:0|n1\n")
    states = [LAUNCHER.poll([job])[job.key(index)].state for index in range(3)]
    assert states == [FAILED, CANCELLED, FAILED]


def test_a_cancelled_task_that_left_no_trace_is_cancelled(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    job.mark_cancelled([2])
    assert [seen.state for seen in LAUNCHER.poll([job]).values()] == [UNKNOWN, UNKNOWN, CANCELLED]
    twins.answers("squeue", Answer(complains="Unable to contact slurm controller", code=1))
    assert {seen.state for seen in LAUNCHER.poll([job]).values()} == {UNKNOWN}


# ---- Stopping and entering ----

HALF = "1003_0|RUNNING|None|N/A|n1|predict\n1003_[1-2]|PENDING|Resources|N/A||predict\n"


def test_a_cancelled_job_saves_where_it_runs_and_leaves_the_queue_where_it_waits(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    twins.answers("squeue", HALF)
    # The marks have to be there before any signal.
    twins.runs("scancel", f'[ -e "{job.folder}/cancelled.predict" ]')
    LAUNCHER.cancel(job)
    assert twins.calls("scancel") == [["1003_[1,2]"], ["--batch", "--signal=USR1", "1003_[0]"]]
    assert all(job.is_cancelled(index) for index in range(3))
    assert not submission.read(job.folder).cancelled


def test_a_job_that_is_no_array_is_cancelled_by_its_own_id(twins: Twins, runs: Path) -> None:
    twins.answers("squeue", "1001|PENDING|Resources|N/A||pack\n")
    LAUNCHER.cancel(queued(runs, "pack", "1001"))
    assert twins.calls("scancel") == [["1001"]]


def test_single_tasks_are_cancelled_alone(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    twins.answers("squeue", HALF)
    LAUNCHER.cancel(job, [2])
    assert twins.calls("scancel") == [["1003_[2]"]]
    assert [job.is_cancelled(index) for index in range(3)] == [False, False, True]


def test_who_insists_has_it_ended_by_slurm(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    twins.answers("squeue", HALF, "1003_0|RUNNING|None|N/A|n1|predict\n")
    LAUNCHER.cancel(job)
    LAUNCHER.cancel(job)
    assert twins.calls("scancel")[2:] == [["1003_[0]"]]


def test_a_submission_marked_as_a_whole_still_saves(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    (job.folder / submission.CANCELLED).touch()
    twins.answers("squeue", HALF)
    LAUNCHER.cancel(job)
    assert twins.calls("scancel")[-1] == ["--batch", "--signal=USR1", "1003_[0]"]


def test_a_signal_that_arrived_is_not_waited_for_any_longer(twins: Twins, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "SIGNAL_WITHIN_S", 0.2)
    twins.answers("squeue", HALF)
    twins.answers("scancel", Answer(code=1, after_s=5))
    LAUNCHER.cancel(queued(runs), [0])
    assert twins.calls("scancel") == [["--batch", "--signal=USR1", "1003_[0]"]]


def test_a_task_that_ended_before_the_signal_is_no_error(twins: Twins, runs: Path) -> None:
    twins.answers("squeue", "1001|RUNNING|None|N/A|n1|pack\n", "")
    twins.answers("scancel", Answer(complains="Job/step already completing or completed", code=1))
    LAUNCHER.cancel(queued(runs, "pack", "1001"))
    assert len(twins.calls("squeue")) == 2


def test_a_signal_that_slurm_refused_is_an_error(twins: Twins, runs: Path) -> None:
    twins.answers("squeue", "1001|RUNNING|None|N/A|n1|pack\n")
    twins.answers("scancel", Answer(complains="Access/permission denied", code=1))
    with pytest.raises(FaultError, match="permission denied"):
        LAUNCHER.cancel(queued(runs, "pack", "1001"))


def test_cancelling_what_is_over_asks_slurm_for_nothing(twins: Twins, runs: Path) -> None:
    twins.answers("squeue", Answer(complains="slurm_load_jobs error: Invalid job id specified", code=1))
    LAUNCHER.cancel(queued(runs))
    assert twins.calls("scancel") == []


def test_without_an_answer_the_mark_is_set_and_the_error_said(twins: Twins, runs: Path) -> None:
    job = queued(runs)
    twins.answers("squeue", Answer(complains="Unable to contact slurm controller", code=1))
    with pytest.raises(FaultError, match="Unable to contact"):
        LAUNCHER.cancel(job)
    assert job.is_cancelled(0)


def test_a_running_task_is_entered_by_its_real_number(twins: Twins, runs: Path) -> None:
    twins.answers("squeue", "1017|RUNNING\n")
    words = LAUNCHER.attach(queued(runs), 2, ["bash", "-l"])
    assert "--jobs=1003_2" in twins.calls("squeue")[0]
    assert words == ["srun", "--overlap", "--jobid=1017", "--nodes=1", "--ntasks=1", "--mpi=none", "--pty", "bash", "-l"]


@pytest.mark.parametrize("answer", ["", "1003|PENDING\n"])
def test_a_task_that_does_not_run_cannot_be_entered(twins: Twins, runs: Path, answer: str) -> None:
    twins.answers("squeue", answer)
    with pytest.raises(MissingError, match="job 1003_2 does not run"):
        LAUNCHER.attach(queued(runs), 2, ["bash"])


def test_output_is_read_from_the_run_folder(runs: Path, twins: Twins) -> None:
    assert LAUNCHER.tail(queued(runs), 0) is None

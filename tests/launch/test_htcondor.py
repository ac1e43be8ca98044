"""Jobs go through the twins of HTCondor's tools and really run, in folders of their own; how they stand is told by their logs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labwright.launch import dagman
from labwright.launch.htcondor import HTCondor
from labwright.launch.job import Task
from labwright.launch.launcher import Seen
from labwright.launch.submission import Submitted
from labwright.runs.errors import FaultError, MissingError
from labwright.runs.run import Run, runs_in
from labwright.testing import condor_events as events
from labwright.testing.schedulers_condor import Pool
from tests.launch.condor import Sent, foreign_events, make_pool, pool_site
from tests.parts.toy_recipe import Desk, output_of

SHARES = "run.on.resources.count.shares=2"


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Pool:
    # The machine that works has the toy recipe installed.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    return make_pool(tmp_path, monkeypatch)


def tool(pool: Pool, tmp_path: Path, name: str, script: str) -> None:
    """Put another tool in the place of a twin."""
    path = pool.folder / "bin" / f"condor_{name}"
    path.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")


def by_step(folder: Path) -> dict[str, Run]:
    return {run.step: run for run in runs_in(folder)}


# ---- A study, from end to end ----


def test_a_study_goes_through_a_pool_without_a_shared_file_system_and_comes_home_whole(pool: Pool, desk: Desk, tmp_path: Path) -> None:
    sent = Sent(desk.study(), pool_site()).queue()
    assert sent.states() == dict.fromkeys(("count", "gate", "fit", "sum"), "queued")
    assert sent.seen()["fit"].reason == "it waits for the jobs before it"
    assert {job.id for job in sent.submission.jobs} == {"5000"}
    pool.work()
    assert sent.states() == dict.fromkeys(("count", "gate", "fit", "sum"), "done")
    here, there = by_step(sent.runs), {step: Run.open(one.folder) for step, one in desk.conduct(runs=tmp_path / "unbroken").items()}
    for step, run in here.items():
        assert run.state() == "done"
        assert run.verify(checksums=True) == []
        assert output_of(run).keys() == output_of(there[step]).keys()
        assert run.figures() == there[step].figures()
        assert {path.name.split(".", 1)[1] for path in (run.folder / "jobs").iterdir()} == {"0.out", "0.err", "log"}
    assert not list(pool.folder.glob("execute/*/*")), "the folders of jobs are gone with them"


def test_the_logs_of_the_twins_say_the_same_to_htcondor(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site()).queue()
    pool.work(lambda id, folder: "suspend" if id == "5001.0" and not (folder / "_").exists() and not (folder / "_").touch() else "")
    for path in [*sent.runs.glob("*/jobs/*.log"), *sent.folder.glob("*.log")]:
        kinds = [event.type.name for event in foreign_events(path)]
        assert kinds[0] == "SUBMIT"
        assert kinds[-1] == "JOB_TERMINATED"
    (log,) = by_step(sent.runs)["count"].folder.glob("jobs/*.log")
    assert [event.type.name for event in foreign_events(log)][-3:] == ["JOB_SUSPENDED", "JOB_UNSUSPENDED", "JOB_TERMINATED"]


def test_one_job_needs_no_dag(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    assert not (sent.folder / dagman.FILE).exists()
    assert sent.seen() == {"count": Seen("5000.0", "queued")}
    pool.work()
    assert sent.states() == {"count": "done"}


def test_where_files_are_shared_nothing_travels(pool: Pool, desk: Desk) -> None:
    site = pool_site().model_copy(update={"shared_files": True})
    sent = Sent(desk.study(), site).queue()
    pool.work()
    assert sent.states() == dict.fromkeys(("count", "gate", "fit", "sum"), "done")
    assert all(run.state() == "done" for run in runs_in(sent.runs))


def test_runs_that_stay_on_the_execute_side_leave_only_what_tells_of_them_here(pool: Pool, desk: Desk, tmp_path: Path) -> None:
    there = tmp_path / "staging" / "the runs"
    site = pool_site(runs_root=str(there), data_root={str(desk.texts): str(tmp_path / "elsewhere")})
    sent = Sent(desk.study(SHARES), site)
    sent.rewrite("count.sh", "sleep 60", "sleep 0")
    desk.texts.rename(tmp_path / "elsewhere")
    sent.queue()
    pool.work()
    assert set(sent.states().values()) == {"done"}
    here, whole = by_step(sent.runs), by_step(there)
    assert here.keys() == whole.keys() == {"count", "gate", "fit", "sum"}
    assert here["sum"].sections() == whole["sum"].sections() != []
    assert here["fit"].figures() == whole["fit"].figures()
    assert here["count"].state() == "done"
    assert [*output_of(whole["fit"])] == ["weight.txt"]
    assert output_of(here["fit"]) == {}


# ---- Arrays ----


def test_shares_bring_home_only_what_they_made_and_parts_that_wait_for_others_are_done_at_the_end(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(SHARES), pool_site(), steps=["count"])
    assert [job.name for job in sent.jobs] == ["count", "count-finish"]
    sent.queue()
    returned: list[set[str]] = []

    def look(id: str, folder: Path) -> str:
        run = by_step(sent.runs)["count"]
        returned.append({path.name for path in run.folder.glob("journal/*.jsonl")})
        return ""

    pool.work(look)
    assert sent.states() == {"count/0": "done", "count/1": "done", "count-finish": "done"}
    run = by_step(sent.runs)["count"]
    assert run.state() == "done"
    assert run.figures() == {"words": 5}
    assert sorted(path.name for path in run.folder.glob("journal/*.jsonl")) == ["0001-0of2-0.jsonl", "0002-1of2-0.jsonl", "0003.jsonl"]
    assert set() in returned
    assert {"0001-0of2-0.jsonl"} in returned


def test_rows_of_a_sweep_are_one_array_with_a_log_in_each_run(pool: Pool, desk: Desk) -> None:
    sent = Sent([desk.study(f"fit.rate={rate}") for rate in (0.1, 0.2)], pool_site(), steps=["fit"]).queue()
    pool.work()
    assert sent.states() == dict.fromkeys(("count", "gate", "fit/0", "fit/1"), "done")
    for run in runs_in(sent.runs):
        assert run.state() == "done"
        assert len(list(run.folder.glob("jobs/*.log"))) == 1


def test_a_row_that_is_not_queued_yet_waits_for_the_others(tmp_path: Path) -> None:
    job = submitted(tmp_path, "7", tasks=2)
    events.write([job.tasks[0].run / "jobs" / "condor-7.log"], 7, 0, events.executing("slot1@n", "/x"))
    assert HTCondor().poll([job]) == {
        job.key(0): Seen("7.0", "running", "", "n"),
        job.key(1): Seen("7.1", "queued", "others of the array go first"),
    }


# ---- Mishaps ----


def test_a_user_s_mistake_holds_the_job_with_its_reason_and_release_goes_on(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study('count.fail=["b"]'), pool_site()).queue()
    pool.work()
    assert sent.seen()["count"] == Seen("5001.0", "held", "the data have findings of severity error (exit code 65)", "twin-1")
    assert sent.states()["gate"] == "queued"
    run = by_step(sent.runs)["count"]
    assert run.state() == "failed"
    assert {one["code"] for one in run.findings()} == {"TOY001", "TOY003"}
    path = run.folder / "step.json"
    path.write_text(path.read_text().replace('"b"', '"nothing"'))
    subprocess.run(["condor_release", "5001.0"], check=True, capture_output=True)
    assert sent.seen()["count"].state == "queued"
    pool.work()
    assert sent.states() == dict.fromkeys(("count", "gate", "fit", "sum"), "done")
    assert by_step(sent.runs)["count"].attempts() == 2


def test_a_closed_gate_holds_the_dag_there(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study("gate.most=2"), pool_site()).queue()
    pool.work()
    assert sent.states() == {"count": "done", "gate": "held", "fit": "queued", "sum": "queued"}


def test_a_setup_line_that_fails_is_told_in_the_run_folder(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(setup=("module() { return 1; }", "module load cuda")), steps=["count"]).queue()
    pool.work()
    assert sent.seen()["count"].reason == "the study, or the job's setup, is wrong (exit code 78)"
    (said,) = by_step(sent.runs)["count"].folder.glob("jobs/*.err")
    assert "this setup line of site twins failed: module load cuda" in said.read_text()
    (log,) = by_step(sent.runs)["count"].folder.glob("jobs/*.log")
    assert foreign_events(log)[0].type.name == "SUBMIT", "the log here was not replaced by a copy of it"


def test_what_may_pass_is_tried_again_and_then_held(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"])
    sent.rewrite("count.sh", ' -m labwright step "$run" "$@" &', " -c 'raise SystemExit(1)' &")
    sent.queue()
    pool.work()
    assert sent.seen()["count"] == Seen("5000.0", "held", "exit code 1", "twin-1")
    (log,) = by_step(sent.runs)["count"].folder.glob("jobs/*.log")
    assert [event.type.name for event in foreign_events(log)].count("EXECUTE") == 4


def test_an_evicted_job_is_queued_and_goes_on(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    seen = []

    def evict_once(id: str, folder: Path) -> str:
        seen.append(sent.seen()["count"])
        return "evict" if len(seen) == 1 else ""

    pool.work(evict_once)
    assert seen[0] == Seen("5000.0", "running", "", "twin-1")
    assert sent.states() == {"count": "done"}
    (log,) = by_step(sent.runs)["count"].folder.glob("jobs/*.log")
    assert "JOB_EVICTED" in [event.type.name for event in foreign_events(log)]


def test_a_run_that_was_done_meanwhile_is_passed_over_by_the_dag(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site()).queue()
    desk.conduct(step="count")
    pool.work()
    assert {run.step: run.attempts() for run in runs_in(sent.runs)} == {"count": 1, "gate": 1, "fit": 1, "sum": 1}
    assert foreign_events(sent.folder / f"{dagman.FILE}.nodes.log")[0].type.name == "PRESKIP"


# ---- Cancel, tail, attach ----


def cancelling(sent: Sent, *, times: int = 1) -> Callable[[str, Path], str]:
    """Cancel the whole submission when the training is at work, and once more each time that is asked after."""
    left = times

    def look(id: str, folder: Path) -> str:
        nonlocal left
        if left and id == "5003.0" and any('"metric"' in path.read_text() for path in folder.glob("fit-*/journal/*.jsonl")):
            left -= 1
            for job in sent.submission.jobs:
                sent.launcher.cancel(job)
        return ""

    return look


def test_a_running_job_that_is_cancelled_brings_home_what_it_made_and_what_waits_for_it_never_starts(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study("fit.rounds=1000", "fit.sleep_s=0.05"), pool_site()).queue()
    pool.work(cancelling(sent))
    seen = sent.seen()
    assert {name: one.state for name, one in seen.items()} == {"count": "done", "gate": "done", "fit": "cancelled", "sum": "cancelled"}
    assert seen["fit"].reason == "it was cancelled (exit code 130)"
    assert seen["sum"].reason == "cancelled before its turn came"
    fit = by_step(sent.runs)["fit"]
    assert fit.state() == "stopped"
    assert fit.curves() != {}


@pytest.mark.parametrize("times", [1, 2])
def test_who_cannot_be_told_to_leave_or_was_told_before_is_removed(pool: Pool, desk: Desk, tmp_path: Path, times: int) -> None:
    sent = Sent(desk.study("fit.rounds=1000", "fit.sleep_s=0.05"), pool_site()).queue()
    tool(pool, tmp_path, "ssh_to_job", "sys.exit('not allowed here')" if times == 1 else "")
    pool.work(cancelling(sent, times=times))
    assert sent.seen()["fit"] == Seen("5003.0", "cancelled", "via condor_rm (by user twin)", "twin-1")


def test_cancelling_what_is_over_asks_nobody(pool: Pool, desk: Desk, tmp_path: Path) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    pool.work()
    tool(pool, tmp_path, "rm", "sys.exit('nobody should ask')")
    sent.launcher.cancel(sent.submission.jobs[0])
    assert sent.states() == {"count": "done"}


def test_one_task_of_an_array_can_be_cancelled(pool: Pool, desk: Desk) -> None:
    study = desk.study(SHARES)
    sent = Sent(study, pool_site(), steps=["count"])
    (array, _) = sent.submission.jobs
    sent.prepared = type(sent.prepared)(sent.prepared.rows, sent.jobs[:1], sent.site, sent.runs)
    (sent.folder / dagman.FILE).unlink()
    sent.queue()
    array = sent.submission.jobs[0]
    sent.launcher.cancel(array, [1])
    assert {key[-1]: one.state for key, one in sent.launcher.poll([array]).items()} == {"0": "queued", "1": "cancelled"}


def test_output_is_followed_by_condor_tail_only_while_it_is_out_of_sight(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    (job,) = sent.submission.jobs
    assert sent.launcher.tail(job, 0) is None
    followed = []

    def follow(id: str, folder: Path) -> str:
        if "native words" in (folder / "_condor_stdout").read_text():
            words = sent.launcher.tail(job, 0)
            assert words == ["condor_tail", "-f", "5000.0"]
            followed.append(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        return ""

    pool.work(follow)
    assert "native words about" in followed[0]
    assert sent.launcher.tail(job, 0) is None
    text = (sent.folder / "count.sub").read_text()
    (sent.folder / "count.sub").write_text(text.replace("should_transfer_files = YES", "should_transfer_files = NO"))
    assert sent.launcher.tail(job, 0) is None


def test_attaching_runs_a_command_beside_a_running_task(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study("count.sleep_s=0.2"), pool_site(), steps=["count"]).queue()
    (job,) = sent.submission.jobs
    with pytest.raises(MissingError, match="it is queued, not running"):
        sent.launcher.attach(job, 0, ["ls"])
    listed = []

    def enter(id: str, folder: Path) -> str:
        words = sent.launcher.attach(job, 0, ["ls", "-d", "cond or", "condor_exec.exe"])
        assert words == ["condor_ssh_to_job", "-auto-retry", "5000.0", "ls -d 'cond or' condor_exec.exe"]
        listed.append(subprocess.run(words, capture_output=True, text=True, check=False).stdout.split())
        return ""

    pool.work(enter)
    assert listed[0] == ["condor_exec.exe"]


def test_attaching_without_a_command_opens_a_shell(tmp_path: Path) -> None:
    job = submitted(tmp_path, "7")
    events.write([job.tasks[0].run / "jobs" / "condor-7.log"], 7, 0, events.executing("slot1@n", "/x"))
    assert HTCondor().attach(job, 0, ("bash",)) == ["condor_ssh_to_job", "-auto-retry", "7.0"]


# ---- Answers that are late, odd, old or empty ----


def submitted(folder: Path, id: str = "12345678901", *, tasks: int = 1) -> Submitted:
    (folder / "runs" / "train-0a1b2c3d4e" / "jobs").mkdir(parents=True)
    place = folder / "runs" / "jobs" / "stamp"
    place.mkdir(parents=True)
    return Submitted("train", "train", tuple(Task(folder / "runs" / "train-0a1b2c3d4e") for _ in range(tasks)), id, "htcondor", place)


def test_a_log_with_the_largest_numbers_is_understood(tmp_path: Path) -> None:
    job = submitted(tmp_path, tasks=2)
    log = job.tasks[0].run / "jobs" / f"condor-{job.id}.log"
    events.write([log], int(job.id), 0, events.submitted())
    events.write([log], int(job.id), 1, events.submitted())
    events.write([log], int(job.id), 1, events.executing("slot1_12@node.example.org", "/x"))
    seen = HTCondor().poll([job])
    assert seen == {
        job.key(0): Seen("12345678901.0", "queued"),
        job.key(1): Seen("12345678901.1", "running", "", "node.example.org"),
    }


def test_without_its_log_a_job_is_as_the_queue_and_then_its_history_say(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    log = by_step(sent.runs)["count"].folder / "jobs" / "condor-5000.log"
    log.rename(log.with_suffix(".gone"))
    assert sent.seen()["count"] == Seen("5000.0", "queued", name="count")
    pool.work()
    log.unlink()
    assert sent.seen()["count"] == Seen("5000.0", "done", name="count")


@pytest.mark.parametrize("answer", ["", "sys.exit('Failed to connect to schedd')", "print('[ {')", "print('{}')", "print('[1, null]')"])
def test_what_nobody_knows_is_unknown_and_never_over(pool: Pool, tmp_path: Path, answer: str) -> None:
    for name in ("q", "history"):
        tool(pool, tmp_path, name, answer)
    job = submitted(tmp_path)
    (seen,) = HTCondor().poll([job]).values()
    assert seen.state == "unknown"


def test_without_htcondor_s_tools_logs_are_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    job = submitted(tmp_path, "7")
    (seen,) = HTCondor().poll([job]).values()
    assert seen.state == "unknown"
    events.write([job.tasks[0].run / "jobs" / "condor-7.log"], 7, 0, events.held("no", 1, 0))
    (seen,) = HTCondor().poll([job]).values()
    assert seen == Seen("7.0", "held", "no")
    with pytest.raises(MissingError, match="condor_q is not installed here"):
        HTCondor().poll(None)


def test_a_log_that_cannot_be_read_is_no_end(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    log = by_step(sent.runs)["count"].folder / "jobs" / "condor-5000.log"
    log.unlink()
    log.mkdir()
    assert sent.seen()["count"].state == "queued"


def test_old_versions_are_asked_without_json(pool: Pool, tmp_path: Path) -> None:
    script = "\n".join(
        [
            "if '-json' in sys.argv:",
            "    sys.exit('Error: unrecognized option -json')",
            "assert sys.argv[1] == '-autoformat:t'",
            "print('812\\t0\\t5\\tdisk quota exceeded\\tundefined\\tundefined\\tundefined\\tundefined\\tundefined')",
            "print('812\\t1\\t2\\tundefined\\tslot1@node7\\tpredict\\tundefined\\tundefined\\tundefined')",
            "print('-- Schedd: twin : <127.0.0.1:9618>')",
        ]
    )
    tool(pool, tmp_path, "q", script)
    assert HTCondor().poll(None) == {
        "812.0": Seen("812.0", "held", "disk quota exceeded"),
        "812.1": Seen("812.1", "running", "", "node7", "predict"),
    }


def test_all_jobs_of_a_user_are_told_with_the_names_of_ours(pool: Pool, desk: Desk) -> None:
    assert HTCondor().poll(None) == {}
    Sent(desk.study(), pool_site(), steps=["count"]).queue()
    assert HTCondor().poll(None) == {"5000.0": Seen("5000.0", "queued", name="count")}


def test_a_dag_that_ended_before_a_job_s_turn_cancels_it_and_a_held_one_holds_it(pool: Pool, desk: Desk) -> None:
    sent = Sent(desk.study(), pool_site()).queue()
    log = sent.folder / f"{dagman.FILE}.dagman.log"
    events.write([log], 5000, 0, events.held("the disk is full", 34, 0))
    assert sent.seen()["sum"] == Seen("5000", "held", "DAGMan is held: the disk is full")
    events.write([log], 5000, 0, events.aborted("via condor_rm"))
    assert sent.seen()["sum"] == Seen("5000", "cancelled", "the DAG ended before its turn came")
    log.unlink()
    assert sent.seen()["sum"].state == "unknown"


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ("sys.exit('ERROR: No accounting group')", FaultError, "No accounting group"),
        ("print('Submitting job(s).')", FaultError, "did not say under which number"),
    ],
)
def test_a_refused_submission_says_why_and_records_no_id(
    pool: Pool, desk: Desk, tmp_path: Path, answer: str, error: type[Exception], text: str
) -> None:
    tool(pool, tmp_path, "submit", answer)
    sent = Sent(desk.study(), pool_site(), steps=["count"])
    with pytest.raises(error, match=text):
        sent.queue()
    assert [job.id for job in sent.submission.jobs] == [""]


def test_the_words_of_an_old_condor_submit_are_understood(pool: Pool, desk: Desk, tmp_path: Path) -> None:
    tool(pool, tmp_path, "submit", "print('Submitting job(s)\\nLogging submit event(s)\\n1 job(s) submitted to cluster 12.')")
    sent = Sent(desk.study(), pool_site(), steps=["count"]).queue()
    assert [job.id for job in sent.submission.jobs] == ["12"]

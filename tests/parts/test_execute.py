"""A run that was stopped, killed or refused comes to the same end when the same call is made again."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from labwright.parts.claims import Busy
from labwright.parts.execute import execute, finish_run, frozen_parts
from labwright.parts.shares import Share
from labwright.runs.errors import DataError, Exit, MissingError, Stopped
from labwright.runs.faults import STAGES
from labwright.runs.publish import TEMPORARY
from labwright.runs.run import Run
from tests.parts.toy_recipe import Desk, output_of, until

POINTS = [
    *(f"parts:{stage}" for stage in STAGES),
    *(f"shard:{stage}@2" for stage in STAGES),
    "output:before-rename",
    "part:before-record@2",
    "part:after-record@3",
    "journal:mid-line@6",
    "finish:before",
    *(f"done:{stage}" for stage in STAGES),
    "finish:after",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_comes_to_the_same_end(desk: Desk, point: str) -> None:
    run = desk.created("count")
    assert desk.labwright("step", str(run.folder), fault=point).returncode == -signal.SIGKILL
    complete = point in ("done:after-rename", "finish:after")
    assert (run.state() == "done") == complete
    assert execute(run, quiet=True) == Exit.DONE
    assert run.state() == "done"
    assert run.verify(checksums=True) == []
    assert not list(run.folder.rglob(f"{TEMPORARY}*"))

    unbroken = desk.created("count", f"run.folder={desk.folder / 'unbroken'}")
    execute(unbroken, quiet=True)
    assert output_of(run) == output_of(unbroken)
    done, other = run.done(), unbroken.done()
    assert done is not None
    assert other is not None
    for name in ("fingerprint", "figures", "findings", "output"):
        assert done[name] == other[name]
    assert done["attempts"] == (1 if complete else 2)


def test_parts_that_are_done_are_not_done_again(desk: Desk) -> None:
    run = desk.created("count")
    desk.labwright("step", str(run.folder), fault="part:after-record@2")
    before = run.records("part")
    assert len(before) == 2
    execute(run, quiet=True)
    assert [record["id"] for record in run.records("part")].count(before[0]["id"]) == 1
    assert len(run.records("part")) == 4


def test_done_json_says_what_the_run_came_to(desk: Desk) -> None:
    run = desk.created("count")
    execute(run, quiet=True)
    done = run.done()
    assert done is not None
    assert done["fingerprint"] == run.fingerprint
    assert done["figures"] == {"words": 5}
    assert done["findings"] == {"error": 0, "warning": 1, "note": 0}
    assert {row["stage"] for row in done["energy"]} >= {"count", "finish"}
    assert done["began"] == pytest.approx(time.time(), abs=60)
    assert sorted(done["output"]) == ["a/count.txt", "all.json", "b/count.txt", "c/count.txt"]


def test_a_run_that_is_done_is_left_alone(desk: Desk) -> None:
    run = desk.created("count")
    execute(run, quiet=True)
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.name != "claim.lock"}
    assert execute(run, quiet=True) == Exit.DONE
    assert finish_run(run, quiet=True) == Exit.DONE
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert run.attempts() == 1


def test_shares_and_finishing_make_what_one_process_makes(desk: Desk) -> None:
    one = desk.created("count", f"run.folder={desk.folder / 'one'}")
    execute(one, quiet=True)
    run = desk.created("count")
    with pytest.raises(MissingError, match="no part is done"):
        finish_run(run, quiet=True)
    assert run.state() == "failed"
    assert desk.labwright("step", str(run.folder), "--share", "1/2").returncode == Exit.DONE
    assert run.state() == "ready"
    with pytest.raises(MissingError, match=r"2 of 4 parts are not done: all, b"):
        finish_run(run, quiet=True)
    # The part that gathers the others comes first in its share and waits for theirs.
    assert execute(run, share=Share(0, 2), finish=False, quiet=True) == Exit.DONE
    assert run.state() == "ready"
    assert desk.labwright("step", str(run.folder), "--finish").returncode == Exit.DONE
    assert run.state() == "done"
    assert output_of(run) == output_of(one)


def test_the_parts_are_frozen_at_the_start(desk: Desk) -> None:
    run = desk.created("count")
    desk.labwright("step", str(run.folder), fault="part:before-record")
    (desk.texts / "d.txt").write_text("late")
    execute(run, quiet=True)
    parts = frozen_parts(run)
    assert parts is not None
    assert [part.id for part in parts] == ["all", "a", "b", "c"]
    assert parts[0].after == ("a", "b", "c")


def test_a_signal_stops_between_parts_with_75(desk: Desk) -> None:
    run = desk.created("count", "count.sleep_s=0.5")
    with desk.start("step", str(run.folder)) as process:
        until(lambda: run.records("part"))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == Exit.AGAIN
    assert "Run the same command again" in err
    assert "Traceback" not in err
    assert run.state() == "stopped"
    end = run.records("end")[-1]
    assert end["code"] == Exit.AGAIN
    assert "SIGTERM came" in end["reason"]
    assert execute(run, quiet=True) == Exit.DONE


def test_a_signal_within_a_training_stops_it_within_a_round(desk: Desk) -> None:
    desk.conduct(step="gate")
    with desk.start("run", "study.yaml", "--set", "fit.rounds=1000", "--set", "fit.sleep_s=0.05") as process:
        until(lambda: list(desk.folder.glob("runs/fit-*/journal/*.jsonl")) and desk_run(desk).records("metric"))
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=20)
    assert process.returncode == Exit.AGAIN
    assert desk_run(desk).state() == "stopped"


def desk_run(desk: Desk) -> Run:
    return Run.open(next(desk.folder.glob("runs/fit-*")))


def test_a_deadline_stops_like_a_signal(desk: Desk) -> None:
    run = desk.created("count", "count.sleep_s=0.2")
    with pytest.raises(Stopped, match="the deadline has come"):
        execute(run, quiet=True, deadline=time.time() + 0.3)
    assert run.state() == "stopped"
    assert 1 <= len(run.part_figures()) < 4


def test_a_second_process_is_refused_and_harms_nothing(desk: Desk) -> None:
    run = desk.created("count", "count.sleep_s=0.5")
    with desk.start("step", str(run.folder)) as process:
        until(lambda: run.records("start"))
        second = desk.labwright("step", str(run.folder))
        assert second.returncode == Exit.AGAIN
        assert f"process {process.pid}" in second.stderr
        with pytest.raises(Busy):
            finish_run(run, quiet=True)
        process.communicate()
    assert process.returncode == Exit.DONE
    assert run.attempts() == 1


def test_an_error_closes_the_attempt_with_its_code(desk: Desk) -> None:
    run = desk.created("count", "count.fail=[a]")
    with pytest.raises(DataError):
        execute(run, quiet=True)
    assert run.state() == "failed"
    assert run.records("end")[-1]["code"] == Exit.DATA
    assert (run.folder / "journal" / "0001.log").read_text().endswith("# ended with exit code 65: a: the text cannot be read\n")


def test_an_error_of_ours_leaves_its_traceback_in_the_log_alone(desk: Desk) -> None:
    (desk.texts / "b.txt").write_bytes(b"\xff\xfe")
    run = desk.created("count")
    outcome = desk.labwright("step", str(run.folder))
    assert outcome.returncode == Exit.FAULT
    assert "Traceback" not in outcome.stdout + outcome.stderr
    assert "UnicodeDecodeError" in (run.folder / "journal" / "0001.log").read_text()
    assert run.records("end")[-1]["reason"].startswith("UnicodeDecodeError")


def test_mended_data_take_their_finding_with_them(desk: Desk) -> None:
    (desk.texts / "a.txt").write_text("   ")
    run = desk.created("count", "count.fail=[b]")
    with pytest.raises(DataError):
        execute(run, quiet=True)
    assert "TOY003" in [one["code"] for one in run.findings()]
    description = run.description
    description["options"]["fail"] = []
    (run.folder / "step.json").write_text(json.dumps(description))
    execute(Run.open(run.folder), quiet=True)
    assert sorted((one["code"], one["place"]) for one in run.findings()) == [("TOY001", "a"), ("TOY001", "c")]


@pytest.mark.parametrize("harm", ["damaged", "stale"])
def test_a_run_that_cannot_be_trusted_is_not_finished_again(desk: Desk, harm: str) -> None:
    run = desk.created("count")
    execute(run, quiet=True)
    if harm == "damaged":
        run.output("all.json").unlink()
    else:
        (run.folder / "stale.json").write_text("{}")
    for call in (execute, finish_run):
        with pytest.raises(DataError, match=f"the run is {harm}"):
            call(run, quiet=True)
    assert run.state() == harm


def test_leftovers_of_the_dead_are_swept_and_those_of_others_are_not(desk: Desk) -> None:
    run = desk.created("count")
    assert desk.labwright("step", str(run.folder), fault="shard:before-rename").returncode == -signal.SIGKILL
    (left,) = run.output().rglob(f"{TEMPORARY}*")
    foreign = left.with_name(f"{TEMPORARY}00000000-1-0-x")
    foreign.write_text("half")
    execute(run, quiet=True)
    assert not left.exists()
    assert foreign.exists()
    assert run.state() == "done"
    assert foreign.relative_to(run.output()).as_posix() not in (run.done() or {})["output"]


def test_it_runs_outside_of_the_main_thread(desk: Desk) -> None:
    run = desk.created("count")
    codes: list[Exit] = []
    thread = threading.Thread(target=lambda: codes.append(execute(run, quiet=True)))
    thread.start()
    thread.join()
    assert codes == [Exit.DONE]
    assert os.getpid() == run.records("start")[0]["pid"]

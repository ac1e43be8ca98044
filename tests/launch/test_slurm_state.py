"""What Slurm's tools print is read as it is meant, and what makes no sense concludes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen
from labwright.launch.slurm_state import book, by_task, exit_code, of_task, queue

QUEUE = """\
CLUSTER: horeka
17|RUNNING|None|2026-11-21T04:12:54|hkn[0401-0402]|train@colony
18|PENDING|Dependency|N/A||predict | with a bar
20_3|RUNNING|None|2026-11-21T04:12:54|hkn0403|predict@colony
20_[5-9%2]|PENDING|JobArrayTaskLimit|N/A||predict@colony
21|COMPLETING|None|2026-11-21T04:12:54|hkn0404|x
22+0|PENDING|Priority|2026-11-22T00:00:00||het
slurm_load_jobs error: something
"""


def test_one_answer_tells_of_jobs_tasks_and_ranges() -> None:
    seen = queue(QUEUE)
    assert seen["17"] == Seen("17", RUNNING, "", "hkn[0401-0402]", "train@colony")
    assert seen["18"] == Seen("18", QUEUED, "a job that it needs is not done (Dependency)", "", "predict | with a bar")
    assert seen["20_[5-9]"].reason == "as many tasks of the array run as may run at a time (JobArrayTaskLimit)"
    assert seen["21"].state == ENDING
    assert list(seen) == ["17", "18", "20_3", "20_[5-9]", "21", "22+0"]


def test_ranges_are_told_by_task() -> None:
    tasks = by_task(queue(QUEUE))
    assert [id for id in tasks if id.startswith("20_")] == ["20_3", "20_5", "20_6", "20_7", "20_8", "20_9"]
    assert of_task(tasks, "20_7") == tasks["20_7"]
    assert of_task(tasks, "20_4") is None


@pytest.mark.parametrize(
    ("written", "indices"),
    [
        ("[1,3-5,8-16:4%2]", [1, 3, 4, 5, 8, 12, 16]),
        ("[0-2]", [0, 1, 2]),
        ("[7]", [7]),
        ("7", [7]),
        ("[0-8:4%1]", [0, 4, 8]),
    ],
)
def test_indices_of_an_array(written: str, indices: list[int]) -> None:
    seen = by_task(queue(f"30_{written}|PENDING|Priority|N/A||x"))
    assert list(seen) == [f"30_{index}" for index in indices]
    assert {one.id for one in seen.values()} == set(seen)


def test_a_list_that_was_cut_short_speaks_for_the_rest() -> None:
    tasks = by_task(queue("30_[1,3,5,...]|PENDING|Priority|N/A||x\n30_0|RUNNING|None|N/A|n1|x"))
    assert of_task(tasks, "30_9") == Seen("30_9", QUEUED, "other jobs go first (Priority)", "", "x")
    found = of_task(tasks, "30_0")
    assert found is not None
    assert found.state == RUNNING


@pytest.mark.parametrize(
    ("word", "reason", "state", "said"),
    [
        ("PENDING", "Priority", QUEUED, "other jobs go first"),
        ("PENDING", "Resources", QUEUED, "no node is free"),
        ("PENDING", "ReqNodeNotAvail, UnavailableNodes:n1", QUEUED, "its nodes are down, reserved"),
        ("PENDING", "BeginTime", QUEUED, "queued again (BeginTime), starts at 2026-11-22T05:00:00"),
        ("PENDING", "QOSMaxJobsPerUserLimit", QUEUED, "a limit of the account or its users"),
        ("PENDING", "AssocGrpCpuLimit", QUEUED, "a limit of the account or its users"),
        ("PENDING", "(Dependency)", QUEUED, "a job that it needs is not done"),
        ("PENDING", "DependencyNeverSatisfied", QUEUED, "this one will never start"),
        ("PENDING", "JobHeldUser", HELD, "its owner holds it"),
        ("PENDING", "JobHeldAdmin", HELD, "an administrator holds it"),
        ("PENDING", "launch failed requeued held", HELD, "it failed to start"),
        ("PENDING", "SomethingNew", QUEUED, "SomethingNew"),
        ("PENDING", "None", QUEUED, "starts at"),
        ("REQUEUE_HOLD", "None", HELD, "Slurm holds it"),
        ("SUSPENDED", "None", HELD, "Slurm has suspended it"),
        ("CONFIGURING", "None", RUNNING, "its node is being made ready"),
        ("COMPLETED", "None", DONE, ""),
        ("A_STATE_OF_LATER", "None", UNKNOWN, "Slurm says A_STATE_OF_LATER"),
    ],
)
def test_why_a_job_waits_is_told_in_plain_words(word: str, reason: str, state: str, said: str) -> None:
    (seen,) = queue(f"5|{word}|{reason}|2026-11-22T05:00:00||x").values()
    assert seen.state == state
    assert said in seen.reason


@pytest.mark.parametrize(
    ("word", "code", "state", "said"),
    [
        ("COMPLETED", "0:0", DONE, ""),
        ("FAILED", "65:0", FAILED, "exit code 65: the data have findings of severity error"),
        ("FAILED", "75:0", FAILED, "exit code 75: it stopped early; submit it again to go on"),
        ("FAILED", "3:0", FAILED, "exit code 3"),
        ("FAILED", "0:53", FAILED, "its output file could not be opened"),
        ("FAILED", "0:9", FAILED, "signal 9 ended it"),
        ("TIMEOUT", "0:0", FAILED, "its time was over"),
        ("OUT_OF_MEMORY", "0:125", FAILED, "it needed more memory than it asked for"),
        ("NODE_FAIL", "0:0", FAILED, "a node failed"),
        ("CANCELLED by 1007", "0:0", CANCELLED, "user 1007 cancelled it"),
        ("CANCELLED by 0", "0:0", CANCELLED, "Slurm or its administrator cancelled it"),
        ("CANCELLED+", "0:0", CANCELLED, "it was cancelled"),
        ("PREEMPTED", "0:0", CANCELLED, "make room for another job"),
        ("RUNNING", "0:0", RUNNING, ""),
        ("A_STATE_OF_LATER", "0:0", UNKNOWN, "Slurm says A_STATE_OF_LATER"),
    ],
)
def test_how_a_job_ended_is_told_in_plain_words(word: str, code: str, state: str, said: str) -> None:
    (seen,) = book(f"5|{word}|{code}|n1").values()
    assert (seen.state, seen.host) == (state, "n1")
    assert said in seen.reason
    assert bool(seen.reason) == bool(said)


def test_the_accounting_tells_of_tasks_and_not_of_steps() -> None:
    text = "9_0|FAILED|75:0|n1\n9_0.batch|FAILED|75:0|n1\n9_1|COMPLETED|0:0|n2\n9_[2-3%2]|CANCELLED by 0|0:0|None assigned\n"
    seen = by_task(book(text))
    assert {id: one.state for id, one in seen.items()} == {"9_0": FAILED, "9_1": DONE, "9_2": CANCELLED, "9_3": CANCELLED}
    assert (exit_code(seen["9_0"]), exit_code(seen["9_1"])) == (75, None)
    assert seen["9_2"].host == ""


def test_of_several_attempts_the_last_counts() -> None:
    assert book("9|NODE_FAIL|0:0|n1\n9|COMPLETED|0:0|n2")["9"].state == DONE


def test_fewer_fields_than_asked_for_are_enough() -> None:
    assert book("9|COMPLETED")["9"].state == DONE


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_no_answer_is_too_odd(text: str) -> None:
    for seen in (*by_task(queue(text)).values(), *by_task(book(text)).values()):
        assert seen.id[0].isdigit()


@given(st.lists(st.sampled_from(["1_[", "2_[3-", "4", "|PENDING|", "BeginTime|", "||", "\n", "%", "]", "_", "FAILED|x:y|"])))
def test_no_torn_answer_is_too_odd(pieces: list[str]) -> None:
    for read in (queue, book):
        for seen in by_task(read("".join(pieces))).values():
            assert seen.id[0].isdigit()

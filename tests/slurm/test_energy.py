"""Joules of jobs by the accounting of a real Slurm, where there are none and where they were written into its database."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labwright.cli.main import main
from labwright.launch import accounting
from tests.slurm.cluster import Cluster, until

pytestmark = pytest.mark.slurm
ENERGY = 3
"""Slurm's number for energy among the things that it counts."""


def write(slurm: Cluster, *figures: tuple[str, int] | tuple[str, int, str]) -> None:
    """Set the joules of jobs, of one attempt (a state) if given, as slurmctld does when a plugin counts."""
    states = {"COMPLETED": 3, "CANCELLED": 4, "PREEMPTED": 8}

    def settled() -> bool:
        """Slurm itself writes the rows of young jobs again, all five seconds."""
        for job, joules, *attempt in figures:
            which = f"id_job={job}" + "".join(f" and state={states[one]}" for one in attempt)
            others = f"regexp_replace(tres_alloc, ',?\\\\b{ENERGY}=[0-9]+', '')"
            slurm.database(f"update twonodes_job_table set tres_alloc=concat({others}, ',{ENERGY}={joules}') where {which}")
        written = slurm.database("select job_db_inx, tres_alloc from twonodes_job_table")
        time.sleep(6)
        return slurm.database("select job_db_inx, tres_alloc from twonodes_job_table") == written

    until(settled)


def asked(capsys: pytest.CaptureFixture[str], since: str, jobs: int, *words: str) -> dict[str, Any]:
    """What the command says, once accounting has heard of so many jobs."""
    until(lambda: len(accounting.ask(since=since)[0]) >= jobs)
    capsys.readouterr()
    assert main(["energy", "--slurm", "--since", since, "--json", *words]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


@pytest.fixture
def since() -> str:
    """Now, to the second; what ran in earlier tests is over by the next."""
    time.sleep(1.1)
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def test_a_cluster_that_counts_nothing_is_not_measured(slurm: Cluster, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    for script in ("sleep 1", "srun sleep 1"):
        slurm.ended(slurm.batch(script, "--exclusive"))
    printed = asked(capsys, since, 2)
    assert [(row["joules"], row["trust"]) for row in printed["rows"]] == [(None, "not measured")] * 2
    assert printed["joules"] is None
    assert main(["energy", "--slurm", "--since", since]) == 0
    said = capsys.readouterr().out
    assert "Energy: not measured: none of 2 jobs" in said
    assert " 0 J" not in said


def test_joules_in_the_database_come_out_a_row_a_job_with_their_sum(slurm: Cluster, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = slurm.batch("sleep 2", "--partition=cpuonly", "--job-name=one|wide", "--nodes=2")
    slurm.ended(one)
    shared = slurm.batch("sleep 2", "--job-name=shared")
    cancelled = slurm.batch("sleep 60", "--exclusive", "--job-name=cancelled")
    slurm.until(cancelled, "RUNNING")
    time.sleep(2)
    slurm.tool("scancel", cancelled)
    jump = slurm.batch("sleep 1", "--exclusive", "--job-name=jump")
    for job in (shared, cancelled, jump):
        slurm.ended(job)
    write(slurm, (one, 1200), (shared, 900), (cancelled, 600), (jump, 10**15))
    printed = asked(capsys, since, 4, "--user", "root")
    rows = {row["id"]: row for row in printed["rows"]}
    assert (rows[one]["user"], rows[one]["account"], rows[one]["name"], rows[one]["nodes"]) == ("root", "lab", "one|wide", 2)
    trust = {id: (row["joules"], row["trust"]) for id, row in rows.items()}
    assert trust == {
        one: (1200.0, "own nodes"),
        shared: (900.0, "shared node"),
        cancelled: (600.0, "own nodes"),
        jump: (1e15, "implausible"),
    }
    assert rows[cancelled]["state"].startswith("CANCELLED")
    assert (printed["joules"], printed["jobs"], printed["kwh"]) == (1800.0, 2, 1800 / 3.6e6)
    main(["energy", "--slurm", "--since", since])
    assert "1800 J (0.0005 kWh) over 2 jobs on nodes of their own" in capsys.readouterr().out


def test_all_attempts_of_a_preempted_job_are_in_the_sum(slurm: Cluster, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    low = slurm.batch("sleep 2; [ ${SLURM_RESTART_COUNT:-0} = 1 ] || sleep 60", "--partition=low", "--nodes=2", "--exclusive", "--requeue")
    slurm.until(low, "RUNNING")
    time.sleep(2)
    slurm.tool("srun", "--nodes=2", "--exclusive", "--job-name=first", "true")
    assert slurm.ended(low) == ["PREEMPTED", "COMPLETED"]
    write(slurm, (low, 700, "PREEMPTED"), (low, 800, "COMPLETED"))
    printed = asked(capsys, since, 3)
    attempts = [(row["state"], row["joules"]) for row in printed["rows"] if row["id"] == low]
    assert attempts == [("PREEMPTED", 700.0), ("COMPLETED", 800.0)]
    assert printed["joules"] == 1500.0


def test_joules_that_only_the_steps_have_count_for_their_job(slurm: Cluster, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = slurm.batch("srun sleep 1; srun sleep 1", "--exclusive")
    slurm.ended(job)
    for step, joules in ((-5, 310), (0, 100), (1, 120)):
        slurm.database(
            f"update twonodes_step_table s join twonodes_job_table j on s.job_db_inx=j.job_db_inx set s.consumed_energy={joules}, "
            f"s.tres_usage_in_tot='{ENERGY}={joules}' where j.id_job={job} and s.id_step={step}"
        )
    (row,) = asked(capsys, since, 1)["rows"]
    assert (row["joules"], row["trust"]) == (310.0, "own nodes")


def test_a_running_job_is_not_final_and_a_waiting_one_is_not_there(slurm: Cluster, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    running = slurm.batch("sleep 60", "--exclusive", "--nodes=2")
    slurm.until(running, "RUNNING")
    slurm.batch("true", "--array=0-3%2", "--exclusive")
    assert [(row["id"], row["trust"]) for row in asked(capsys, since, 2)["rows"]] == [(running, "running")]


def test_users_who_ran_nothing_are_told_so(slurm: Cluster, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", "--slurm", "--since", since, "--user", "nobody"]) == 66
    assert "lists no job of nobody" in capsys.readouterr().err


def test_an_accounting_that_is_down_is_unknown(
    slurm: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "slurm.conf"
    text = slurm.conf.read_text(encoding="utf-8").replace("accounting_storage/slurmdbd", "accounting_storage/none")
    nowhere.write_text(text, encoding="utf-8")
    monkeypatch.setenv("SLURM_CONF", str(nowhere))
    assert main(["energy", "--slurm"]) == 66
    assert "unknown: Slurm accounting storage is disabled" in capsys.readouterr().err


numbers = st.tuples(st.integers(0, 50), st.integers(0, 9)).map(lambda one: f"{one[0]:03d}-{sum(one):03d}" if one[1] else f"{one[0]:03d}")
names = st.tuples(st.sampled_from(["n", "gpu"]), st.lists(numbers, min_size=1, max_size=3).map(",".join)).map(
    lambda one: f"{one[0]}[{one[1]}]"
)


@settings(max_examples=25)
@given(st.lists(names, min_size=1, max_size=3).map(",".join))
def test_host_lists_are_read_as_slurm_reads_them(cluster: Cluster, text: str) -> None:
    assert accounting.hosts(text) == cluster.tool("scontrol", "show", "hostnames", text).split()

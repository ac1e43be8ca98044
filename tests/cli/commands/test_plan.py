"""``plan``: the steps, and with ``--on`` the files that would be sent, under their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.launch.launcher import QUEUED
from labwright.runs.journal import Journal
from tests.cli.scheduler import Scheduler, jobs


def test_the_table_comes_first_and_then_every_file(labwright, study: Path) -> None:
    said = labwright("plan", "study.yaml", "--on", "slurm")
    assert said.code == 0
    table, _, files = said.out.partition("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == ["step", "pack", "check", "train", "evaluate"]
    names = [line.split()[1] for line in files.splitlines() if line.startswith("==> ")]
    assert names == [f"runs/jobs/STAMP/{name}.sbatch" for name in ("pack", "check", "train", "evaluate")]
    assert not Path("runs").exists()
    content = labwright("plan", "study.yaml", "--on", "slurm", "--json").json
    assert list(content["files"]) == [Path(name).name for name in names]
    assert [row["step"] for row in content["steps"]] == ["pack", "check", "train", "evaluate"]


def test_the_rows_of_a_sweep_are_tables_of_their_own(labwright, study: Path) -> None:
    out = labwright("plan", "study.yaml", "--sweep", "train.guess=1,2").out
    assert [line for line in out.splitlines() if line.startswith("guess")] == ["guess=1", "guess=2"]
    rows = labwright("plan", "study.yaml", "--sweep", "train.guess=1,2", "--json").json
    assert [row["set"] for row in rows if row["step"] == "train"] == [["train.guess=1"], ["train.guess=2"]]


@pytest.mark.parametrize("on", ["slurm", "local"])
def test_files_of_a_study_that_runs_are_shown_beside_a_refusal(labwright, study: Path, slurm: Scheduler, on: str) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    assert slurm.states[jobs(Path("runs"))["pack"].key(0)].state == QUEUED
    for said in (labwright("plan", "study.yaml", "--on", on), labwright("submit", "study.yaml", "--on", on, "--dry-run")):
        assert said.code == 0
        assert "==> runs/jobs/STAMP/pack." in said.out
        assert "labwright: submit would refuse this now: pack-" in said.err
        assert "job 100 has this run already" in said.err
    for words in (["plan", "study.yaml"], ["submit", "study.yaml", "--dry-run"]):
        said = labwright(*words, "--on", on, "--json")
        assert said.json["files"]
        assert "job 100 has this run already" in said.json["refused"]["what"]


def test_a_plan_tells_what_began_from_what_was_only_prepared(labwright, study: Path, slurm: Scheduler) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    why = {row["step"]: row["why"] for row in labwright("plan", "study.yaml", "--json").json}
    assert set(why.values()) == {"prepared; no process has begun it"}
    (run,) = Path("runs").glob("pack-*")
    journal = Journal(run / "journal" / "0001.jsonl")
    journal.record("start", attempt=1, share="0/2")
    journal.record("end", code=0, reason="")
    journal.close()
    why = {row["step"]: row["why"] for row in labwright("plan", "study.yaml", "--json").json}
    assert why["pack"] == "a part of it is done; goes on"
    assert why["check"] == "prepared; no process has begun it"

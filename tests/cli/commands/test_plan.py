"""``plan``: the steps, and with ``--on`` the files that would be sent, under their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.launch.launcher import QUEUED
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
def test_a_plan_for_a_site_refuses_what_submit_would(labwright, study: Path, slurm: Scheduler, on: str) -> None:
    labwright("submit", "study.yaml", "--on", "slurm")
    assert slurm.states[jobs(Path("runs"))["pack"].key(0)].state == QUEUED
    said = labwright("plan", "study.yaml", "--on", on)
    assert said.code == 75
    # The steps are shown all the same.
    assert said.out.splitlines()[1].startswith("pack")
    assert "job 100 has this run already" in said.err

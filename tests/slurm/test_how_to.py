"""``docs/how-to/run-on-slurm.md`` does what it says, block by block, on a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.runs.run import runs_in
from labwright.testing.commands import until
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.docs.blocks import bash_blocks, run
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm

SMALL = """kind: slurm
setup: ["export MASTER_ADDR=127.0.0.1"]
queues:
  cpu: {resources: {cpus: 1, memory_gb: 1.5, minutes: 20}}
  gpu: {resources: {cpus: 1, memory_gb: 1.5, minutes: 20}}
"""
"""The generic site for nodes as small as the virtual ones; a file of the same name in ``sites`` goes first."""


def test_the_commands_of_the_page_run(slurm: Cluster, tmp_path: Path, repository: Path) -> None:
    study = tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "generic-slurm.yaml").write_text(SMALL)
    blocks = bash_blocks(repository / "docs" / "how-to" / "run-on-slurm.md")
    assert len(blocks) >= 8
    for block in blocks:
        if "labwright cancel" not in block:
            until(lambda: not slurm.tool("squeue", "--noheader"), 240)
        run(block, tmp_path)
    until(lambda: not slurm.tool("squeue", "--noheader"), 240)

    made = runs_in(tmp_path / "runs")
    assert {run.state() for run in made} == {"done"}
    # One row of the grid is the study as it stands.
    assert [run.step for run in made].count("train") == 4
    assert sorted(path.name for path in (tmp_path / "sites").iterdir()) == ["generic-slurm.yaml", "mycluster.yaml"]
    assert study.is_file()

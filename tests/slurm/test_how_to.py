"""``docs/how-to/run-on-slurm.md`` does what it says, block by block, on a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from labwright.runs.run import runs_in
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.docs.blocks import bash_blocks, run
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm


def test_the_commands_of_the_page_run(slurm: Cluster, tmp_path: Path, repository: Path) -> None:
    study = tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))
    # The site's eight cores are not there.
    study.write_text(study.read_text().replace("run: {seed: 1}", "run: {seed: 1, on: {threads: 1}}"))
    blocks = bash_blocks(repository / "docs" / "how-to" / "run-on-slurm.md")
    assert len(blocks) >= 8
    for block in blocks:
        if "labwright cancel" not in block:
            slurm.drain()
        run(block, tmp_path)
    slurm.drain()

    made = runs_in(tmp_path / "runs")
    assert {run.state() for run in made} == {"done"}
    # One row of the grid is the study as it stands.
    assert [run.step for run in made].count("train") == 4
    assert sorted(path.name for path in (tmp_path / "sites").iterdir()) == ["mycluster.yaml"]

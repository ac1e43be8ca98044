"""``docs/how-to/run-on-slurm.md`` does what it says, block by block, on a real Slurm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.runs.run import runs_in
from labwright.testing.commands import until
from labwright.testing.tiny import tiny_sequences, tiny_study
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
    page = (repository / "docs" / "how-to" / "run-on-slurm.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
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


def run(block: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", block], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

"""The page on how to run on Slurm does what it says: its commands run one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.runs.run import runs_in
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.slurm.cluster import Cluster, until
from tests.slurm.ground import WHOLE_S

pytestmark = pytest.mark.slurm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the reader stands: beside a study of her own."""
    study = tiny_study(tmp_path / "desk", tiny_sequences(tmp_path / "data"))
    text, changes = re.subn(r"^run: \{seed: 1\}$", "run: {seed: 1, on: {threads: 1}}", study.read_text(), flags=re.MULTILINE)
    assert changes == 1
    study.write_text(text)
    return study.parent


def test_the_commands_of_the_page_run(slurm: Cluster, folder: Path, repository: Path) -> None:
    page = (repository / "docs" / "how-to" / "run-on-slurm.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    said = ""
    for block in blocks:
        if "labwright logs" in block:
            until(lambda: bool(list(folder.glob("runs/pack-*/journal/*.log"))), WHOLE_S)
        if "--sweep" in block:
            until(lambda: not slurm.tool("squeue", "--noheader"), WHOLE_S)
            assert {run.state() for run in runs_in(folder / "runs")} == {"done"}
        said += typed(block, folder)
    until(lambda: not slurm.tool("squeue", "--noheader"), WHOLE_S)
    runs = runs_in(folder / "runs")
    assert {run.name: run.state() for run in runs} == {run.name: "done" for run in runs}
    # A grid of four, one point of which is the study's own.
    assert sum(run.step == "train" for run in runs) == 4
    assert sum(run.step == "pack" for run in runs) == 1
    assert (folder / "report.html").is_file()
    assert "Energy: not measured" in said
    assert "sites/mycluster.yaml is written" in said


def typed(block: str, folder: Path) -> str:
    """What the commands print."""
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=WHOLE_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout

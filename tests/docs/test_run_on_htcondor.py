"""``docs/how-to/run-on-htcondor.md`` does what it says, block by block, in a pool of stand-ins for HTCondor's tools."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from labwright.runs.run import runs_in
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.docs.blocks import bash_blocks, run
from tests.launch.condor import make_pool

SITE = f"""kind: htcondor
python: {sys.executable}
shared_files: false
"""
"""The generic site without a container: the machines of this pool have the tests' interpreter."""


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the jobs of the pool start with.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pool = make_pool(tmp_path, monkeypatch)
    tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "generic-htcondor.yaml").write_text(SITE)
    blocks = bash_blocks(repository / "docs" / "how-to" / "run-on-htcondor.md")
    assert len(blocks) >= 6
    for block in blocks:
        run(block, tmp_path)
        # What is cancelled there still waits.
        if "labwright cancel" in block:
            pool.work()
            assert {one.step: one.state() for one in runs_in(tmp_path / "runs")} == dict.fromkeys(
                ("pack", "check", "train", "predict", "evaluate"), "done"
            )

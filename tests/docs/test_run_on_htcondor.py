"""``docs/how-to/run-on-htcondor.md`` does what it says, block by block, in a pool of stand-ins for HTCondor's tools."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.runs.run import runs_in
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.launch.condor import make_pool

SITE = f"""kind: htcondor
python: {sys.executable}
shared_files: false
"""
"""The generic site without a container: the machines of this pool have the tests' interpreter."""


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pool = make_pool(tmp_path, monkeypatch)
    tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "generic-htcondor.yaml").write_text(SITE)
    page = (repository / "docs" / "how-to" / "run-on-htcondor.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        run(block, tmp_path)
        if "labwright submit" in block:
            pool.work()
            assert {one.step: one.state() for one in runs_in(tmp_path / "runs")} == dict.fromkeys(
                ("pack", "check", "train", "predict", "evaluate"), "done"
            )


def run(block: str, folder: Path) -> None:
    # The pool's tools go before those beside the interpreter.
    environment = {**os.environ, "PATH": os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", block], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

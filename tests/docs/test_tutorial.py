"""The tutorial does what it says: its commands run one after the other in one shell, with a tiny network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TINY = "network: {widths: [4, 8]}"


@pytest.fixture
def folder(tmp_path: Path, repository: Path) -> Path:
    """Where the reader stands. The demo keeps a study that is there, so this one is put there with a short training."""
    sample = repository / "src" / "labwright" / "cells" / "sample"
    study = shutil.copytree(sample, tmp_path / "labwright-demo-cells") / "study.yaml"
    text, changes = re.subn(r"^  epochs: \d+", "  epochs: 1", study.read_text(), flags=re.MULTILINE)
    text, more = re.subn(r"^  network: .*", f"  {TINY}", text, flags=re.MULTILINE)
    assert changes == more == 1
    study.write_text(text)
    return tmp_path


def test_the_commands_of_the_tutorial_run(folder: Path, repository: Path) -> None:
    page = (repository / "docs" / "tutorial" / "cells.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    text, changes = re.subn(r"^train: {", f"train: {{{TINY}, ", "".join(commands), flags=re.MULTILINE)
    assert changes == 1
    script = folder / "tutorial.sh"
    script.write_text(f"set -euxo pipefail\n{text}")
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "OMP_NUM_THREADS": "1"}
    outcome = subprocess.run(["bash", str(script)], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout[-2000:] + outcome.stderr[-4000:]

    demo, own = folder / "labwright-demo-cells", folder / "labwright-demo-cells" / "my-study"
    assert (demo / "report.html").is_file()
    assert (own / "report.html").is_file()
    for place, trainings in ((demo, 3), (own, 1)):
        runs = list((place / "runs").iterdir())
        assert len([run for run in runs if run.name.startswith("train-")]) == trainings
        assert not [run.name for run in runs if not (run / "done.json").is_file()]

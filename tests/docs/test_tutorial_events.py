"""The tutorial of events does what it says: its commands run one after the other in one shell, on fewer events."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.events.toy import write_toy
from labwright.runs.run import Run, runs_in
from tests.docs.blocks import bash_blocks

CHANGES = {
    "{epochs: {default: 15}}": "{epochs: {default: 1}}\nevaluate: {bootstrap: 2}",
    "batch_size: 512": "batch_size: 128\n  members: apart",
    "epochs=12": "epochs=3",
}
"""What makes the tutorial's trainings short."""


@pytest.fixture
def folder(tmp_path: Path, repository: Path) -> Path:
    """Where the reader stands. The demo keeps a study that is there, so this one is put there with few events and a short training."""
    demo = tmp_path / "labwright-demo-events"
    write_toy(demo / "data", "svb", 2500, 1)
    text = (repository / "src" / "labwright" / "events" / "sample" / "study.yaml").read_text(encoding="utf-8")
    for option, value in (("epochs", "1"), ("batch_size", "128")):
        text, changes = re.subn(rf"^  {option}: \d+$", f"  {option}: {value}", text, flags=re.MULTILINE)
        assert changes == 1
    (demo / "study.yaml").write_text(text + "evaluate: {bootstrap: 2}\n")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run(folder: Path, repository: Path) -> None:
    commands = "".join(bash_blocks(repository / "docs" / "tutorial" / "events.md"))
    for words, instead in CHANGES.items():
        assert words in commands
        commands = commands.replace(words, instead)
    script = folder / "tutorial.sh"
    script.write_text(f"set -euxo pipefail\n{commands}")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    outcome = subprocess.run(["bash", str(script)], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout[-2000:] + outcome.stderr[-4000:]
    assert "rows: " in outcome.stdout

    demo = folder / "labwright-demo-events"
    assert (demo / "report.html").is_file()
    assert (demo / "fvt.html").is_file()
    assert not (demo / "elsewhere").exists()
    states = [(run.step, run.state()) for run in runs_in(demo / "runs")]
    assert {state for _, state in states} == {"done"}
    # The sample's, a longer one, that of the ratio, and that of signal against the weighted background.
    assert sum(step == "train" for step, _ in states) == 4
    weights = [Run.open(run.folder).options["classes"] for run in runs_in(demo / "runs") if run.step == "pack"]
    assert sum("FvT" in classes.get("multijet", {}).get("weight", ()) for classes in weights) == 1

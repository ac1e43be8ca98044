"""``step``: shares by several processes and one that finishes make the same run as one process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def planned(labwright, study: Path) -> Path:
    """A training that is about to start, as a job script finds it."""
    labwright("run", "study.yaml", "--quiet")
    (run,) = Path("runs").glob("train-*")
    for name in ("done.json", "parts.json"):
        (run / name).unlink()
    for name in ("journal", "output"):
        shutil.rmtree(run / name)
    return run


def test_without_flags_it_does_all(labwright, planned: Path) -> None:
    told = labwright("step", planned, "--json").json
    assert told == {"code": 0, "run": planned.name, "state": "done", "figures": {"guess_mm": 1.0, "loss": 0.5}}


def test_shares_then_finish(labwright, planned: Path) -> None:
    early = labwright("step", planned, "--finish", "--quiet")
    assert early.code == 66
    for share in ("0/2", "1/2"):
        assert labwright("step", planned, "--share", share, "--quiet").code == 0
        assert not (planned / "done.json").exists()
    assert labwright("step", planned, "--finish", "--quiet").code == 0
    assert (planned / "done.json").exists()


def test_wrong_words(labwright, planned: Path, tmp_path: Path) -> None:
    assert labwright("step", planned, "--share", "2/2").code == 64
    assert labwright("step", planned, "--share", "0/2", "--finish").code == 64
    assert labwright("step", tmp_path).code == 66

"""``step``: shares by several processes and one that finishes make one run; a deadline ends with 75, a gate that found errors with 65."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labwright.runs.errors import Exit
from tests.parts.toy_recipe import Desk


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


def test_a_deadline_from_outside_stops_with_75_and_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = desk.created("count", "count.sleep_s=0.4")
    monkeypatch.setenv("LABWRIGHT_STOP_AFTER_S", "0.5")
    outcome = desk.labwright("step", str(run.folder))
    assert outcome.returncode == Exit.AGAIN
    assert "the deadline has come" in outcome.stderr
    assert run.state() == "stopped"
    assert run.part_figures().keys() < {"a", "b", "c", "all"}
    monkeypatch.delenv("LABWRIGHT_STOP_AFTER_S")
    assert desk.labwright("step", str(run.folder)).returncode == Exit.DONE


@pytest.mark.parametrize("text", ["soon", "0", "-5", "nan", "inf", "1h"])
def test_a_deadline_that_is_no_time_is_a_wrong_command(desk: Desk, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    run = desk.created("count")
    monkeypatch.setenv("LABWRIGHT_STOP_AFTER_S", text)
    outcome = desk.labwright("step", str(run.folder))
    assert outcome.returncode == Exit.COMMAND
    assert "LABWRIGHT_STOP_AFTER_S" in outcome.stderr
    assert run.attempts() == 0


def test_a_gate_that_found_errors_ends_with_65_each_time(desk: Desk) -> None:
    desk.conduct(step="count")
    gate = desk.created("gate", "gate.most=1")
    for _ in range(2):
        outcome = desk.labwright("step", str(gate.folder))
        assert outcome.returncode == Exit.DATA
        assert "gate found 2 errors, so fit does not start; the first is TOY002" in outcome.stderr
        assert gate.state() == "done"
        assert gate.attempts() == 1


def test_a_gate_that_found_none_and_findings_of_a_step_that_gates_nothing_end_well(desk: Desk) -> None:
    run = desk.created("count")
    assert desk.labwright("step", str(run.folder)).returncode == Exit.DONE
    assert [one["severity"] for one in run.findings()] == ["warning"]
    assert desk.labwright("step", str(desk.created("gate").folder)).returncode == Exit.DONE


def test_the_gate_closes_when_its_shares_are_finished(desk: Desk) -> None:
    desk.conduct(step="count")
    gate = desk.created("gate", "gate.most=1")
    assert desk.labwright("step", str(gate.folder), "--share", "0/1").returncode == Exit.DONE
    assert desk.labwright("step", str(gate.folder), "--finish").returncode == Exit.DATA

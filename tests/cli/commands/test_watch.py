"""``watch``: what it is asked for becomes folders, ports and permissions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labwright.cli.commands import watch
from labwright.runs.errors import CommandError, MissingError, StudyError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """What the server would be started with."""
    seen = SimpleNamespace()

    def serve(board: Any, **options: Any) -> None:
        board.look()
        seen.runs = sorted(follow.run.step for follow in board.runs.values())
        vars(seen).update(options)

    monkeypatch.setattr("labwright.watch.serve.serve", serve)
    return seen


@pytest.mark.parametrize(("text", "first", "last"), [(None, 0, 0), ("8000", 8000, 8000), ("8000-8010", 8000, 8010)])
def test_ports(text: str | None, first: int, last: int) -> None:
    assert (watch.ports(text)[0], watch.ports(text)[-1]) == (first, last)


@pytest.mark.parametrize("text", ["", "many", "80-", "-80", "9-8", "65536", "1-2-3", "1.5"])
def test_what_is_no_port_is_refused(text: str) -> None:
    if text == "":
        assert list(watch.ports(text)) == [0]
        return
    with pytest.raises(CommandError, match="--port"):
        watch.ports(text)


def test_a_study_stands_for_its_runs(labwright, study: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    labwright("run", "study.yaml", "--quiet")
    with_another = Path("other.yaml")
    with_another.write_text(study.read_text())
    labwright("pack", "other.yaml", "--set", "run.seed=8", "--quiet")
    monkeypatch.setattr(watch, "folder_of", lambda place, runs: Path("runs"))
    assert labwright("watch", "study.yaml").code == 0
    assert asked.runs.count("pack") == 1
    assert labwright("watch", "study.yaml", "other.yaml").code == 0
    assert asked.runs.count("pack") == 2
    assert (asked.address, list(asked.ports), asked.stop) == ("127.0.0.1", [0], None)


def test_folders_and_runs_are_watched_as_they_are(labwright, study: Path, asked: SimpleNamespace) -> None:
    labwright("pack", "study.yaml", "--quiet")
    labwright("watch", "runs", "--allow-actions", "--port", "8000-8003")
    assert (asked.runs, list(asked.ports)) == (["pack"], [8000, 8001, 8002, 8003])
    assert asked.stop is not None
    (run,) = Path("runs").glob("pack-*")
    labwright("watch", run)
    assert asked.runs == ["pack"]


def test_the_folder_of_a_study_is_found_by_a_process_of_its_own(study: Path) -> None:
    broken = study.with_name("broken.yaml")
    broken.write_text("recipe: nonsense\n")
    with pytest.raises(StudyError, match="nonsense"):
        watch.folder_of(broken, None)
    with pytest.raises(MissingError, match="no study and no run"):
        watch.folder_of(study.parent / "data", None)
    assert watch.folder_of(study.parent / "data", Path("elsewhere")) == Path("elsewhere")


def test_other_machines_are_let_in_only_on_demand(labwright, study: Path, asked: SimpleNamespace) -> None:
    said = labwright("watch", "--bind", "0.0.0.0", "--runs", "runs")
    assert said.code == 64
    assert "--allow-remote" in said.err
    assert labwright("watch", "--bind", "0.0.0.0", "--allow-remote", "--runs", "runs").code == 0
    assert asked.address == "0.0.0.0"
    assert labwright("watch", "--bind", "127.0.0.2", "--runs", "runs").code == 0


def test_without_submissions_no_scheduler_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(watch, "_asked", lambda code, *words: calls.append(words) or {"there": {"state": "queued"}})
    ask = watch.jobs_in([tmp_path])
    assert ask() == {}
    assert calls == []
    folder = tmp_path / "jobs" / "20260101-000000-ab"
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text("{}")
    assert ask() == {"there": {"state": "queued"}}
    assert calls == [(str(tmp_path),)]


def test_a_submitted_run_is_told_with_its_job(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from labwright.launch.launcher import Seen
    from labwright.launch.status import Placed

    run = tmp_path / "pack-1"
    monkeypatch.setattr("labwright.launch.status.placed", lambda runs: {run: [Placed(None, 0, Seen("7", "held", "no space"))]})  # type: ignore[arg-type]
    monkeypatch.setattr("sys.argv", ["-c", str(tmp_path)])
    watch.print_jobs()
    assert json.loads(capsys.readouterr().out) == {str(run): {"id": "7", "state": "held", "reason": "no space"}}

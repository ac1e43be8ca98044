from __future__ import annotations

from pathlib import Path

import pytest

from labwright.learn.cards import exportable, table
from labwright.runs.errors import CommandError, MissingError
from labwright.runs.run import Run
from tests.watch.made import run_folder


def test_numbers_have_six_digits_and_none_says_so() -> None:
    assert table(["a", "b"], [["x", 0.12345678], [3, None]]) == "| a | b |\n|---|---|\n| x | 0.123457 |\n| 3 | not measured |"


def test_only_a_complete_training_is_exported(tmp_path: Path) -> None:
    for step in ("train", "predict"):
        with pytest.raises(MissingError, match="not a complete training"):
            exportable(run_folder(tmp_path / step, step=step), tmp_path / "to", {"a"})


def test_other_files_are_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_folder(tmp_path / "train", step="train")
    monkeypatch.setattr(Run, "done", lambda self: {})
    to = tmp_path / "to"
    exportable(run, to, {"a"})
    to.mkdir()
    (to / "a").touch()
    exportable(run, to, {"a"})
    (to / "b").touch()
    with pytest.raises(CommandError, match="there are other files here"):
        exportable(run, to, {"a"})

"""``clean``: only what newer runs replace, never what something kept was made from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labwright.runs.run import runs_in


@pytest.fixture
def tried(labwright, study: Path) -> dict[str, Path]:
    """The study run with two guesses, by guess."""
    for guess in ("1", "2"):
        labwright("run", "study.yaml", "--set", f"train.guess={guess}", "--quiet")
    return {str(run.options["guess"]): run.folder for run in runs_in(Path("runs")) if run.step == "train"}


def names() -> set[str]:
    return {path.name for path in Path("runs").iterdir()}


def test_nothing_goes_without_yes(labwright, tried: dict[str, Path]) -> None:
    before = names()
    said = labwright("clean", "runs")
    assert said.code == 0
    assert tried["1.0"].name in said.out
    assert "--yes removes them" in said.out
    assert names() == before


def test_yes_removes_the_superseded_ones(labwright, tried: dict[str, Path]) -> None:
    before = names()
    told = labwright("clean", "runs", "--yes", "--json").json
    gone = {row["run"] for row in told["runs"]}
    assert told["removed"] is True
    assert {name.split("-")[0] for name in gone} == {"train", "evaluate"}
    assert names() == before - gone
    assert tried["2.0"].name in names()
    assert labwright("clean", "runs").out == "nothing to clean\n"
    # What is left is whole.
    assert labwright("run", "study.yaml", "--set", "train.guess=2", "--json").json["runs"][0]["fresh"] is False


def test_what_a_kept_run_was_made_from_is_kept(labwright, tried: dict[str, Path]) -> None:
    # The newest evaluation is made from the older training.
    labwright("evaluate", "study.yaml", "--set", "evaluate.scale=2", "--run", tried["1.0"], "--quiet")
    gone = {row["run"] for row in labwright("clean", "runs", "--json").json["runs"]}
    assert {name.split("-")[0] for name in gone} == {"evaluate"}
    assert len(gone) == 2


def test_a_run_without_a_newer_complete_one_is_kept(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--quiet")
    labwright("run", "study.yaml", "--set", "train.trouble=stop", "--quiet")
    # Stopped, but newer than the complete one: it can go on.
    assert labwright("clean").out == "nothing to clean\n"


def test_stale_runs_go_with_what_was_made_from_them(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--quiet")
    changed = study.parent / "data" / "a.txt"
    changed.write_text("9.5")  # as long as before
    os.utime(changed, (1, 1))
    assert labwright("run", "study.yaml", "--quiet").code == 65
    said = labwright("clean", "--stale", "--yes", "--json")
    whys = {row["run"].split("-")[0]: row["why"] for row in said.json["runs"]}
    assert whys["pack"] == "its raw files changed"
    assert whys["train"].startswith("made from pack-")
    assert names() == set()
    assert labwright("run", "study.yaml", "--quiet").code == 0


def test_studies_that_share_a_folder_of_runs_keep_their_own(labwright, study: Path) -> None:
    other = study.with_name("other.yaml")
    other.write_text(study.read_text())
    labwright("run", "study.yaml", "--set", "train.guess=1", "--quiet")
    labwright("run", "other.yaml", "--set", "train.guess=2", "--quiet")
    labwright("run", "other.yaml", "--set", "train.guess=3", "--set", "run.name=second", "--quiet")
    assert labwright("clean", "runs").out == "nothing to clean\n"
    labwright("run", "other.yaml", "--set", "train.guess=4", "--quiet")
    gone = {row["run"] for row in labwright("clean", "runs", "--json").json["runs"]}
    assert {run.options["guess"] for run in runs_in(Path("runs")) if run.step == "train" and run.name in gone} == {2.0}
    assert len(labwright("status", "study.yaml", "--json").json) == 4
    assert {row["run"] for row in labwright("energy", "other.yaml", "--json").json["rows"]}.isdisjoint(
        row["run"] for row in labwright("status", "study.yaml", "--json").json
    )
    other.unlink()  # what it made may be this study's, moved or renamed
    assert len(labwright("status", "study.yaml", "--json").json) == len(names())


def test_every_point_of_a_sweep_is_kept(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--quiet")
    assert labwright("clean", "study.yaml").out == "nothing to clean\n"
    labels = {run.options["guess"]: run.description["sweep"] for run in runs_in(Path("runs")) if run.step == "train"}
    assert labels == {1.0: "guess=1", 2.0: "guess=2"}
    labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--set", "train.pace.steps=3", "--quiet")
    assert len(labwright("clean", "runs", "--json").json["runs"]) == 4


def test_what_the_study_means_now_is_kept_though_something_newer_is_there(labwright, tried: dict[str, Path]) -> None:
    assert tried["1.0"].name in labwright("clean", "runs").out
    assert labwright("clean", "study.yaml").out == "nothing to clean\n", "its default is the first guess"


def test_a_folder_that_holds_no_runs_is_said(labwright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert labwright("clean", "--yes").code == 66

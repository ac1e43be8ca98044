"""Tab offers what fits where the cursor stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labwright.cli.complete import answer, candidates
from labwright.cli.grammar import INNER
from labwright.cli.verbs import VERBS


def offered(*words: str) -> list[str]:
    return [value for value, _ in candidates(list(words))]


@pytest.fixture
def listed(labwright, study: Path) -> None:
    """The toy recipe is in the cache, and there are two runs, one of them complete."""
    labwright("list", "recipes")
    for name in ("train-0123456789", "pack-abcdef0123"):
        folder = study.parent / "runs" / name
        folder.mkdir(parents=True)
        (folder / "step.json").write_text("{}")
    (study.parent / "runs" / "pack-abcdef0123" / "done.json").write_text("{}")
    (study.parent / "runs" / ".tmp-1-run").mkdir()


def test_verbs() -> None:
    assert offered("ex") == ["expand", "export"]
    assert "step" not in offered("")
    assert len(offered("")) == sum(verb.group != INNER for verb in VERBS)
    assert offered("nosuchverb", "") == []


@pytest.mark.usefixtures("listed")
def test_recipes_steps_and_findings() -> None:
    assert offered("new", "") == ["toy", "cells", "events"]
    assert offered("new", "c") == ["cells"]
    assert offered("run", "study.yaml", "--step", "") == ["pack", "check", "train", "evaluate"]
    assert offered("list", "--finding", "TOY") == ["TOY001", "TOY002"]
    assert offered("list", "re") == ["recipes"]
    assert offered("list", "steps", "--recipe", "t") == ["toy"]
    assert offered("new", "events", "--study", "s") == ["svb"]
    assert offered("new", "toy", "--study", "") == []


@pytest.mark.usefixtures("listed")
def test_option_paths_come_by_section_then_with_their_defaults_and_choices() -> None:
    assert offered("run", "study.yaml", "--set", "") == ["pack.", "check.", "train.", "evaluate.", "run."]
    assert offered("run", "study.yaml", "--set", "train.") == ["train.guess=", "train.pace.kind=", "train.pace.steps=", "train.trouble="]
    assert offered("run", "study.yaml", "--set", "train.guess=") == ["train.guess=1.0"]
    assert offered("run", "study.yaml", "--set", "train.trouble=") == ["train.trouble=none", "train.trouble=bug", "train.trouble=stop"]
    assert offered("run", "study.yaml", "--set=train.trouble=b") == ["--set=train.trouble=bug"]
    assert offered("run", "study.yaml", "--sweep", "train.trouble=none,b") == ["train.trouble=none,bug"]
    # The kinds of a section are one choice.
    assert offered("run", "study.yaml", "--set", "train.pace.kind=") == ["train.pace.kind=fast", "train.pace.kind=slow"]
    assert offered("run", "study.yaml", "--set", "train.nothing=") == []
    # What stands for a name of the study's own cannot be typed as it is.
    assert not any(one != one.lower() for one in offered("run", "nowhere.yaml", "--set", "pack.classes"))


@pytest.mark.usefixtures("listed")
def test_help_goes_with_an_option() -> None:
    ((_, text),) = candidates(["run", "study.yaml", "--set", "train.pace.s"])
    assert text == "whole number ≥ 1, default 2 steps; How many."


@pytest.mark.usefixtures("listed")
def test_without_a_study_the_options_of_all_recipes_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = offered("run", "--set", "train.")
    assert {"train.guess=", "train.epochs="} <= set(found)


@pytest.mark.usefixtures("listed")
def test_parameters() -> None:
    assert offered("run", "study.yaml", "--param", "") == ["data="]
    assert offered("run", "study.yaml", "--param", "data=") == ["data=./data"]
    assert offered("run", "study.yaml", "--param", "data=da") == ["data=data/"]


@pytest.mark.usefixtures("listed")
def test_runs_are_offered_but_not_those_of_the_step_that_runs() -> None:
    assert set(offered("run", "study.yaml", "--run", "")) == {"train-0123456789", "pack-abcdef0123"}
    assert offered("train", "study.yaml", "--run", "") == ["pack-abcdef0123"]
    assert dict(candidates(["logs", "study.yaml", ""])) == {"train-0123456789": "not complete", "pack-abcdef0123": "done"}
    assert offered("run", "study.yaml", "--runs", "elsewhere", "--run", "") == []


@pytest.mark.usefixtures("listed")
def test_studies_and_folders(study: Path) -> None:
    (study.parent / "notes.txt").touch()
    assert offered("run", "") == ["data/", "runs/", "study.yaml"]
    assert offered("run", f"{study.parent}/st") == [str(study)]
    assert offered("run", "study.yaml", "--runs", "") == ["data/", "runs/"]


def test_flags() -> None:
    assert offered("run", "x.yaml", "--s") == ["--step", "--set", "--sweep"]
    # What may be given once is offered once.
    assert "--step" not in offered("run", "--step", "train", "--")
    assert "--set" in offered("run", "--set", "a=1", "--")


def test_bash_gets_what_follows_its_word_break(study: Path, labwright, capfd: pytest.CaptureFixture[str]) -> None:
    labwright("list", "recipes")
    capfd.readouterr()
    assert answer(["bash", "labwright run study.yaml --set train.trouble=b"]) == 0
    assert capfd.readouterr().out == "bug\t\n"


def test_a_broken_answer_is_silent(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", lambda _: 1 / 0)
    assert answer(["zsh", "labwright", "run", ""]) == 0
    assert capfd.readouterr() == ("", "")


def test_sites_come_from_every_folder_that_is_searched(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for folder, name in ((study.parent / "sites", "mine"), (tmp_path / "config" / "labwright" / "sites", "ours")):
        folder.mkdir(parents=True)
        (folder / f"{name}.yaml").write_text("kind: slurm\nabout: a cluster of friends\n")
    found = dict(candidates(["submit", "study.yaml", "--on", ""]))
    assert {"local", "slurm", "htcondor", "mine", "ours", "generic-slurm"} <= found.keys()
    assert found["mine"] == found["ours"] == "a cluster of friends"
    assert offered("pull", "our") == ["ours"]
    assert offered("plan", "study.yaml", "--on", "sites/") == ["sites/mine.yaml"]


@pytest.mark.usefixtures("listed")
def test_export_takes_weights_of_a_run_or_jobs_of_a_study() -> None:
    assert offered("export", "") == ["weights", "results", "data/", "runs/", "study.yaml"]
    assert offered("export", "results", "tr") == ["train-0123456789"]
    assert offered("export", "results", "train-0123456789", "--to", "r") == ["runs/"]
    assert offered("export", "weights", "tr") == ["train-0123456789"]
    assert offered("export", "weights", "train-0123456789", "--to", "r") == ["runs/"]
    assert offered("export", "study.yaml", "--to", "") == ["sbatch", "condor", "dagman"]

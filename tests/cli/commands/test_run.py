"""``run``: what is missing is done, in order; the end says scores and joules."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from labwright.runs.journal import Journal


def states(labwright, *words: str) -> dict[str, str]:
    return {row["step"]: row["state"] for row in labwright("plan", "study.yaml", "--json", *words).json}


def test_a_study_is_run_once(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml")
    assert said.code == 0
    assert "distance_mm  1.417" in said.out
    assert "energy" in said.out.splitlines()[-1]
    again = labwright("run", "study.yaml", "--json").json
    assert again["code"] == 0
    assert [run["step"] for run in again["runs"]] == ["pack", "check", "train", "evaluate"]
    assert not any(run["fresh"] for run in again["runs"])
    assert again["runs"][-1]["figures"]["distance_mm"] == pytest.approx(29 / 12 - 1)
    assert all(row["method"] for run in again["runs"] for row in run["energy"])


def test_a_changed_option_makes_a_new_run_beside_the_old(labwright, study: Path) -> None:
    labwright("run", "study.yaml")
    first = {row["step"]: row["folder"] for row in labwright("plan", "study.yaml", "--json").json}
    second = {row["step"]: row for row in labwright("plan", "study.yaml", "--json", "--set", "train.guess=2").json}
    assert second["pack"]["folder"] == first["pack"]
    assert second["train"]["folder"] != first["train"]
    assert second["train"]["why"].endswith("guess: 1.0 there, 2.0 planned")
    assert second["evaluate"]["why"] == "needs train first"


def test_short_forms_are_a_step(labwright, study: Path) -> None:
    assert labwright("pack", "study.yaml", "--quiet").code == 0
    assert states(labwright) == {"pack": "done", "check": "absent", "train": "absent", "evaluate": "absent"}
    assert labwright("train", "study.yaml", "--quiet").code == 0
    assert states(labwright) == {"pack": "done", "check": "done", "train": "done", "evaluate": "absent"}


def test_evaluate_starts_no_training_and_names_what_there_is(labwright, study: Path) -> None:
    labwright("train", "study.yaml")
    said = labwright("evaluate", "study.yaml", "--set", "train.guess=3", "--quiet")
    assert said.code == 66
    assert "guess: 1.0 there, 3.0 planned" in said.err
    run = next(Path("runs").glob("train-*")).name
    chosen = labwright("evaluate", "study.yaml", "--set", "train.guess=3", "--run", run[:9], "--json")
    assert chosen.code == 0
    assert chosen.json["runs"][-1]["figures"]["distance_mm"] == pytest.approx(29 / 12 - 1)


def test_two_runs_for_one_step_are_a_mistake(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--step", "train")
    one, two = sorted(path.name for path in Path("runs").glob("train-*"))
    said = labwright("evaluate", "study.yaml", "--run", one, "--run", two)
    assert said.code == 64
    assert "two runs of train were named" in said.err


def test_a_sweep_makes_a_run_for_each_value_and_a_table(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--sweep", "check.smallest=0,-1", "--quiet")
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[1][:4] == ["train.guess", "check.smallest", "state", "distance_mm"]
    assert [row[:4] for row in rows[2:]] == [
        ["1", "0", "done", "1.417"],
        ["1", "-1", "done", "1.417"],
        ["2", "0", "done", "0.4167"],
        ["2", "-1", "done", "0.4167"],
    ]
    assert len(list(Path("runs").glob("train-*"))) == 2


def test_a_row_of_a_sweep_that_fails_leaves_the_others(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml", "--sweep", "check.smallest=2,0", "--json")
    assert said.code == said.json["code"] == 65
    bad, good = said.json["rows"]
    assert (bad["code"], good["code"]) == (65, 0)
    assert bad["set"] == ["check.smallest=2"]
    assert "TOY001" in bad["error"]["what"]
    assert good["runs"][-1]["step"] == "evaluate"


def test_no_row_starts_where_one_is_wrong(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml", "--sweep", "train.guess=1,high")
    assert said.code == 78
    assert not Path("runs").exists()


def test_a_stop_is_75_and_ends_a_sweep(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml", "--sweep", "train.trouble=stop,none", "--json")
    assert said.code == 75
    first, second = said.json["rows"]
    assert first["code"] == 75
    assert second["runs"] == []
    assert states(labwright, "--set", "train.trouble=stop")["train"] == "stopped"


def test_a_bug_of_a_step_is_our_fault(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml", "--set", "train.trouble=bug")
    assert said.code == 70
    assert "our fault" in said.err
    assert "ZeroDivisionError" in said.err


def test_a_dry_run_opens_the_sources_and_writes_nothing(labwright, study: Path) -> None:
    said = labwright("run", "study.yaml", "--dry-run")
    assert said.code == 0
    assert "reads 3 raw files" in said.out
    assert "a list of 3 numbers" in said.out
    assert "train is known" not in said.out
    assert "known once pack and train are done" in said.out
    assert not Path("runs").exists()
    (study.parent / "data").rename("elsewhere")
    missing = labwright("run", "study.yaml", "--dry-run")
    assert missing.code == 66
    assert labwright("run", "study.yaml", "--dry-run", "--param", "data=elsewhere").code == 0


def test_a_dry_run_that_finds_an_error_says_so_with_its_code(labwright, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("toylab.work.pack")
    for path in sorted((study.parent / "data").glob("*.txt"))[1:]:
        path.unlink()
    monkeypatch.setattr(module, "preview", lambda options, inputs: ["error TOY001 a.txt: no number", "note TOY002 a.txt: error"])
    said = labwright("run", "study.yaml", "--dry-run")
    assert said.code == 65
    assert "error TOY001 a.txt: no number" in said.out
    assert "reads 1 raw file, " in said.out
    assert labwright("run", "study.yaml", "--dry-run", "--json").json["code"] == 65
    monkeypatch.setattr(module, "preview", lambda options, inputs: ["warning TOY001 a.txt: no number"])
    assert labwright("run", "study.yaml", "--dry-run").code == 0


def test_a_dry_run_refuses_what_a_run_refuses(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--quiet")
    words = ("evaluate", "study.yaml", "--set", "train.guess=3")
    dry, wet = labwright(*words, "--dry-run", "--json"), labwright(*words, "--json")
    assert dry.code == wet.code == 66
    assert dry.json["rows"][0]["error"] == wet.json["error"]
    assert "the same options" in wet.json["error"]["todo"]
    would = {one["step"]: one["would"] for one in dry.json["rows"][0]["steps"]}
    assert would["pack"] == "done already"
    assert would["train"] == f"would be refused: {wet.json['error']['what']}"
    assert would["evaluate"] == "would not start"
    assert labwright("run", "study.yaml", "--set", "train.guess=3", "--dry-run").code == 0


def test_a_dry_run_sees_damage_changed_files_and_closed_gates(labwright, study: Path) -> None:
    assert labwright("run", "study.yaml", "--set", "check.smallest=2", "--quiet").code == 65
    closed = labwright("train", "study.yaml", "--set", "check.smallest=2", "--dry-run")
    assert closed.code == 65
    assert "train: would be refused: check found 1 error" in closed.out
    assert labwright("run", "study.yaml", "--quiet").code == 0
    (output,) = (path for path in Path("runs").glob("train-*/output/*") if path.is_file())
    whole = output.read_bytes()
    output.write_bytes(b"")
    damaged = labwright("run", "study.yaml", "--dry-run")
    assert damaged.code == 65
    assert "train: would be refused: the run does not fit its manifest" in damaged.out
    output.write_bytes(whole)
    (study.parent / "data" / "a.txt").write_text("9.5")
    stale = labwright("run", "study.yaml", "--dry-run")
    assert stale.code == 65
    assert "pack: would be refused: raw files changed after they were read: a.txt" in stale.out
    assert not list(Path("runs").glob("*/stale.json")), "a dry run writes nothing"


def test_a_dry_run_names_the_points_of_a_sweep(labwright, study: Path) -> None:
    words = ("run", "study.yaml", "--sweep", "train.guess=1,2", "--dry-run")
    lines = labwright(*words).out.splitlines()
    assert [line for line in lines if line.startswith("guess=")] == ["guess=1", "guess=2"]
    assert [row["label"] for row in labwright(*words, "--json").json["rows"]] == ["guess=1", "guess=2"]


def test_a_dry_run_sees_a_process_at_work(labwright, study: Path) -> None:
    labwright("pack", "study.yaml", "--quiet")
    (pack,) = Path("runs").glob("pack-*")
    (pack / "done.json").unlink()
    journal = Journal(pack / "journal" / "0002.jsonl")
    journal.record("start", pid=7, host="elsewhere", share="0/1")
    said = labwright("pack", "study.yaml", "--dry-run")
    journal.close()
    assert said.code == 75
    assert "pack: would be refused: another process (process 7 on elsewhere) works on this run" in said.out


def test_runs_go_where_they_are_told_without_another_fingerprint(labwright, study: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    assert labwright("pack", "study.yaml", "--runs", scratch, "--quiet").code == 0
    assert labwright("pack", "study.yaml", "--quiet").code == 0
    (there,), (here,) = list(scratch.iterdir()), list(Path("runs").iterdir())
    assert there.name == here.name


def test_a_folder_stands_for_the_study_in_it(labwright, study: Path) -> None:
    assert labwright("pack", ".", "--quiet").code == 0
    (done,) = Path("runs").glob("pack-*/done.json")
    assert json.loads(done.read_text())["figures"] == {"items": 3}

"""A submission becomes a DAG whose nodes wait for what they need, and pass over what is complete or was cancelled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labwright.launch import dagman
from labwright.launch.job import After, Job, Task
from labwright.launch.site import Queue
from labwright.study.resources import Resources
from labwright.testing import condor_language as language
from tests.launch.condor import htcondor2

GOLDEN = Path(__file__).with_name("golden") / "htcondor"
RUNS = Path("/lab/mara/colony runs")
PLACE = RUNS / "jobs" / "20261121-101500-3f2a"


def job(name: str, *after: str, runs: Path = RUNS) -> Job:
    step = name.removesuffix("-finish")
    return Job(name, step, (Task(runs / f"{step}-0a1b2c3d4e"),), Resources(), Queue(), after=tuple(map(After, after)))


STUDY = (
    job("pack"),
    job("check", "pack"),
    job("train", "pack", "check"),
    job("predict", "pack", "train"),
    job("predict-finish", "predict"),
    job("evaluate", "predict-finish"),
)


@pytest.mark.parametrize("name", [dagman.FILE, dagman.READY])
def test_the_text_of_a_dag_is_as_agreed(name: str) -> None:
    golden, made = GOLDEN / name, dagman.render(STUDY, PLACE)[name]
    if os.environ.get("LABWRIGHT_GOLDEN") == "write":
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_one_job_needs_no_dag() -> None:
    assert dagman.render(STUDY[:1], PLACE) == {}


def test_htcondor_makes_a_job_of_dagman_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = tmp_path / "condor_dagman"
    daemon.write_text("#!/bin/sh\n")
    daemon.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name, text in dagman.render(STUDY, tmp_path).items():
        (tmp_path / name).write_text(text)
    for one in STUDY:
        (tmp_path / f"{one.name}.sub").write_text("executable = /bin/true\nqueue\n")
    made = htcondor2.Submit.from_dag(str(tmp_path / dagman.FILE), {"UseDagDir": True, "Force": True})
    assert made["universe"] == "scheduler"
    assert dagman.FILE in made["arguments"]
    assert "-UseDagDir" in made["arguments"]


def test_each_node_has_its_description_its_question_and_its_parents(tmp_path: Path) -> None:
    path = tmp_path / dagman.FILE
    path.write_text(dagman.render(STUDY, tmp_path)[dagman.FILE])
    nodes = {node.name: node for node in language.dag(path)}
    assert {name: set(node.parents) for name, node in nodes.items()} == {
        "pack": set(),
        "check": {"pack"},
        "train": {"pack", "check"},
        "predict": {"pack", "train"},
        "predict-finish": {"predict"},
        "evaluate": {"predict-finish"},
    }
    assert all(node.description == tmp_path / f"{name}.sub" for name, node in nodes.items())
    assert all(node.pre == ("./ready.sh", name) and node.skip == dagman.SKIP for name, node in nodes.items())


@pytest.mark.parametrize(
    ("done", "marks", "code"),
    [
        ([], [], 0),
        (["train-a"], [], 0),
        (["train-a", "train-b"], [], dagman.SKIP),
        ([], ["cancelled.check"], 0),
        ([], ["cancelled.train"], 1),
        (["train-a", "train-b"], ["cancelled"], 1),
    ],
)
def test_ready_tells_what_became_of_a_job_before_its_turn(tmp_path: Path, done: list[str], marks: list[str], code: int) -> None:
    runs, place = tmp_path / "the runs", tmp_path / "place"
    place.mkdir()
    tasks = (Task(runs / "train-a"), Task(runs / "train-b"))
    made = dagman.render([job("pack", runs=runs), Job("train", "train", tasks, Resources(), Queue())], place)
    script = place / dagman.READY
    script.write_text(made[dagman.READY])
    script.chmod(0o755)
    (place / "train.tasks").write_text("train-a pack-0a1b2c3d4e\ntrain-b pack-0a1b2c3d4e\n")
    for name in done:
        (runs / name).mkdir(parents=True)
        (runs / name / "done.json").touch()
    for mark in marks:
        (place / mark).touch()
    assert subprocess.run(["./ready.sh", "train"], cwd=place, check=False).returncode == code
    (place / "train.tasks").unlink()
    if code != 1:
        assert subprocess.run(["./ready.sh", "train"], cwd=place, check=False).returncode == 0, "what is not known is not passed over"

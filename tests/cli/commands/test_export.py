"""``export``: the files that ``submit`` would send, with lines to type, and runs that work by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from labwright.launch.prepare import STAMP
from labwright.launch.submission import submissions
from tests.cli.scheduler import Scheduler


def test_what_is_written_is_what_submit_would_send(labwright, study: Path, slurm: Scheduler) -> None:
    said = labwright("export", "study.yaml", "--to", "sbatch", "--json").json
    folder = Path(said["folder"])
    assert folder.parent == Path("runs/jobs").resolve()
    shown = labwright("submit", "study.yaml", "--on", "slurm", "--dry-run", "--json").json["files"]
    assert sorted(said["files"]) == sorted(shown)
    for name in said["files"]:
        assert (folder / name).read_text() == shown[name].replace(STAMP, folder.name)
    assert said["lines"][0] == f"pack=$(sbatch --parsable {folder}/pack.sbatch)"
    assert "--dependency=afterok:$pack:$train" in said["lines"][3]
    assert slurm.submitted == []
    assert submissions(Path("runs")) == []


def test_a_folder_may_be_named(labwright, study: Path) -> None:
    said = labwright("export", "study.yaml", "--to", "sbatch", "--folder", "by hand")
    assert said.out.startswith("4 files in by hand; what was written is sent by:\n")
    assert f"pack=$(sbatch --parsable '{Path('by hand').resolve()}/pack.sbatch')" in said.out
    assert "`labwright status`, `logs` and `watch` know their runs once they begin" in said.out
    assert {row["state"] for row in labwright("status", "study.yaml", "--json").json} == {"ready"}
    assert Path("by hand/pack.sbatch").stat().st_mode & 0o111


def test_the_lines_and_the_payload_work_by_hand(labwright, study: Path, tmp_path: Path) -> None:
    said = labwright("export", "study.yaml", "--to", "sbatch", "--sweep", "train.guess=1,2", "--json").json
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\nshift $(($# - 1)); basename "$1" .sbatch\n')
    sbatch.chmod(0o755)
    script = "\n".join([f"PATH={tmp_path}:$PATH", *said["lines"], "echo $pack $check $train $evaluate"])
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split() == [
        "pack",
        "check",
        "train",
        "evaluate",
    ]
    for run in ("pack-*", "check-*", "train-*", "evaluate-*"):
        for folder in Path("runs").glob(run):
            assert labwright("step", folder, "--quiet").code == 0
    assert {row["state"] for row in labwright("status", "study.yaml", "--json").json} == {"done"}
    assert "everything is done" in labwright("export", "study.yaml", "--to", "sbatch", "--sweep", "train.guess=1,2").out


def test_htcondor_takes_single_jobs_or_one_dag(labwright, study: Path) -> None:
    Path("sites").mkdir()
    Path("sites/pool.yaml").write_text("kind: htcondor\nshared_files: true\n")
    said = labwright("export", "study.yaml", "--to", "dagman", "--on", "pool", "--folder", "dag", "--json").json
    assert "study.dag" in said["files"]
    assert said["lines"] == [f"condor_submit_dag -usedagdir {Path('dag/study.dag').resolve()}"]
    said = labwright("export", "study.yaml", "--to", "condor", "--set", "run.on.kind=pool", "--folder", "jobs", "--json").json
    assert "study.dag" not in said["files"]
    assert [line.split("/")[-1] for line in said["lines"] if not line.startswith("#")] == [
        "pack.sub",
        "check.sub",
        "train.sub",
        "evaluate.sub",
    ]
    assert "# when pack and check ended well:" in said["lines"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["study.yaml", "--to", "somewhere"], 64, "It takes sbatch, condor, dagman"),
        (["study.yaml", "--to", "sbatch", "--on", "htcondor"], 64, "of kind htcondor, and sbatch is for slurm"),
        (["weights", "--to", "model"], 64, "one run is needed"),
        (["results", "--to", "www"], 64, "no run is named"),
        (["results", "train", "--to", "www"], 66, "no run begins with 'train'"),
        (["study.yaml"], 64, "--to is missing"),
        (["nostudy.yaml", "--to", "sbatch"], 66, "nostudy.yaml"),
    ],
)
def test_mistakes_are_sentences(labwright, study: Path, words: list[str], code: int, text: str) -> None:
    Path("sites").mkdir()
    Path("sites/htcondor.yaml").write_text("kind: htcondor\nshared_files: true\n")
    Path("sites/generic-htcondor.yaml").write_text("kind: htcondor\nshared_files: true\n")
    said = labwright("export", *words)
    assert said.code == code
    assert text in said.err
    assert not Path("runs").exists()


def test_results_of_several_runs_go_to_a_folder(labwright, study: Path) -> None:
    assert labwright("run", "study.yaml", "--quiet").code == 0
    names = sorted(path.parent.name for path in Path("runs").glob("*/done.json"))
    said = labwright("export", "results", names[0], names[1], "--to", "www")
    assert [line.split(": ")[0] for line in said.out.splitlines()] == [f"www/{name}" for name in names[:2]]
    assert all((Path("www") / name / "manifest.json").is_file() for name in names[:2])
    again = labwright("export", "results", names[0], "--to", "www", "--json").json["exported"]
    assert [(one["run"], one["sent"]) for one in again] == [(names[0], 0)]
    assert "within the run itself" in labwright("export", "results", names[0], "--to", f"runs/{names[0]}").err


def test_a_study_and_a_step_stand_for_the_run_that_it_takes(labwright, study: Path) -> None:
    words = ("export", "results", "study.yaml", "--to", "www")
    absent = labwright(*words, "--step", "train")
    assert (absent.code, "train was not run with these options" in absent.err) == (66, True)
    assert labwright("run", "study.yaml", "--quiet").code == 0
    assert labwright("run", "study.yaml", "--set", "train.guess=2", "--step", "train", "--quiet").code == 0
    planned = {one["step"]: Path(one["folder"]).name for one in labwright("plan", "study.yaml", "--json").json}
    said = labwright(*words, "--step", "train", "--json")
    assert [one["run"] for one in said.json["exported"]] == [planned["train"]]
    assert (Path("www") / planned["train"] / "manifest.json").is_file()
    Path("guess.yaml").write_text("train: {guess: 2}\n")
    merged = labwright("export", "results", "study.yaml", "guess.yaml", "--to", "www", "--step", "train", "--json")
    assert [one["run"] for one in merged.json["exported"]] != [planned["train"]]
    weights = labwright("export", "weights", "study.yaml", "guess.yaml", "--to", "model", "--step", "train", "--json")
    assert weights.json["run"] == merged.json["exported"][0]["run"], "two files are one study, which stands for one run"
    assert "Name it with --step" in labwright(*words).err
    assert "several runs begin" in labwright("export", "results", "train", "--to", "www").err

"""A whole study as jobs that depend on each other: what is made, what is shown, what is kept, and what is not measured."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from labwright.cli.main import main
from labwright.runs.run import Run
from tests.kill.equal import differences
from tests.kill.ground import Ground
from tests.slurm.cluster import Cluster
from tests.slurm.ground import Queued, call, unbroken

pytestmark = pytest.mark.slurm
JOBS = ("pack", "pack-finish", "check", "train", "predict", "evaluate")
SHARES = "run.on.resources={pack: {shares: 2}}"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return unbroken(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def study(cluster: Cluster, ground: Ground, ids: dict[str, str]) -> Queued:
    """The study, submitted with its packing dealt to an array of two, and at its end."""
    queued = Queued(cluster, ground, SHARES)
    ids |= queued.submit()
    queued.finish()
    return queued


def run_of(study: Queued, step: str) -> Run:
    (found,) = (Run.open(path) for path in study.runs.glob(f"{step}-*"))
    return found


def test_its_runs_are_those_of_one_machine(study: Queued, ground: Ground) -> None:
    assert differences(ground.unbroken, study.runs) == []


def test_a_job_a_step_each_after_those_that_it_needs(study: Queued, ids: dict[str, str], cluster: Cluster) -> None:
    assert list(ids) == list(JOBS)
    begins = {name: cluster.times(id)[0] for name, id in ids.items()}
    ends = {name: cluster.times(id)[1] for name, id in ids.items()}
    for before, name in itertools.pairwise(JOBS):
        assert begins[name] >= ends[before], name


def test_parts_are_dealt_to_the_tasks_of_an_array(study: Queued, ids: dict[str, str], cluster: Cluster) -> None:
    assert [cluster.ended(f"{ids['pack']}_{task}") for task in (0, 1)] == [["COMPLETED"], ["COMPLETED"]]
    pack = run_of(study, "pack")
    assert {record["file"].partition("-")[2] for record in pack.records("part")} == {"0of2-0", "1of2-0"}
    assert len(pack.records("finish")) == 1


def test_what_the_jobs_printed_lies_in_the_folders_of_their_runs(study: Queued, ids: dict[str, str]) -> None:
    assert (run_of(study, "train").folder / "jobs" / f"slurm-{ids['train']}.out").is_file()
    names = {f"slurm-{ids['pack']}_0.out", f"slurm-{ids['pack']}_1.out", f"slurm-{ids['pack-finish']}.out"}
    assert {path.name for path in (run_of(study, "pack").folder / "jobs").iterdir()} == names


def test_status_says_that_all_is_done(study: Queued, ids: dict[str, str]) -> None:
    rows = call("status", study.ground.study, "--runs", study.runs, "--json")
    assert {row["state"] for row in rows} == {"done"}
    (train,) = (row for row in rows if row["run"].startswith("train-"))
    assert train["job"] == [ids["train"]]


def test_logs_print_what_a_run_printed(study: Queued, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", str(study.ground.study), "pack", "--runs", str(study.runs)]) == 0
    assert capsys.readouterr().out.strip()


def test_joules_that_nobody_counts_are_not_measured(study: Queued, ids: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", str(run_of(study, "train").folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    (counted,) = (row for row in rows if row["method"] == "slurm")
    assert (counted["joules"], counted["scope"]) == (None, "not measured: 1 of 1 jobs")
    assert main(["energy", "--slurm", "--json"]) == 0
    jobs = {row["id"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert (jobs[ids["train"]]["trust"], jobs[ids["train"]]["joules"]) == ("not measured", None)


def test_submitting_again_finds_nothing_to_do(study: Queued) -> None:
    assert study.submit() == {}


def test_the_files_that_were_sent_are_kept(study: Queued) -> None:
    (folder,) = (path for path in (study.runs / "jobs").iterdir() if path.is_dir())
    assert {path.stem for path in folder.glob("*.sbatch")} == set(JOBS)
    assert "-m labwright step" in (folder / "train.sbatch").read_text(encoding="utf-8")


def test_what_comes_after_a_closed_gate_never_starts(slurm: Cluster, tmp_path: Path) -> None:
    ground = Ground(tmp_path / "closed")
    # Packing sets a broken frame aside, and the check finds that an error.
    (tmp_path / "closed" / "data" / "01" / "t002.tif").write_bytes(b"no image")
    queued = Queued(slurm, ground)
    ids = queued.submit()
    assert slurm.ended(ids["check"]) == ["FAILED"]
    assert slurm.ended(ids["train"]) == ["CANCELLED"]
    assert slurm.ended(ids["evaluate"]) == ["CANCELLED"]
    assert not list(queued.runs.glob("train-*/journal"))

"""Sites on the real Slurm: kinds of step in queues of their own, reservations, setup lines, and what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from labwright.cli.main import main
from labwright.runs.run import runs_in
from tests.kill.ground import OPTIONS, Ground
from tests.slurm.cluster import Cluster
from tests.slurm.ground import call

pytestmark = pytest.mark.slurm
SETS = [word for one in (*OPTIONS, "train.epochs=1", "run.on.resources={train: {gpus: 2}}") for word in ("--set", one)]


@pytest.fixture
def reserved(slurm: Cluster) -> Iterator[None]:
    """HoreKa's two reservations: a node with GPUs, and one without."""
    for name, partition, node in (("aihero-gpu", "accelerated", "n2"), ("aihero-cpu", "cpuonly", "n1")):
        slurm.tool(
            "scontrol", "create", "reservation", f"ReservationName={name}", "StartTime=now", "Duration=1-00:00:00", "Users=root",
            f"PartitionName={partition}", f"Nodes={node}",
        )  # fmt: skip
    yield
    slurm.clear()
    for name in ("aihero-gpu", "aihero-cpu"):
        slurm.tool("scontrol", "delete", f"ReservationName={name}")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    (tmp_path / "desk" / "sites").mkdir(parents=True)
    return Ground(tmp_path / "desk")


def horeka(ground: Ground, reservation: str) -> None:
    """The site as it comes, with the name that it leaves open."""
    shipped = resources.files("labwright.launch") / "sites" / "horeka.yaml"
    text, changes = re.subn("reservation: unknown", f"reservation: {reservation}", shipped.read_text(encoding="utf-8"))
    assert changes == 1
    (ground.folder / "sites" / "horeka.yaml").write_text(text, encoding="utf-8")


@pytest.mark.usefixtures("reserved")
def test_steps_go_to_the_queue_and_the_reservation_of_their_kind(slurm: Cluster, ground: Ground) -> None:
    horeka(ground, "aihero-cpu")
    runs = ground.folder / "runs"
    ids = {row["job"]: row["id"] for row in call("submit", ground.study, "--runs", runs, "--on", "horeka", *SETS, "--json")["jobs"]}
    for name, id in ids.items():
        about = slurm.about(id)
        place = ("accelerated", "aihero-gpu") if name in ("train", "predict") else ("cpuonly", "aihero-cpu")
        assert (about["Partition"], about["Reservation"]) == place, name
        assert about["OverSubscribe"] == "NO"
    slurm.drain()
    assert {run.name: run.state() for run in runs_in(runs)} == {run.name: "done" for run in runs_in(runs)}
    assert slurm.about(ids["train"])["NodeList"] == "n2"
    assert slurm.about(ids["pack"])["NodeList"] == "n1"
    # Two GPUs, two processes.
    (train,) = (run for run in runs_in(runs) if run.step == "train")
    assert {record["rank"] for record in train.records("start")} == {0, 1}


def test_a_reservation_that_is_marked_as_unknown_is_not_guessed(slurm: Cluster, ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", str(ground.study), "--on", "horeka", *SETS]) == 78
    assert "marked as unknown" in capsys.readouterr().err
    assert slurm.tool("squeue", "--noheader") == ""


def test_a_reservation_that_is_not_there_leaves_nothing_queued(slurm: Cluster, ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    horeka(ground, "no-such-event")
    assert main(["submit", str(ground.study), "--on", "horeka", *SETS]) != 0
    assert "reservation" in capsys.readouterr().err
    slurm.drain()


def test_a_setup_line_that_fails_ends_the_job_with_its_text(slurm: Cluster, ground: Ground) -> None:
    (ground.folder / "sites" / "broken.yaml").write_text(
        "kind: slurm\nqueues: {cpu: {resources: {cpus: 1}}}\nsetup: ['echo first', 'module load no/such/module']\n", encoding="utf-8"
    )
    words = ["submit", ground.study, "--runs", ground.folder / "runs", "--on", "broken", *SETS, "--step", "pack", "--json"]
    (row,) = call(*words)["jobs"]
    assert slurm.ended(row["id"]) == ["FAILED"]
    assert slurm.about(row["id"])["ExitCode"] == "78:0"
    (printed,) = ground.folder.glob("runs/pack-*/jobs/slurm-*.out")
    assert "this setup line of site broken failed: module load no/such/module" in printed.read_text(encoding="utf-8")


def test_data_and_runs_may_be_only_where_the_work_is(slurm: Cluster, ground: Ground, tmp_path: Path) -> None:
    there = tmp_path / "there"
    shutil.copytree(ground.folder / "data", there / "data")
    places = f"runs_root: {there}/runs\ndata_root: {{{ground.folder}/data: {there}/data}}\n"
    (ground.folder / "sites" / "apart.yaml").write_text(
        f"kind: slurm\nqueues: {{cpu: {{resources: {{cpus: 1}}}}}}\n{places}", encoding="utf-8"
    )
    runs = ground.folder / "runs"
    call("submit", ground.study, "--runs", runs, "--on", "apart", *SETS, "--set", "run.on.resources={train: {gpus: 0}}", "--json")
    slurm.drain()
    here = {run.step: run for run in runs_in(runs)}
    assert {step: bool(run.done()) for step, run in here.items()} == dict.fromkeys(("pack", "check", "train", "predict", "evaluate"), True)
    # What tells of the runs came home, what is heavy stayed.
    assert here["evaluate"].figures()
    assert here["evaluate"].sections()
    assert list((there / "runs").glob("train-*/checkpoints/model/*"))
    assert not list(runs.glob("train-*/checkpoints/model/*"))

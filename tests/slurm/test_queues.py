"""Kinds of step go to the queues of the site, each with the reservation that was made for it: the site ``horeka`` on two small nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labwright.cli.main import main
from labwright.launch.site import BUNDLED
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.slurm.cluster import Cluster
from tests.slurm.ground import call

pytestmark = pytest.mark.slurm
RESERVED = {"accelerated": ("aihero-gpu", "n1"), "cpuonly": ("aihero-cpu", "n2")}
QUEUES = {"pack": "cpuonly", "check": "cpuonly", "train": "accelerated", "predict": "accelerated", "evaluate": "cpuonly"}


@pytest.fixture
def reserved(slurm: Cluster) -> Iterator[Cluster]:
    for partition, (name, node) in RESERVED.items():
        slurm.tool(
            *("scontrol", "create", "reservation", f"ReservationName={name}", "StartTime=now", "Duration=60"),
            *("Users=root", f"Nodes={node}", f"PartitionName={partition}"),
        )
    yield slurm
    slurm.clear()
    for name, _ in RESERVED.values():
        slurm.tool("scontrol", "delete", f"ReservationName={name}")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny_study(tmp_path, tiny_sequences(tmp_path / "data"))


def write_site(folder: Path, cpu_reservation: str) -> None:
    """HoreKa's file with the reservation that its users know, for nodes that are smaller."""
    text = (BUNDLED / "horeka.yaml").read_text(encoding="utf-8")
    for large, small in (("cpus: 152", "cpus: 1"), ("cpus: 38", "cpus: 1"), ("gpus: 4", "gpus: 1"), ("minutes: 1200", "minutes: 10")):
        assert large in text
        text = text.replace(large, small)
    assert "reservation: unknown" in text
    (folder / "sites").mkdir(exist_ok=True)
    (folder / "sites" / "horeka.yaml").write_text(text.replace("reservation: unknown", f"reservation: {cpu_reservation}"))


def test_gpu_steps_and_cpu_steps_go_each_to_their_queue_with_its_reservation(reserved: Cluster, study: Path) -> None:
    write_site(study.parent, "aihero-cpu")
    jobs = {row["job"]: row["id"] for row in call("submit", study, "--on", "horeka", "--json")["jobs"]}
    about = {name: reserved.about(id) for name, id in jobs.items()}
    assert {name: one["Partition"] for name, one in about.items()} == QUEUES
    assert {name: one["Reservation"] for name, one in about.items()} == {name: RESERVED[queue][0] for name, queue in QUEUES.items()}
    assert about["train"]["TresPerNode"].endswith("gpu:1")
    assert call("cancel", study, "--json")


def test_a_reservation_that_does_not_exist_leaves_nothing_in_the_queue(
    reserved: Cluster, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_site(study.parent, "of-another-week")
    assert main(["submit", str(study), "--on", "horeka"]) != 0
    assert "reservation" in capsys.readouterr().err
    assert reserved.tool("squeue", "--noheader") == ""


def test_a_reservation_that_nobody_knows_is_asked_for(reserved: Cluster, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_site(study.parent, "unknown")
    assert main(["submit", str(study), "--on", "horeka"]) == 78
    assert "reservation" in capsys.readouterr().err
    assert reserved.tool("squeue", "--noheader") == ""

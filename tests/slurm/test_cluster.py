"""The cluster that the other tests stand on does what real ones do."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.slurm.cluster import HERE, Cluster

pytestmark = pytest.mark.slurm


def test_two_nodes_with_gpus_of_their_own(slurm: Cluster) -> None:
    said = slurm.tool("srun", "--nodes=2", "--gpus-per-node=1", "bash", "-c", "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES")
    assert sorted(said.splitlines()) == ["n1 0", "n2 0"]


def test_tasks_of_an_array_end_as_they_end(slurm: Cluster) -> None:
    job = slurm.batch("exit $((SLURM_ARRAY_TASK_ID == 2))", "--array=0-3%2")
    assert [slurm.ended(f"{job}_{task}") for task in range(4)] == [["COMPLETED"], ["COMPLETED"], ["FAILED"], ["COMPLETED"]]


def test_low_is_preempted_by_main_and_goes_on_within_seconds(slurm: Cluster) -> None:
    low = slurm.batch('[ "${SLURM_RESTART_COUNT:-0}" = 1 ] || sleep 60', "--partition=low", "--nodes=2", "--exclusive", "--requeue")
    slurm.until(low, "RUNNING")
    slurm.tool("srun", "--partition=main", "--nodes=2", "--exclusive", "true")
    assert slurm.ended(low) == ["PREEMPTED", "COMPLETED"]


def test_a_lost_node_is_noticed_and_its_job_goes_elsewhere(slurm: Cluster) -> None:
    job = slurm.batch('[ "${SLURM_RESTART_COUNT:-0}" = 1 ] || sleep 60', "--requeue")
    node = slurm.until(job, "RUNNING")["NodeList"]
    slurm.lose(node)
    assert slurm.ended(job) == ["NODE_FAIL", "COMPLETED"]
    assert slurm.about(job)["NodeList"] != node
    slurm.bring_back(node)


def test_several_clusters_live_side_by_side(slurm: Cluster) -> None:
    other = Cluster()
    try:
        environment = {**os.environ, "SLURM_CONF": str(other.conf)}
        said = subprocess.run(["srun", "printenv", "SLURM_CONF"], env=environment, capture_output=True, text=True, check=True, timeout=30)
        assert said.stdout.strip() == str(other.conf)
        assert slurm.tool("srun", "printenv", "SLURM_CONF") == str(slurm.conf)
    finally:
        other.stop()
    assert not other.folder.exists()


def test_stop_leaves_alone_what_start_did_not_make(slurm: Cluster) -> None:
    done = subprocess.run(
        [HERE / "stop.sh"], env={**os.environ, "SLURM_CONF": "/etc/slurm/slurm.conf"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "left alone" in done.stderr

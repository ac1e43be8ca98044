"""A look at a machine comes back with what a step would find there, by file or by what the job printed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from labwright import __version__
from labwright.launch import hello
from labwright.launch.local_script import render
from labwright.launch.site import Queue, Site
from labwright.runs import gpus
from labwright.study.resources import Resources
from labwright.testing.nvml import Device, FakeNvml
from labwright.testing.schedulers import Twins


def test_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "load", lambda: (FakeNvml(Device("a"), Device("b")), ""))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    found = hello.look()
    assert found["host"] == socket.gethostname()
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["versions"]["labwright"] == __version__
    assert found["gpus"] == [{"index": 1, "name": "Fake b", "memory_bytes": 16 * 2**30}]
    assert found["cuda_visible_devices"] == "1"
    disks = {disk["place"]: disk for disk in found["disks"]}
    assert set(disks) >= {"folder", "tmp", "scratch"}
    assert disks["scratch"]["path"] == str(tmp_path)
    assert 0 < disks["scratch"]["free_bytes"] < disks["scratch"]["total_bytes"]
    assert disks["scratch"]["writable"]


def test_without_nvml_the_text_of_nvidia_smi_tells_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins(tmp_path)
    twins.answers("nvidia-smi", "0, NVIDIA A100-SXM4-40GB, 40960\n1, NVIDIA A100-SXM4-40GB, [N/A]\nNo devices were found\n")
    monkeypatch.setattr(gpus, "load", lambda: (None, "the package nvidia-ml-py is not installed"))
    monkeypatch.setenv("PATH", twins.path)
    assert hello.look()["gpus"] == [{"index": 0, "name": "NVIDIA A100-SXM4-40GB", "memory_bytes": 40 * 2**30}]


def test_the_container_is_named(tmp_path: Path) -> None:
    assert hello.container({}, tmp_path) == ""
    assert hello.container({"APPTAINER_CONTAINER": "/images/lab.sif"}, tmp_path) == "/images/lab.sif"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".containerenv").touch()
    assert hello.container({}, tmp_path) == "podman"


def test_the_scheduler_is_named_with_its_job() -> None:
    assert hello.scheduler({"SLURM_CONF": "/etc/slurm.conf"}) is None
    told = hello.scheduler({"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CLUSTER_NAME": "x"})
    assert told == {"kind": "slurm", "SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n[1-2]"}
    assert (hello.scheduler({"_CONDOR_SCRATCH_DIR": "/var/x"}) or {})["kind"] == "htcondor"


def test_a_disk_that_cannot_be_seen_is_told_of(tmp_path: Path) -> None:
    assert hello.disk("scratch", tmp_path / "absent")["free_bytes"] is None


def test_the_job_is_one_look_however_many_would_train() -> None:
    site = Site(kind="slurm", queues={"gpu": Queue(partition="a", resources=Resources(gpus=4, nodes=2, shares=8, minutes=600))})
    made = hello.job(site, Path("/runs/hello"))
    assert (made.nodes, made.ranks, made.resources.gpus, made.queue.partition) == (1, 1, 4, "a")
    assert made.tasks[0].argv("python3") == ("python3", "-m", "labwright", "hello", "/runs/hello")


def test_the_answer_comes_back_by_file_or_by_what_was_printed(tmp_path: Path) -> None:
    site = Site(kind="local", name="here", python=sys.executable, setup=("echo a { setup } line",))
    (text,) = render(hello.job(site, tmp_path), site, tmp_path).values()
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    by_file = hello.read(tmp_path)
    assert by_file is not None
    assert by_file["host"] == socket.gethostname()
    (tmp_path / hello.FILE).unlink()
    assert hello.read(tmp_path) is None
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "condor-7.0.out").write_text(f"{done.stdout}bye\n")
    assert json.dumps(hello.read(tmp_path)) == json.dumps(by_file)

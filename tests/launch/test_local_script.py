"""The script of a job on this machine is the text that was agreed upon, and does what it says when it is run by hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.launch.container import Container
from labwright.launch.job import Job, Task
from labwright.launch.local_script import render
from labwright.launch.site import UNKNOWN, Queue, Site, load_site
from labwright.parts.shares import Share
from labwright.runs.errors import StudyError
from labwright.study.resources import Resources

GOLDEN = Path(__file__).with_name("golden") / "local"
RUNS = Path("/srv/mara/colony/runs")
PLACE = RUNS / "jobs" / "20261121-101500-3f2a"
SITE = Site(kind="local", name="generic-server", python="/opt/labwright/bin/python")
TRAIN = (Task(RUNS / "train-1f6a0c92d3"),)
LPC = load_site("lpc")

CASES: dict[str, tuple[Job, Site]] = {
    "plain": (Job("pack", "pack", (Task(RUNS / "pack-0a1b2c3d4e"),), Resources(), Queue()), SITE),
    "two-gpus": (Job("train", "train", TRAIN, Resources(gpus=2, minutes=60), Queue(), trains=True), SITE),
    "shares": (
        Job("predict", "predict", tuple(Task(RUNS / "predict-77aa01be55", Share(index, 3)) for index in range(3)), Resources(), Queue()),
        SITE.model_copy(update={"setup": ("source /opt/labwright/bin/activate",), "env": {"OMP_NUM_THREADS": "4"}}),
    ),
    "sweep": (
        Job("train", "train", tuple(Task(RUNS / f"train-{row}") for row in ("1f6a0c92d3", "2b7d11e0a4")), Resources(), Queue()),
        SITE,
    ),
    "lpc": (
        Job("train", "train", TRAIN, Resources(), Queue(), trains=True, raw=(Path("/uscms_data/hh4b"),)),
        LPC.model_copy(update={"container": LPC.container.model_copy(update={"python": "/opt/labwright/bin/python3"})}),
    ),
    "docker": (
        Job("train", "train", TRAIN, Resources(gpus=2), Queue(), trains=True),
        Site(
            kind="local",
            name="lab",
            scratch="/scratch/$USER",
            container=Container(kind="docker", image="docker://ghcr.io/lab/labwright@sha256:" + "5e" * 32, gpu=True),
        ),
    ),
    "hello": (Job("hello", "hello", (Task(RUNS / "hello-20261121", verb="hello"),), Resources(), Queue()), SITE),
}


def text(name: str) -> str:
    job, site = CASES[name]
    (made,) = render(job, site, PLACE).values()
    return made.replace(sys.executable, "/opt/host/bin/python")


@pytest.mark.parametrize("name", CASES)
def test_scripts_are_as_agreed(name: str) -> None:
    golden = GOLDEN / f"{name}.sh"
    if os.environ.get("LABWRIGHT_GOLDEN") == "write":
        golden.write_text(text(name), encoding="utf-8")
    assert text(name) == golden.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", golden], check=True)


@pytest.mark.parametrize("name", CASES)
def test_nothing_here_names_a_port_or_a_gpu(name: str) -> None:
    assert "CUDA_VISIBLE_DEVICES=" not in text(name)
    assert not re.search(r"MASTER_PORT=\d", text(name))


def test_what_a_site_does_not_know_is_not_guessed() -> None:
    job = Job("train", "train", TRAIN, Resources(), Queue())
    with pytest.raises(StudyError, match=r"container\.python of site lpc is marked as unknown"):
        render(job, LPC, PLACE)
    with pytest.raises(StudyError, match="scratch of site generic-server is marked as unknown"):
        render(job, SITE.model_copy(update={"scratch": UNKNOWN}), PLACE)


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """An interpreter that tells who it is among how many, and leaves with the code in the file ``code-<rank>``, as 0 by default."""
    made = tmp_path / "python"
    made.write_text(
        "#!/bin/bash\n"
        'echo "${RANK-} of ${WORLD_SIZE-}, ${LOCAL_RANK-} of ${LOCAL_WORLD_SIZE-} here, at ${MASTER_ADDR-}:${MASTER_PORT:+port}: $*"\n'
        f'trap "exit 75" USR1; [ -e "{tmp_path}/stay" ] && while :; do sleep 0.02; done\n'
        f'exit "$(cat "{tmp_path}/code-${{RANK-}}" 2>/dev/null || echo 0)"\n'
    )
    made.chmod(0o755)
    return made


def script(payload: Path, job: Job) -> Path:
    site = SITE.model_copy(update={"python": str(payload)})
    (made,) = render(job, site, PLACE).values()
    path = payload.with_name("job.sh")
    path.write_text(made)
    return path


def test_a_training_on_several_gpus_is_a_process_on_each(payload: Path) -> None:
    job = Job("train", "train", (Task(payload.parent),), Resources(gpus=3), Queue(), trains=True)
    done = subprocess.run(["bash", script(payload, job)], capture_output=True, text=True, check=True)
    words = f"-m labwright step {payload.parent}"
    assert sorted(done.stdout.splitlines()) == [f"{rank} of 3, {rank} of 3 here, at 127.0.0.1:port: {words}" for rank in range(3)]


def test_one_process_is_no_group(payload: Path) -> None:
    job = Job("train", "train", (Task(payload.parent),), Resources(gpus=1), Queue(), trains=True)
    done = subprocess.run(["bash", script(payload, job)], capture_output=True, text=True, check=True)
    assert done.stdout == f" of ,  of  here, at :: -m labwright step {payload.parent}\n"


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((75, 75), 75), ((65, 65), 65), ((75, 137), 137)])
def test_processes_that_train_together_leave_as_one(payload: Path, codes: tuple[int, int], code: int) -> None:
    for rank, one in enumerate(codes):
        payload.with_name(f"code-{rank}").write_text(str(one))
    job = Job("train", "train", (Task(payload.parent),), Resources(gpus=2), Queue(), trains=True)
    assert subprocess.run(["bash", script(payload, job)], stdout=subprocess.DEVNULL, check=False).returncode == code


def test_a_signal_reaches_every_process_that_trains(payload: Path) -> None:
    payload.with_name("stay").touch()
    job = Job("train", "train", (Task(payload.parent),), Resources(gpus=2), Queue(), trains=True)
    with subprocess.Popen(["bash", script(payload, job)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for _ in range(2):
            running.stdout.readline()
        running.terminate()
        assert running.wait(20) == 75


def test_by_hand_a_script_takes_the_number_of_the_task(payload: Path) -> None:
    job = Job("predict", "predict", tuple(Task(payload.parent, Share(index, 3)) for index in range(3)), Resources(), Queue())
    done = subprocess.run(["bash", script(payload, job), "2"], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"step {payload.parent} --share 2/3\n")


def test_an_attempt_ends_before_its_limit() -> None:
    assert "export LABWRIGHT_STOP_AFTER_S=3420\n" in text("two-gpus")
    assert "LABWRIGHT_STOP_AFTER_S" not in text("plain")

"""A training that loses its node in all the ways there are leaves what an unbroken one leaves; and how one looks at it meanwhile."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill.equal import differences
from tests.kill.ground import Ground
from tests.slurm.cluster import WHOLE_S, Cluster, until
from tests.slurm.ground import Queued, call, signalled, unbroken

pytestmark = pytest.mark.slurm
LONG = "train.epochs=90"
"""Some seconds of training, so that what happens to it happens in its middle."""
EARLY = 30
"""Steps after which it happens."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return unbroken(tmp_path_factory.mktemp("training"), LONG, step="train")


@pytest.fixture
def queued(slurm: Cluster, ground: Ground) -> Queued:
    """The study, packed and checked."""
    return Queued(slurm, ground, LONG, begin="train")


def test_preempted(queued: Queued, slurm: Cluster, ground: Ground) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    slurm.tool("srun", "--partition=main", "--nodes=2", "--exclusive", "true")
    queued.finish()
    assert differences(ground.unbroken, queued.runs) == []
    assert slurm.ended(job) == ["PREEMPTED", "COMPLETED"]
    assert queued.training.attempts() == 2


def test_at_its_time_limit(queued: Queued, slurm: Cluster, ground: Ground) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    with queued.held() as (process,):
        slurm.tool("scontrol", "update", f"JobId={job}", "EndTime=now+60")
        # Slurm looks at the clock every 30 s.
        until(lambda: signalled(process, signal.SIGUSR1), WHOLE_S)
    queued.finish()
    assert differences(ground.unbroken, queued.runs) == []
    *earlier, last = slurm.ended(job)
    assert last == "COMPLETED"
    assert set(earlier) == {"REQUEUED"}
    assert {record["code"] for record in queued.training.records("end")} == {0, 75}


def test_cancelled_gently_and_continued(queued: Queued, slurm: Cluster, ground: Ground) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    cancelled = call("cancel", queued.ground.study, "--runs", queued.runs, "--json")["cancelled"]
    assert [row["job"] for row in cancelled] == [job]
    slurm.drain()
    # It saved before it left, and was not queued again.
    assert queued.training.state() == "stopped"
    assert len(slurm.ended(job)) == 1
    assert [record["code"] for record in queued.training.records("end")] == [75]
    assert queued.submit("--step", "train")["train"] != job
    queued.finish()
    assert differences(ground.unbroken, queued.runs) == []


def test_scancelled_and_continued(queued: Queued, slurm: Cluster, ground: Ground) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    slurm.tool("scancel", job)
    slurm.drain()
    assert slurm.ended(job) == ["CANCELLED"]
    queued.submit("--step", "train")
    queued.finish()
    assert differences(ground.unbroken, queued.runs) == []
    assert queued.training.attempts() == 2


def test_node_lost(queued: Queued, slurm: Cluster, ground: Ground) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    node = slurm.about(job)["NodeList"]
    slurm.lose(node)
    queued.finish()
    assert differences(ground.unbroken, queued.runs) == []
    assert slurm.ended(job) == ["NODE_FAIL", "COMPLETED"]
    assert slurm.about(job)["NodeList"] != node


def test_the_controller_is_away_for_a_while(queued: Queued, slurm: Cluster, ground: Ground) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    with queued.held(), slurm.without_controller():
        (row,) = (row for row in call("status", queued.training.folder, "--json") if row["run"] == queued.training.name)
        # Nothing is concluded from a queue that gives no answer.
        assert row["state"] == "running"
    queued.finish()
    assert slurm.ended(job) == ["COMPLETED"]
    assert differences(ground.unbroken, queued.runs) == []
    assert queued.training.attempts() == 1


def test_what_one_sees_while_it_works(queued: Queued, slurm: Cluster) -> None:
    job = queued.submit("--step", "train")["train"]
    queued.learned(EARLY)
    with queued.held():
        node = slurm.about(job)["NodeList"]
        (row,) = (row for row in call("status", queued.training.folder, "--json") if row["run"] == queued.training.name)
        assert (row["state"], row["scheduler"], row["job"], row["host"]) == ("running", "running", [job], node)
        (listed,) = (row for row in call("status", "--json") if row["job"] == job)
        assert (listed["site"], listed["name"], listed["state"]) == ("two", "train", "running")
        assert f"beside {job} on {node}" in attached(queued.training.folder, "echo beside $SLURM_JOB_ID on $SLURMD_NODENAME")
    queued.finish()


def attached(run: Path, line: str) -> str:
    """What ``labwright attach`` shows on a terminal."""
    words = [sys.executable, "-m", "labwright", "attach", str(run), "--", "sh", "-c", line]
    done = subprocess.run(
        ["script", "--quiet", "--return", "--command", shlex.join(words), "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

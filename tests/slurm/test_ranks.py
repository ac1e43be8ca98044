"""Two nodes train together as two processes of one machine do, and lose nothing when they are lost."""

from __future__ import annotations

import pytest

from tests.kill.equal import differences
from tests.kill.ground import Ground
from tests.kill.test_ranks import codes, together
from tests.slurm.cluster import Cluster, until
from tests.slurm.ground import Queued, unbroken

pytestmark = pytest.mark.slurm
TWO_NODES = "run.on.resources={train: {nodes: 2}}"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return unbroken(tmp_path_factory.mktemp("ranks"), step="train")


def test_two_nodes_train_together_and_are_preempted(slurm: Cluster, ground: Ground) -> None:
    reference, run = ground.prepared()
    commands = together(ground, run)
    assert codes(commands) == [0, 0], [command.said() for command in commands]
    queued = Queued(slurm, ground, TWO_NODES, begin="train")
    job = queued.submit("--step", "train")["train"]
    queued.learned(3)
    with queued.held() as processes:
        assert len(processes) == 2
        assert slurm.about(job)["NodeList"] == "n[1-2]"
        slurm.tool("srun", "--partition=main", "--nodes=2", "--exclusive", "true")
        until(lambda: not any(process.is_running() for process in processes))
    queued.finish()
    assert slurm.ended(job) == ["PREEMPTED", "COMPLETED"]
    assert queued.training.attempts() == 2
    assert differences(reference, queued.runs) == []

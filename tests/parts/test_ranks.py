"""Which of how many processes this is, as torchrun and srun say it."""

from __future__ import annotations

import pytest

from labwright.parts.ranks import Place, place
from labwright.runs.errors import CommandError

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "LABWRIGHT_RANKS": "slurm",
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}


def test_a_process_that_nobody_counts_is_alone() -> None:
    assert place({}) == place({"WORLD_SIZE": "1", "RANK": "0"}) == Place(0, 1)


def test_slurm_alone_does_not_make_a_group() -> None:
    assert place({name: value for name, value in SLURM.items() if name != "LABWRIGHT_RANKS"}) == Place(0, 1)


def test_torchrun_says_it() -> None:
    assert place(dict(TORCHRUN)) == Place(3, 4)


def test_slurm_is_translated_where_it_is_meant() -> None:
    environment = dict(SLURM)
    assert place(environment) == Place(3, 4)
    assert TORCHRUN.items() <= environment.items()


@pytest.mark.parametrize(("counts", "node", "here"), [("4", "0", "4"), ("2(x3)", "2", "2"), ("1,1,1,1", "3", "1")])
def test_the_tasks_of_the_own_node_are_read_from_slurms_list(counts: str, node: str, here: str) -> None:
    environment = {**SLURM, "SLURM_STEP_TASKS_PER_NODE": counts, "SLURM_NODEID": node}

    changed = {**environment, "SLURM_NTASKS": "12"}
    place(changed)
    assert changed["LOCAL_WORLD_SIZE"] == here


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(CommandError, match=f"{name}: it is not set"):
        place({key: value for key, value in TORCHRUN.items() if key != name})


@pytest.mark.parametrize(
    "change",
    [{"RANK": "4"}, {"RANK": "-1"}, {"WORLD_SIZE": "x"}, {"LOCAL_WORLD_SIZE": "3"}, {"LABWRIGHT_RANKS": "pbs"}],
)
def test_what_cannot_be_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        place({**TORCHRUN, **change})


def test_unlike_numbers_of_tasks_on_nodes_are_refused() -> None:
    with pytest.raises(CommandError, match="the same number of processes on each node"):
        place({**SLURM, "SLURM_NTASKS": "5", "SLURM_STEP_TASKS_PER_NODE": "3,2"})

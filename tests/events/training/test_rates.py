"""Learning rates, batch sizes and ghost batches over the epochs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labwright.events.network_options import GhostOptions
from labwright.events.train_options import TrainOptions
from labwright.events.training.rates import batch_size, factors, ghosts

NONE = np.empty((0, 2))


def test_batches_double_after_epochs_1_3_6_and_10() -> None:
    sizes = [batch_size(TrainOptions(), epoch, 10**6) for epoch in range(12)]
    assert sizes == [1024, 2048, 2048, 4096, 4096, 4096, 8192, 8192, 8192, 8192, 16384, 16384]


def test_batches_grow_no_further_than_the_events_suffice() -> None:
    assert [batch_size(TrainOptions(), epoch, 3000) for epoch in (0, 1, 19)] == [1024, 2048, 2048]
    assert batch_size(TrainOptions(), 19, 1000) == 0


def test_ghost_batches_end_with_the_running_statistics() -> None:
    assert [ghosts(GhostOptions(), epoch) for epoch in (0, 1, 3, 6, 10, 15, 19)] == [64, 16, 4, 1, 0, 0, 0]


def test_milestones_multiply_the_rate_of_all_members_alike() -> None:
    options = TrainOptions.model_validate({"rates": {"kind": "milestones", "epochs": [2, 3], "factor": 0.5}})
    assert [factors(options, epoch, NONE).tolist() for epoch in range(4)] == [[1, 1], [1, 1], [0.5, 0.5], [0.25, 0.25]]


def test_the_last_stage_has_a_rate_of_its_own() -> None:
    options = TrainOptions.model_validate({"epochs": 4, "learning_rate": 0.01, "finetune": {"epochs": 2}})
    assert factors(options, 4, NONE) == pytest.approx([0.01, 0.01])
    assert factors(options, 5, NONE) == pytest.approx([0.005, 0.005])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(*[st.sampled_from([0.5, 0.7, 0.69999, 0.9, 1.2, float("nan")])] * 2), max_size=12),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_a_plateau_is_that_of_torch_for_each_member_by_itself(losses: list[tuple[float, float]], patience: int, cooldown: int) -> None:
    plateau = {"kind": "plateau", "patience": patience, "cooldown": cooldown, "factor": 0.3, "minimum": 0.0005}
    options = TrainOptions.model_validate({"learning_rate": 0.01, "rates": plateau})
    found = factors(options, 0, np.array(losses).reshape(-1, 2))
    for member in range(2):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.01)
        torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.3, patience=patience, threshold=1e-4, cooldown=cooldown, min_lr=0.0005, eps=0.0
        )
        for loss in losses:
            torchs.step(loss[member])
        assert found[member] * 0.01 == pytest.approx(optimizer.param_groups[0]["lr"])

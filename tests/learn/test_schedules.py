"""Learning rates against torch's own schedulers, and intervals."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from labwright.learn.options import Constant, Cosine, FitOptions, Schedule, StepDecay
from labwright.learn.schedules import due, factor, optimizer, passed

EPOCH = 7


def ours(schedule: Schedule, total: int) -> list[float]:
    return [factor(schedule, step=step, total_steps=total, epoch=step // EPOCH) for step in range(total)]


def torchs(total: int, make: Any) -> Iterator[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimiser)
    for _ in range(total):
        yield scheduler.get_last_lr()[0]
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_is_torchs(final: float) -> None:
    reference = list(torchs(50, lambda optimiser: lr_scheduler.CosineAnnealingLR(optimiser, T_max=50, eta_min=final)))
    assert ours(Cosine(final_fraction=final), 50) == pytest.approx(reference)


def test_steps_are_torchs() -> None:
    reference = list(torchs(50, lambda optimiser: lr_scheduler.StepLR(optimiser, step_size=8, gamma=0.3)))
    assert ours(StepDecay(every="8 steps", factor=0.3), 50) == pytest.approx(reference)


def test_steps_by_epochs_fall_at_the_edges_of_epochs() -> None:
    reference = list(torchs(50, lambda optimiser: lr_scheduler.StepLR(optimiser, step_size=2 * EPOCH, gamma=0.5)))
    assert ours(StepDecay(every="2 epochs", factor=0.5), 50) == pytest.approx(reference)


def test_warm_up_is_torchs_linear_rise() -> None:
    reference = list(torchs(50, lambda optimiser: lr_scheduler.LinearLR(optimiser, start_factor=1 / 11, total_iters=10)))
    assert ours(Constant(warmup_steps=10), 50) == pytest.approx(reference)


def test_warm_up_then_cosine_is_torchs_product_of_both() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = list(
            torchs(
                50,
                lambda optimiser: lr_scheduler.ChainedScheduler(
                    [
                        lr_scheduler.CosineAnnealingLR(optimiser, T_max=50),
                        lr_scheduler.LinearLR(optimiser, start_factor=1 / 11, total_iters=10),
                    ]
                ),
            )
        )
    assert ours(Cosine(warmup_steps=10), 50) == pytest.approx(reference)


@given(st.integers(1, 9), st.sampled_from(["epoch", "epochs", "step", "steps"]), st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_an_interval_is_due_exactly_when_one_more_has_passed(count: int, unit: str, lengths: list[int]) -> None:
    interval = f"{count} {unit}"
    before, step = 0, 0
    for epoch, length in enumerate(lengths):
        for batch in range(1, length + 1):
            step += 1
            place = (epoch + 1, 0) if batch == length else (epoch, batch)
            now = passed(interval, step=step, epoch=place[0])
            assert due(interval, step=step, epoch=place[0], batch=place[1]) == (now > before)
            before = now


def test_nothing_is_due_before_the_first_step() -> None:
    assert not due("1 epoch", step=0, epoch=0, batch=0)
    assert not due("1 step", step=0, epoch=0, batch=0)


@pytest.mark.parametrize(
    ("chosen", "kind", "values"),
    [
        ({"kind": "adamw", "weight_decay": 0.2}, torch.optim.AdamW, {"weight_decay": 0.2, "betas": (0.9, 0.999)}),
        ({"kind": "adam", "betas": [0.5, 0.9]}, torch.optim.Adam, {"weight_decay": 0.0, "betas": (0.5, 0.9)}),
        ({"kind": "sgd", "momentum": 0.8}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
        ({"kind": "sgd", "momentum": 0.0}, torch.optim.SGD, {"momentum": 0.0, "nesterov": False}),
    ],
)
def test_the_optimiser_is_the_one_of_the_options(chosen: dict[str, Any], kind: type[torch.optim.Optimizer], values: dict[str, Any]) -> None:
    frozen = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    made = optimizer(FitOptions.model_validate({"optimizer": chosen, "learning_rate": 0.25}), [torch.nn.Parameter(torch.zeros(1)), frozen])
    assert type(made) is kind
    (group,) = made.param_groups
    assert len(group["params"]) == 1
    assert {name: group[name] for name in values} == values
    assert group["lr"] == 0.25

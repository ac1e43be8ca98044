"""What the training loop is given of events: batches of each member's own events, figures of each, and the best of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labwright.events.folds import TRAIN, members, roles
from labwright.events.identity import Identity
from labwright.events.network_options import BestOptions
from labwright.events.packing.load import PackedEvents
from labwright.events.train_options import TrainOptions
from labwright.events.training.history import History, Validation, chosen, ended, read_best, write_best
from labwright.events.training.rows import rows_of, seed_of, spread
from labwright.events.training.task import EventsTask
from labwright.learn.task import Clock
from labwright.study.step import Part
from tests.events.training.test_members import events as jets
from tests.learn.fake import FakeJob

N, CLASSES = 800, ("d4", "d3", "t4", "t3")
OPTIONS = {
    "objective": "fvt",
    "batch_size": 32,
    "epochs": 3,
    "network": {"kind": "hcr", "width": 4, "attention": False},
    "grow": {"epochs": [1, 2]},
    "accelerator": "cpu",
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packed() -> PackedEvents:
    can, other, ancillary = jets(N, 3)
    number = np.arange(N)
    weight = torch.from_numpy(np.where(number % 10 == 0, -0.5, 1.0).astype(np.float32))
    identity = Identity(np.ones(N, np.uint32), np.ones(N, np.uint32), number.astype(np.uint64))
    flags = torch.from_numpy(np.where(number % 3 == 0, 2, 1).astype(np.int32))  # SR or SB
    label = torch.from_numpy(((number // 2) % 4).astype(np.uint8))
    return PackedEvents(can, other, ancillary, weight, label, flags, identity, CLASSES, ("year", "n_selected"), (), Path())


def made(packed: PackedEvents, folder: Path, **options: Any) -> EventsTask:
    job: Any = FakeJob(folder)
    job.options = TrainOptions.model_validate({**OPTIONS, **options})
    models = members(job.options)
    return EventsTask(job, packed, rows_of(packed, models, job.options), models, Part("members-0-3"))


def test_each_member_meets_each_of_its_events_at_most_once_an_epoch(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path)
    for epoch in range(3):
        batches = list(task.batches(epoch))
        size = 32 * 2**epoch
        assert all(batch.shape == (3, size) for batch in batches)
        assert len(batches) == min(len(one.train) for one in task.rows) // size
        for seen, rows in zip(np.concatenate(batches, axis=1), task.rows, strict=True):
            assert len(set(seen.tolist())) == len(seen)
            assert set(seen.tolist()) <= set(rows.train.tolist())


def test_batches_of_a_member_do_not_depend_on_whom_it_trains_with(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path)
    rows = rows_of(packed, task.models, task.options)
    alone = EventsTask(task.job, packed, rows, task.models[1:2], Part("one"))
    for together, single in zip(task.batches(1), alone.batches(1), strict=True):
        assert np.array_equal(together[1:2], single)
    assert seed_of(7, task.models[0]) != seed_of(7, task.models[1])


def test_blinded_data_is_in_no_member(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path)
    blind = set(torch.nonzero(packed.has("SR") & (packed.label == 0))[:, 0].tolist())
    assert blind
    for rows in task.rows:
        assert not blind & {*rows.train.tolist(), *rows.validate.tolist()}
    unblinded = rows_of(packed, task.models, task.options.model_copy(update={"objective": "svb"}))
    assert sum(len(rows.train) for rows in unblinded.values()) == sum((roles(one, packed.identity) == TRAIN).sum() for one in task.models)


def test_events_of_negative_weight_can_be_left_out(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path, negative_weights="drop")
    assert all((packed.weight[rows.train] > 0).all() for rows in task.rows)
    assert bool((made(packed, tmp_path).weight < 0).any())
    assert bool((made(packed, tmp_path, negative_weights="absolute").weight > 0).all())


def test_the_gradient_of_a_member_is_that_of_its_own_loss(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path)
    batch = task.load(task.batches(0)[0], 0)
    loss, figures = task.loss(batch, Clock(0, 0, 0.0, 1))
    assert loss.item() == pytest.approx(3 * figures["loss"].item(), rel=1e-5)


@pytest.mark.parametrize("pieces", [2, 3])
def test_a_batch_in_pieces_has_the_gradient_of_the_whole(packed: PackedEvents, tmp_path: Path, pieces: int) -> None:
    heavy = replace(packed, weight=packed.weight * torch.from_numpy(np.random.default_rng(0).lognormal(0, 2, N).astype(np.float32)))
    # Without ghost batches, which see the pieces.
    gradients = []
    for count in (1, pieces):
        task = made(heavy, tmp_path / str(count), ghost={"batches": 0})
        items = task.batches(0)[0]
        for piece in np.array_split(items, count, axis=-1):
            loss, _ = task.loss(task.load(piece, 0), Clock(0, 0, 0.0, 1, items))
            (piece.shape[-1] / items.shape[-1] * loss).backward()
        gradients.append({name: one.grad for name, one in task.module.named_parameters() if one.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, whole in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], whole, rtol=1e-4, atol=1e-5)


def test_validation_gives_means_and_keeps_what_each_member_found(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path, validate={"batch_size": 50})
    task.module.eval()
    with torch.no_grad():
        found = task.validate()
    history, best, last = read_best(task.path)
    assert not last
    assert found["loss"] == pytest.approx(np.mean(history[0].figures["loss"]))
    assert found["auc"] == pytest.approx(np.mean(history[0].figures["auc"]))
    assert {name: tensor.shape[0] for name, tensor in best.items()}.keys() == task.module.network.state_dict().keys()
    records = [one for one in task.job.records if one["kind"] == "metric"]
    assert [one["part"] for one in records] == [one.name for one in task.models]
    assert [one["values"]["loss"] for one in records] == history[0].figures["loss"]
    whole = made(packed, tmp_path / "whole", validate={"batch_size": 10_000})
    whole.module.eval()
    with torch.no_grad():
        assert whole.validate() == pytest.approx(found, rel=1e-5)


def test_a_member_keeps_its_best_when_another_gets_better(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    history = [Validation(10, {"loss": [1.0, 2.0], "auc": [0.5, 0.6]}), Validation(20, {"loss": [0.5, 3.0], "auc": [0.7, 0.5]})]
    write_best(path, History(history, {"weight": torch.arange(4.0).view(2, 2)}, {"weight": torch.ones(2, 2)}))
    again, best, last = read_best(path)
    assert again == history
    assert torch.equal(best["weight"], torch.arange(4.0).view(2, 2))
    assert torch.equal(last["weight"], torch.ones(2, 2))


def test_the_best_of_each_member_is_of_the_validation_in_which_it_was_best(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path)
    stack: Any = task.module
    for step, found in ((0, [1.0, 1.0, float("nan")]), (1, [0.5, 2.0, 3.0]), (2, [0.7, 0.9, float("nan")])):
        with torch.no_grad():
            for parameter in stack.parameters():
                parameter.fill_(float(step))
        task.validations = [Validation(-3 + index, one.figures) for index, one in enumerate(task.validations)]
        task._keep({"loss": found, "auc": [0.5, 0.5, 0.5]})
    assert task.best["classify.weight"][:, 0, 0].tolist() == [1.0, 2.0, 1.0]


def test_a_share_of_the_rows_is_spread_evenly() -> None:
    assert spread(np.arange(10), 5).tolist() == [0, 2, 4, 6, 8]
    assert spread(np.arange(3), None).tolist() == [0, 1, 2]


LESS, MORE = BestOptions(), BestOptions.model_validate({"metric": "auc"})
NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "least", "greatest"),
    [([], 0, 0), ([2.0, 1.0, 1.0], 1, 0), ([NAN, 3.0, 4.0], 1, 2), ([NAN, NAN], 0, 0), ([1.0, 2.0, 2.0], 0, 1)],
)
def test_the_best_validation_is_the_first_of_equals(values: list[float], least: int, greatest: int) -> None:
    assert (chosen(LESS, values), chosen(MORE, values)) == (least, greatest)


@pytest.mark.parametrize(
    ("patience", "values", "end"),
    [
        (None, [1.0, 2.0, 3.0], None),
        (1, [3.0, 2.0, 1.0], None),
        (1, [1.0, 1.0], 1),
        (2, [2.0, 3.0, 1.0, 2.0, 2.0, 0.5], 4),
        (2, [NAN] * 3, 2),
    ],
)
def test_patience_ends_after_so_many_validations_without_a_better_one(patience: int | None, values: list[float], end: int | None) -> None:
    assert ended(patience, LESS, values) == end


def test_a_network_begins_at_the_shares_of_the_classes_among_its_own_events(packed: PackedEvents, tmp_path: Path) -> None:
    task = made(packed, tmp_path)
    first = task.module.get_parameter("network.classify.bias").detach().softmax(-1).numpy()
    for answer, rows in zip(first, task.rows, strict=True):
        shares = np.bincount(packed.label[rows.train].long().numpy(), packed.weight[rows.train].abs().numpy(), len(CLASSES))
        np.testing.assert_allclose(answer, shares / shares.sum(), rtol=1e-5)

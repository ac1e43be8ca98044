"""What only changes how a training is done changes no weight; validation is as often as the study says, or never.

Workers, chunks and batches of the other steps are tested beside those: ``test_pack``, ``test_predict``, ``test_merge``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from labwright.events import train
from labwright.events.folds import members
from labwright.events.train_options import TrainOptions
from labwright.events.training.history import BEST, read_best
from labwright.learn.checkpoints import Checkpoints
from labwright.learn.tensors import read
from labwright.runs.run import Run
from labwright.study.step import Part
from tests.events.studies import conducted, two
from tests.learn.fake import FakeJob

SMALL = {
    "epochs": 3,
    "batch_size": 128,
    "network": {"kind": "hcr", "width": 4, "attention": False},
    "grow": {"factor": 1},
    "ghost": {"batches": 2},
    "accelerator": "cpu",
}
PART = Part("random3.0-f0-s0")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Run:
    torch.set_num_threads(1)
    return conducted(two(tmp_path_factory.mktemp("knobs")))


def trained(folder: Path, pack: Run, **options: Any) -> FakeJob:
    job: Any = FakeJob(folder)
    job.options = TrainOptions.model_validate({**SMALL, "members": "apart", **options})
    job.inputs = {"pack": pack}
    train.work(job, PART)
    return job


def weights(job: FakeJob) -> dict[str, torch.Tensor]:
    newest = Checkpoints(job.checkpoints(PART)).newest(print)
    assert newest is not None
    return read(newest / "model.safetensors")


def validated(job: FakeJob) -> int:
    return len({one["step"] for one in job.records if one["kind"] == "metric" and one["phase"] == "validate"})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, pack: Run) -> FakeJob:
    return trained(tmp_path_factory.mktemp("plain"), pack)


@pytest.mark.parametrize("knob", [{"prefetch": 1}, {"prefetch": 7}, {"checkpoint_every_s": 0}, {"validate": {"batch_size": 50}}])
def test_how_it_is_done_changes_no_weight(plain: FakeJob, pack: Run, tmp_path: Path, knob: dict[str, Any]) -> None:
    first, second = weights(plain), weights(trained(tmp_path, pack, **knob))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize(("validate", "times"), [({"every": "1 epoch"}, 3), ({"every": "3 epochs"}, 1), ("never", 0)])
def test_validation_is_as_often_as_asked(plain: FakeJob, pack: Run, tmp_path: Path, validate: Any, times: int) -> None:
    job = trained(tmp_path, pack, validate=validate)
    assert validated(job) == times
    first, second = weights(plain), weights(job)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_a_training_ends_after_so_many_steps(pack: Run, tmp_path: Path) -> None:
    job = trained(tmp_path, pack, max_steps=5)
    assert Checkpoints(job.checkpoints(PART)).steps()[-1] == 5
    assert validated(job) == 1


def test_a_training_ends_when_the_energy_is_used(pack: Run, tmp_path: Path) -> None:
    used = iter(range(10_000))
    job: Any = FakeJob(tmp_path, joules=lambda: float(next(used)))
    job.options = TrainOptions.model_validate({**SMALL, "members": "apart", "stop": {"joules": 20.0}})
    job.inputs = {"pack": pack}
    assert train.work(job, PART)["ended"] == "joules"


def test_validation_can_take_a_part_of_the_events(plain: FakeJob, pack: Run, tmp_path: Path) -> None:
    few = trained(tmp_path, pack, validate={"max_items": 100})
    losses = [
        [one["values"]["loss"] for one in job.records if one["kind"] == "metric" and one["phase"] == "validate"] for job in (plain, few)
    ]
    assert len(losses[0]) == len(losses[1])
    assert losses[0] != losses[1]
    first, second = weights(plain), weights(few)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_the_average_is_what_is_validated_and_kept(plain: FakeJob, pack: Run, tmp_path: Path) -> None:
    averaged = trained(tmp_path, pack, ema=0.9)
    live, kept = weights(averaged), read_best(averaged.checkpoints(PART) / BEST).best
    newest = Checkpoints(averaged.checkpoints(PART)).newest(print)
    assert newest is not None
    average = read(newest / "ema.safetensors")
    first = weights(plain)
    assert all(torch.equal(tensor, first[name]) for name, tensor in live.items())
    assert not torch.equal(average["network.classify.weight"], live["network.classify.weight"])
    assert not torch.equal(kept["classify.weight"], read_best(plain.checkpoints(PART) / BEST).best["classify.weight"])


def test_a_batch_in_pieces_trains_as_a_whole_one(pack: Run, tmp_path: Path) -> None:
    # With running statistics, as ghost batches see the pieces.
    ways = [weights(trained(tmp_path / str(count), pack, ghost={"batches": 0}, accumulate=count, epochs=1)) for count in (1, 3)]
    torch.testing.assert_close(ways[0]["network.classify.weight"], ways[1]["network.classify.weight"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("offsets", ["0-2", "0 2 4", "0-2 4-6 8"])
@pytest.mark.parametrize("seeds", ["0", "0-1"])
def test_offsets_and_seeds_say_how_many_are_trained(pack: Run, offsets: str, seeds: str) -> None:
    options = TrainOptions.model_validate({"folds": {"k": 3, "offsets": offsets}, "seeds": seeds})
    count = 3 * {"0-2": 3, "0 2 4": 3, "0-2 4-6 8": 7}[offsets] * {"0": 1, "0-1": 2}[seeds]
    names = [one.name for one in members(options)]
    assert len(names) == len(set(names)) == count
    assert f"{count} members" in train.preview(options, {"pack": pack})[0]


@pytest.mark.parametrize(("given", "mode"), [({}, "min"), ({"metric": "loss"}, "min"), ({"metric": "auc"}, "max")])
def test_the_best_epoch_is_by_less_loss_or_more_area(given: dict[str, Any], mode: str) -> None:
    options = TrainOptions.model_validate({"select": given})
    assert options.select.mode == mode
    assert TrainOptions.model_validate(options.model_dump()) == options


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"select": {"metric": "auc", "mode": "min"}}, "would keep the worst epoch"),
        ({"select": {"mode": "max"}}, "would keep the worst epoch"),
        ({"select": {"metric": "dice"}}, "select.metric"),
        ({"rates": {"kind": "plateau"}, "validate": "never"}, "validate: never has none"),
        ({"stop": {"patience": 2}, "validate": "never"}, "validate: never has none"),
        ({"network": {"kind": "pairformer"}, "ghost": {"batches": 8}}, "pairformer has none"),
    ],
)
def test_an_option_that_could_only_mislead_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainOptions.model_validate(given)
